"""/parties over HTTP with the ledger's agents: who gets a lookup, and who is notified (protocol 6.3)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.web.exchange import Callback
from tests.web.party_world import (
    ERROR,
    ID,
    NO_DESTINATION,
    NO_PROXY,
    PARTY,
    PAYEE,
    PAYER,
    STRANGER,
    SUB,
    UNREQUESTED,
    PartyDfsps,
    error_of,
    media,
    party_dfsps,
)

FSP = {"fspId": PAYER}


@pytest.fixture
async def dfsps() -> AsyncIterator[PartyDfsps]:
    async with party_dfsps() as one:
        yield one


@pytest.mark.parametrize("path", [ID, SUB])
async def test_a_lookup_goes_to_the_fsp_and_its_answer_back(dfsps: PartyDfsps, path: str) -> None:
    await dfsps.register(path)

    assert [Callback(PAYEE, PAYER, "GET", f"/parties{path}", None)] == await dfsps.callbacks_of(
        "GET", f"/parties{path}"
    )
    answer = await dfsps.callbacks_of("PUT", f"/parties{path}", PAYEE, PARTY, FSPIOP_Destination=PAYER)
    assert [Callback(PAYER, PAYEE, "PUT", f"/parties{path}", PARTY)] == answer
    await dfsps.callbacks_of("GET", f"/parties{path}")
    answer = await dfsps.callbacks_of("PUT", f"/parties{path}/error", PAYEE, ERROR, FSPIOP_Destination=PAYER)
    assert [Callback(PAYER, PAYEE, "PUT", f"/parties{path}/error", ERROR)] == answer


@pytest.mark.parametrize(("tail", "body"), [("", PARTY), ("/error", ERROR)])
async def test_a_third_dfsp_answers_no_lookup(dfsps: PartyDfsps, tail: str, body: Any) -> None:
    await dfsps.register()
    await dfsps.callbacks_of("GET", f"/parties{ID}")

    for path in (ID, SUB):
        received = await dfsps.callbacks_of("PUT", f"/parties{path}{tail}", STRANGER, body, FSPIOP_Destination=PAYER)
        assert error_of(f"/parties{path}", *UNREQUESTED, STRANGER) == received
    received = await dfsps.callbacks_of("PUT", f"/parties{SUB}{tail}", PAYEE, body, FSPIOP_Destination=PAYER)
    assert error_of(f"/parties{SUB}", *UNREQUESTED, PAYEE) == received, "asked without the sub-id"
    received = await dfsps.callbacks_of("PUT", f"/parties{ID}{tail}", PAYEE, body, FSPIOP_Destination=STRANGER)
    assert error_of(f"/parties{ID}", *UNREQUESTED, PAYEE) == received, "asked by another one"
    received = await dfsps.callbacks_of("PUT", f"/parties{ID}{tail}", PAYEE, body, FSPIOP_Destination=PAYER)
    assert [Callback(PAYER, PAYEE, "PUT", f"/parties{ID}{tail}", body)] == received


async def test_the_answer_ends_the_question_and_each_of_several_fsps_may_answer(dfsps: PartyDfsps) -> None:
    await dfsps.register(currency="USD")
    await dfsps.register(fsp=STRANGER, currency="EUR")
    await dfsps.callbacks_of("GET", f"/parties{ID}")

    for fsp in (PAYEE, STRANGER):
        received = await dfsps.callbacks_of("PUT", f"/parties{ID}", fsp, PARTY, FSPIOP_Destination=PAYER)
        assert [PAYER] == [one.receiver for one in received]
        again = await dfsps.callbacks_of("PUT", f"/parties{ID}", fsp, PARTY, FSPIOP_Destination=PAYER)
        assert error_of(f"/parties{ID}", *UNREQUESTED, fsp) == again


async def test_no_question_about_participants_goes_to_a_dfsp(dfsps: PartyDfsps) -> None:
    await dfsps.register()
    await dfsps.callbacks_of("GET", f"/participants{ID}")
    await dfsps.callbacks_of("GET", f"/parties{ID}")

    for tail, body in (("", {"fspId": PAYEE}), ("/error", ERROR)):
        received = await dfsps.callbacks_of("PUT", f"/participants{ID}{tail}", PAYEE, body, FSPIOP_Destination=PAYER)
        assert error_of(f"/participants{ID}", *UNREQUESTED, PAYEE) == received


async def test_a_forwarded_lookup_says_whom_to_tell_when_it_fails(dfsps: PartyDfsps) -> None:
    await dfsps.register(SUB)
    await dfsps.send("GET", f"/parties{SUB}")
    await dfsps.send("PUT", f"/parties{SUB}/error", PAYEE, ERROR, {"FSPIOP-Destination": PAYER})

    lookup, error = dfsps.exchange.notifications()
    assert {
        "receiver": PAYER,
        "endpoint": "FSPIOP_CALLBACK_URL_PARTIES_SUB_ID_PUT_ERROR",
        "path": f"/parties{SUB}/error",
        "variables": {"partyIdType": "MSISDN", "partyIdentifier": "27710101999", "partySubIdOrType": "100"},
        "no_endpoint_only": False,
    } == lookup["failure"]
    assert "FSPIOP_CALLBACK_URL_PARTIES_SUB_ID_GET" == lookup["endpoint"]
    assert error["failure"] is None
    assert media("parties", "1") == lookup["headers"]["accept"]


async def test_what_is_passed_on_has_an_end_and_what_the_hub_says_has_none() -> None:
    async with party_dfsps(forward_patience_ms=700) as dfsps:
        hub = dfsps.exchange.hub
        await dfsps.register()
        answer: dict[str, str | None] = {"FSPIOP-Destination": PAYER}
        calls: tuple[tuple[str, str, str, Any, dict[str, str | None]], ...] = (
            ("GET", ID, PAYER, None, {}),
            ("GET", ID, PAYER, None, {"FSPIOP-Destination": PAYEE}),
            ("PUT", ID, PAYEE, PARTY, answer),
            ("PUT", f"{ID}/error", PAYEE, ERROR, answer),
        )  # two questions, and so two answers
        for method, path, source, body, headers in calls:
            await dfsps.send(method, f"/parties{path}", source, body, headers)
            [passed_on] = dfsps.exchange.notifications()
            assert hub.now_ms + 700 == passed_on["deliver_by_ms"]

        await dfsps.send("GET", f"/parties{SUB}")
        [error] = dfsps.exchange.notifications()
        assert error["deliver_by_ms"] is None


async def test_a_lookup_with_a_destination_asks_nobody_else(dfsps: PartyDfsps) -> None:
    received = await dfsps.callbacks_of("GET", f"/parties{ID}", FSPIOP_Destination=STRANGER)
    assert [Callback(STRANGER, PAYER, "GET", f"/parties{ID}", None)] == received

    for destination in ("nobody", "PAYEEFSP"):
        received = await dfsps.callbacks_of("GET", f"/parties{ID}", FSPIOP_Destination=destination)
        assert error_of(f"/parties{ID}", *NO_DESTINATION) == received


async def test_a_bad_destination_removes_nothing(dfsps: PartyDfsps) -> None:
    await dfsps.register()
    await dfsps.callbacks_of("GET", f"/parties{ID}", FSPIOP_Destination="nobody")

    assert [PAYEE] == [one.receiver for one in await dfsps.callbacks_of("GET", f"/parties{ID}")]


async def test_a_lookup_to_the_hub_is_one_without_a_destination(dfsps: PartyDfsps) -> None:
    assert error_of(f"/parties{ID}", *NO_PROXY) == await dfsps.callbacks_of(
        "GET", f"/parties{ID}", FSPIOP_Destination="Hub"
    )


async def test_a_party_that_nobody_has(dfsps: PartyDfsps) -> None:
    for path in (ID, SUB, "/IBAN/DE44500105175407324931", "/ALIAS/%E1%80%80%E1%80%81"):
        assert error_of(f"/parties{path}", *NO_PROXY) == await dfsps.callbacks_of("GET", f"/parties{path}")


async def test_sub_ids_count_both_ways(dfsps: PartyDfsps) -> None:
    filtered = ("3200", "Generic ID not found - Empty oracle partyList, filtered based on callbackEndpointType")
    await dfsps.register(SUB)
    assert error_of(f"/parties{ID}", *filtered) == await dfsps.callbacks_of("GET", f"/parties{ID}")
    assert error_of(f"/parties{ID}/101", *filtered) == await dfsps.callbacks_of("GET", f"/parties{ID}/101")

    await dfsps.register(ID, STRANGER)
    assert [STRANGER] == [one.receiver for one in await dfsps.callbacks_of("GET", f"/parties{ID}")]
    assert [PAYEE] == [one.receiver for one in await dfsps.callbacks_of("GET", f"/parties{SUB}")]


async def test_every_fsp_that_has_the_party_gets_the_lookup(dfsps: PartyDfsps) -> None:
    await dfsps.register(currency="USD")
    await dfsps.register(currency="XTS")
    await dfsps.register(fsp=STRANGER, currency="EUR")

    assert [PAYEE, STRANGER] == [one.receiver for one in await dfsps.callbacks_of("GET", f"/parties{ID}")]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/MSISDN/12a", "Invalid MSISDN"),
        ("/EMAIL/me", "Invalid EMAIL"),
        ("/IBAN/44DE", "Invalid IBAN"),
        ("/ALIAS/a%60b", "Invalid party identifier"),
    ],
)
async def test_what_is_no_identifier(dfsps: PartyDfsps, path: str, detail: str) -> None:
    description = f"Malformed syntax - {detail}"
    for method, resource, body in (
        ("GET", "parties", None),
        ("POST", "participants", FSP),
        ("DELETE", "participants", None),
    ):
        received = await dfsps.callbacks_of(method, f"/{resource}{path}", body=body)
        assert error_of(f"/{resource}{path}", "3101", description) == received

    answer = await dfsps.send("GET", f"/participants{path}")
    assert (400, "3101", description) == answer.error


async def test_a_type_that_no_oracle_knows(dfsps: PartyDfsps) -> None:
    description = "Add Party information error - Oracle type: SHOE_SIZE not found"

    for method, resource, body in (
        ("GET", "parties", None),
        ("GET", "participants", None),
        ("POST", "participants", FSP),
    ):
        received = await dfsps.callbacks_of(method, f"/{resource}/SHOE_SIZE/42", body=body)
        assert error_of(f"/{resource}/SHOE_SIZE/42", "3003", description) == received


@pytest.mark.parametrize("resource", ["parties", "participants"])
async def test_answers_to_nobody(dfsps: PartyDfsps, resource: str) -> None:
    answer: Any = {"parties": PARTY, "participants": {"fspId": PAYEE}}[resource]
    for tail, body in (("", answer), ("/error", ERROR)):
        for headers in ({"FSPIOP_Destination": "nobody"}, {}):
            if (resource, tail, headers) == ("participants", "", {}):
                continue
            received = await dfsps.callbacks_of("PUT", f"/{resource}{ID}{tail}", PAYEE, body, **headers)
            assert error_of(f"/{resource}{ID}", *NO_DESTINATION, PAYEE) == received, (tail, headers)


async def test_an_error_code_may_be_a_number(dfsps: PartyDfsps) -> None:
    body = {"errorInformation": {"errorCode": 5100, "errorDescription": "Refused"}}

    await dfsps.callbacks_of("GET", f"/parties{ID}", FSPIOP_Destination=PAYEE)

    received = await dfsps.callbacks_of("PUT", f"/parties{ID}/error", PAYEE, body, FSPIOP_Destination=PAYER)

    assert [Callback(PAYER, PAYEE, "PUT", f"/parties{ID}/error", body)] == received


async def test_an_empty_sub_id_is_none(dfsps: PartyDfsps) -> None:
    await dfsps.register()

    assert [Callback(PAYEE, PAYER, "GET", f"/parties{ID}", None)] == await dfsps.callbacks_of("GET", f"/parties{ID}/")
    body = json.loads(json.dumps(ERROR))
    received = await dfsps.callbacks_of("PUT", f"/parties{ID}//error", PAYEE, body, FSPIOP_Destination=PAYER)
    assert [Callback(PAYER, PAYEE, "PUT", f"/parties{ID}/error", body)] == received


async def test_a_record_that_makes_the_code_raise(dfsps: PartyDfsps) -> None:
    await dfsps.send("GET", f"/parties{ID}")
    dfsps.exchange.callbacks()
    dfsps.exchange.hub.dead_letter(*dfsps.exchange.dfsp.recorder.records[-1])

    assert error_of(f"/parties{ID}", "2001", "Internal server error") == dfsps.exchange.callbacks()


async def test_a_sub_id_may_be_any_text(dfsps: PartyDfsps) -> None:
    for sub_id in ("%7BSubId%7D", "current%20account"):
        await dfsps.register(f"{ID}/{sub_id}")
        received = await dfsps.callbacks_of("GET", f"/participants{ID}/{sub_id}")
        assert [{"fspId": PAYEE}] == [one.body for one in received]
