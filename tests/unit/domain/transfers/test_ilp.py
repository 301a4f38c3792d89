"""Reading the Transaction in an ILP packet: what is there is found, what is not is None, nothing raises."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.domain.transfers.ilp import transaction_of
from sandbox.dfsp.ilp import Payment, encode_packet

TRANSACTION = {"transactionId": "b51ec534-ee48-4575-b6a9-ead2955b8069", "amount": {"amount": "10", "currency": "USD"}}


def data_of(content: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")


def version_4(data: bytes) -> str:
    """An ILPv4 prepare as version 2.0 of the API uses it."""
    address = b"g.payeefsp"
    content = bytes(8 + 17 + 32) + bytes([len(address)]) + address + bytes([0x82]) + len(data).to_bytes(2, "big") + data
    packet = bytes([12, 0x82]) + len(content).to_bytes(2, "big") + content
    return base64.urlsafe_b64encode(packet).decode().rstrip("=")


def test_a_payment_of_version_1() -> None:
    assert TRANSACTION == transaction_of(encode_packet(Payment(1000, "g.payeefsp.msisdn.1", data_of(TRANSACTION))))


def test_a_prepare_of_version_4() -> None:
    assert TRANSACTION == transaction_of(version_4(data_of(TRANSACTION)))


@pytest.mark.parametrize(
    "packet",
    [
        "",
        "A",
        "AQ",
        "AYIB",
        "CAAA",
        "AYUAAAAAAAAA",
        "ünïcode",
        encode_packet(Payment(1, "g.a", b"")),
        encode_packet(Payment(1, "g.a", b"A")),
        encode_packet(Payment(1, "g.a", data_of([1]))),
        encode_packet(Payment(1, "g.a", base64.urlsafe_b64encode(b"{not json"))),
    ],
)
def test_nothing_to_read(packet: str) -> None:
    assert transaction_of(packet) is None


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(b"\x01" + raw).decode())))
def test_any_text_is_a_packet_or_none(packet: str) -> None:
    found = transaction_of(packet)

    assert found is None or isinstance(found, dict)
