"""The guide for DFSPs and its example, against the code that they speak of."""

from __future__ import annotations

import json
import re
import sys

import pytest

from clearinghub.config import Settings
from clearinghub.domain.errors import ErrorCode, is_defined_error_code
from clearinghub.domain.participants.endpoints import ENDPOINT_TYPES
from examples.dfsp import dfsp
from sandbox.dfsp import ilp
from sandbox.dfsp.behaviour import Behaviour
from sandbox.main import PAYEE_PORT, PAYER_PORT
from tests import guide
from web.http.errors import RETRY_AFTER_S

TRANSACTION = {
    "transactionId": "b51ec534-ee48-4575-b6a9-ead2955b8069",
    "quoteId": "7c23e80c-d078-4077-8263-2c047876fcf6",
    "payee": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "447700900789", "fspId": "mybank"}},
    "payer": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "447700900456", "fspId": "payerbank"}},
    "amount": {"currency": "USD", "amount": "7.5"},
    "transactionType": {"scenario": "TRANSFER", "initiator": "PAYER", "initiatorType": "CONSUMER"},
}
LIMITS = Settings()


def test_the_examples_packet_is_what_others_read() -> None:
    payment = ilp.decode_packet(dfsp.make_packet(TRANSACTION))

    assert (750, "g.mybank.msisdn.447700900789") == (payment.amount, payment.address)
    assert TRANSACTION == json.loads(ilp.decode_base64url(payment.data.decode()))


@pytest.mark.parametrize("note", ["", "x" * 60, "x" * 200, "x" * 20_000], ids=len)
def test_packets_of_any_length_are_read(note: str) -> None:
    transaction = TRANSACTION | {"note": note}

    assert transaction == dfsp.read_packet(dfsp.make_packet(transaction))


def test_the_condition_is_what_the_hub_checks() -> None:
    packet = dfsp.make_packet(TRANSACTION)
    fulfilment = dfsp.fulfilment_of(packet)

    assert ilp.is_fulfilled(dfsp.condition_of(fulfilment), fulfilment)
    assert dfsp.fulfilment_of(dfsp.make_packet(TRANSACTION | {"note": "other"})) != fulfilment


def test_the_example_imports_nothing_of_the_project() -> None:
    source = guide.GUIDE.parents[1] / "examples/dfsp/dfsp.py"

    imports = re.findall(r"^(?:from|import) (\w+)", source.read_text(), re.MULTILINE)
    assert {"aiohttp"} == {name for name in imports if name not in {*sys.stdlib_module_names, "__future__"}}


@pytest.mark.parametrize(
    "sentence",
    [
        f"ends after {LIMITS.callback_timeout_ms // 1000} s\n(`CLEARINGHUB_CALLBACK_TIMEOUT_MS`)",
        f"up to {LIMITS.callback_retries_max} times",
        f"from {LIMITS.callback_retry_first_ms / 1000} to {LIMITS.callback_retry_longest_ms // 1000} s",
        f"at most {LIMITS.callback_wait_ms_max // 1000} s in all",
        f"After {LIMITS.callback_breaker_failures} failures in a row",
        f"it pauses for {LIMITS.callback_breaker_open_ms // 1000} s",
        f"At most {LIMITS.callback_in_flight_per_receiver_max} callbacks",
        f"tried for {LIMITS.forward_patience_ms // 1000} s only (`CLEARINGHUB_FORWARD_PATIENCE_MS`)",
        f"within {LIMITS.record_timeout_ms // 1000} s (`CLEARINGHUB_RECORD_TIMEOUT_MS`)",
        f"{LIMITS.completed_timestamp_ahead_ms_max / 1000} s ahead",
        f"{LIMITS.completed_timestamp_age_ms_max // 1000} s old",
        f"`Retry-After: {RETRY_AFTER_S}`",
        f"Content-Type may say {', '.join(LIMITS.content_versions[:-1])} or {LIMITS.content_versions[-1]}",
        f"Accept {', '.join(LIMITS.accept_versions[:-1])} or {LIMITS.accept_versions[-1]}",
        f"own\nmessages are {LIMITS.content_version_default}",
    ],
)
def test_limits_are_those_of_the_settings(sentence: str) -> None:
    words = " ".join(sentence.split())

    assert words in " ".join(guide.text().split())


def test_endpoint_types_are_known() -> None:
    table = guide.text().partition("## What you serve")[2].partition("## What you send")[0]
    named = {name for name in re.findall(r"`([A-Z_]{5,})`", table) if not name.startswith("CLEARINGHUB")} - {"RESERVED"}

    assert set() == {name for name in named if f"FSPIOP_CALLBACK_URL_{name}" not in ENDPOINT_TYPES}


def test_error_codes_are_the_hubs() -> None:
    table = guide.text().partition("## Errors")[2].partition("## Signatures")[0]
    codes = {code for row in re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE) for code in row.split(", ")}

    assert set() == codes - {code.code for code in ErrorCode}
    assert all(is_defined_error_code(code) for code in re.findall(r"\b5\d{3}\b", table))


def test_all_behaviours_of_the_sandbox_are_explained() -> None:
    table = guide.text().partition("## What the sandbox's DFSPs do")[2]

    assert [] == [one.value for one in Behaviour if f"`{one.value}`" not in table]


def test_the_examples_port_is_free_beside_the_sandbox() -> None:
    assert "14003" in guide.text()
    assert 14_003 not in {PAYER_PORT, PAYEE_PORT}
