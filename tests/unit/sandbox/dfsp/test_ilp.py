"""ILP packets, fulfilments and conditions."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.dfsp.ilp import (
    MalformedPacketError,
    Payment,
    condition_of,
    decode_base64url,
    decode_packet,
    encode_base64url,
    encode_packet,
    fulfilment_of,
    is_fulfilled,
)

# A packet, and a fulfilment with its condition, as Mojaloop's own tests use them.
GOLDEN_TRANSACTION = (
    '{"transactionId":"f44bdd5c-c910-4a90-8d69-dbba6bc8ea6c","quoteId":"54d5f09b-a47d-40d6-aa07-a9cf3bb249ad",'
    '"payee":{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"22556999125","fspId":"payeefsp"}},'
    '"payer":{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"22507008181","fspId":"payerfsp"},'
    '"personalInfo":{"complexName":{"firstName":"Mats","lastName":"Hagman"},"dateOfBirth":"1983-10-25"}},'
    '"amount":{"amount":"60","currency":"USD"},'
    '"transactionType":{"scenario":"TRANSFER","initiator":"PAYER","initiatorType":"CONSUMER"}}'
)
GOLDEN_PACKET = (
    "AYIC9AAAAAAAABdwHWcucGF5ZWVmc3AubXNpc2RuLjIyNTU2OTk5MTI1ggLKZXlKMGNtRnVjMkZqZEdsdmJrbGtJam9pWmpRMFlt"
    "UmtOV010WXpreE1DMDBZVGt3TFRoa05qa3RaR0ppWVRaaVl6aGxZVFpqSWl3aWNYVnZkR1ZKWkNJNklqVTBaRFZtTURsaUxXRTBO"
    "MlF0TkRCa05pMWhZVEEzTFdFNVkyWXpZbUl5TkRsaFpDSXNJbkJoZVdWbElqcDdJbkJoY25SNVNXUkpibVp2SWpwN0luQmhjblI1"
    "U1dSVWVYQmxJam9pVFZOSlUwUk9JaXdpY0dGeWRIbEpaR1Z1ZEdsbWFXVnlJam9pTWpJMU5UWTVPVGt4TWpVaUxDSm1jM0JKWkNJ"
    "NkluQmhlV1ZsWm5Od0luMTlMQ0p3WVhsbGNpSTZleUp3WVhKMGVVbGtTVzVtYnlJNmV5SndZWEowZVVsa1ZIbHdaU0k2SWsxVFNW"
    "TkVUaUlzSW5CaGNuUjVTV1JsYm5ScFptbGxjaUk2SWpJeU5UQTNNREE0TVRneElpd2labk53U1dRaU9pSndZWGxsY21aemNDSjlM"
    "Q0p3WlhKemIyNWhiRWx1Wm04aU9uc2lZMjl0Y0d4bGVFNWhiV1VpT25zaVptbHljM1JPWVcxbElqb2lUV0YwY3lJc0lteGhjM1JP"
    "WVcxbElqb2lTR0ZuYldGdUluMHNJbVJoZEdWUFprSnBjblJvSWpvaU1UazRNeTB4TUMweU5TSjlmU3dpWVcxdmRXNTBJanA3SW1G"
    "dGIzVnVkQ0k2SWpZd0lpd2lZM1Z5Y21WdVkza2lPaUpWVTBRaWZTd2lkSEpoYm5OaFkzUnBiMjVVZVhCbElqcDdJbk5qWlc1aGNt"
    "bHZJam9pVkZKQlRsTkdSVklpTENKcGJtbDBhV0YwYjNJaU9pSlFRVmxGVWlJc0ltbHVhWFJwWVhSdmNsUjVjR1VpT2lKRFQwNVRW"
    "VTFGVWlKOWZRAA"
)
GOLDEN_FULFILMENT = "UNlJ98hZTY_dsw0cAqw4i_UN3v4utt7CZFB4yfLbVFA"
GOLDEN_CONDITION = "GRzLaTP7DJ9t4P-a_BA0WA9wzzlsugf00-Tn6kESAfM"

payments = st.builds(
    Payment,
    amount=st.integers(0, 2**64 - 1),
    address=st.from_regex(r"g(\.[A-Za-z0-9_-]{1,20}){1,6}", fullmatch=True),
    data=st.binary(max_size=70_000),
)


def test_golden_packet_is_built() -> None:
    data = encode_base64url(GOLDEN_TRANSACTION.encode()).encode()

    packet = encode_packet(Payment(6000, "g.payeefsp.msisdn.22556999125", data))

    assert packet == GOLDEN_PACKET


def test_golden_packet_is_read() -> None:
    payment = decode_packet(GOLDEN_PACKET)

    assert (6000, "g.payeefsp.msisdn.22556999125") == (payment.amount, payment.address)
    assert decode_base64url(payment.data.decode()).decode() == GOLDEN_TRANSACTION


def test_golden_condition() -> None:
    assert condition_of(GOLDEN_FULFILMENT) == GOLDEN_CONDITION
    assert is_fulfilled(GOLDEN_CONDITION, GOLDEN_FULFILMENT)


def test_fulfilment_is_the_hmac_of_the_packets_text() -> None:
    # Computed with OpenSSL: printf %s AQA | openssl dgst -sha256 -mac HMAC -macopt key:"$(printf secret | base64)"
    assert fulfilment_of("AQA", b"secret") == "5sIW0nKFeKRDOsZzM6O3ovF5-hjpxJTs_U8AvHNLIPo"


@given(payments)
def test_packet_round_trip(payment: Payment) -> None:
    assert decode_packet(encode_packet(payment)) == payment


@given(payments, st.binary(min_size=1, max_size=64))
def test_fulfilment_fits_its_condition_and_no_other(payment: Payment, secret: bytes) -> None:
    packet = encode_packet(payment)
    fulfilment = fulfilment_of(packet, secret)
    condition = condition_of(fulfilment)

    assert len(fulfilment) == len(condition) == 43
    assert decode_base64url(condition) == hashlib.sha256(decode_base64url(fulfilment)).digest()
    assert is_fulfilled(condition, fulfilment)
    assert not is_fulfilled(condition, fulfilment_of(packet, secret + b"x"))
    assert not is_fulfilled(fulfilment, condition)


@pytest.mark.parametrize("fulfilment", ["", "AAAA", "not base64url!", "é" * 43, "A" * 44 + "A"])
def test_what_is_no_fulfilment_fits_nothing(fulfilment: str) -> None:
    assert not is_fulfilled(GOLDEN_CONDITION, fulfilment)


@given(payments, st.integers(min_value=1))
def test_shortened_packet_is_refused(payment: Payment, cut: int) -> None:
    raw = decode_base64url(encode_packet(payment))

    with pytest.raises(MalformedPacketError):
        decode_packet(encode_base64url(raw[: len(raw) - 1 - cut % len(raw)]))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        payment = decode_packet(encode_base64url(data))
    except MalformedPacketError:
        return
    assert len(payment.address) + len(payment.data) < len(data)
