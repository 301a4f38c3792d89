"""/participants over HTTP with the built-in oracle: registration, update, removal, batches (protocol 6.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from clearinghub.messages import encode
from clearinghub.messages.parties import PartyPartDoneMessage, PartyPartMessage
from tables.batches import BATCHES
from tables.parties import PARTIES
from tests.web.exchange import Callback
from tests.web.party_world import (
    ID,
    NO_DESTINATION,
    NOT_FOUND,
    PAYEE,
    PAYER,
    REQUEST_ID,
    STRANGER,
    SUB,
    UNREQUESTED,
    PartyDfsps,
    error_of,
    hub_put,
    party_dfsps,
)

FSP_DIFFERS = "fspId differs from FSPIOP-Source"
REGISTERED_BY_ANOTHER = ("3003", "Add Party information error - Party is registered by another FSP")
NOT_OWNER = ("3040", "Delete Party information error - The party's FSP is another one")


@pytest.fixture
async def dfsps() -> AsyncIterator[PartyDfsps]:
    async with party_dfsps() as one:
        yield one


@pytest.fixture
async def reference() -> AsyncIterator[PartyDfsps]:
    async with party_dfsps(participants_reference_shapes=True) as one:
        yield one


def kept(dfsps: PartyDfsps) -> dict[str, Any]:
    """All rows of the built-in oracle."""
    views = dfsps.exchange.hub.views
    return {key: row.entries for view in views for key, row in view.rows(PARTIES).items()}


async def found(dfsps: PartyDfsps, path: str = ID, currency: str | None = None) -> Any:
    query = "" if currency is None else f"?currency={currency}"
    (callback,) = await dfsps.callbacks_of("GET", f"/participants{path}{query}")
    assert PAYER == callback.receiver
    return callback.body.get("fspId") or callback.body["errorInformation"]["errorCode"]


@pytest.mark.parametrize("path", [ID, SUB])
async def test_a_registration_is_confirmed_and_found(dfsps: PartyDfsps, path: str) -> None:
    assert "3204" == await found(dfsps, path)

    assert hub_put(f"/participants{path}", {"fspId": PAYEE}, PAYEE) == await dfsps.register(path)

    assert hub_put(f"/participants{path}", {"fspId": PAYEE}) == await dfsps.callbacks_of("GET", f"/participants{path}")
    assert hub_put(f"/participants{path}", {"fspId": PAYEE}, PAYEE) == await dfsps.register(path)
    assert 1 == len(kept(dfsps)["MSISDN/27710101999"])


async def test_sub_ids_are_parties_of_their_own(dfsps: PartyDfsps) -> None:
    await dfsps.register(SUB)

    assert "3204" == await found(dfsps, ID)
    assert error_of(f"/participants{ID}", *NOT_FOUND) == await dfsps.callbacks_of("GET", f"/participants{ID}")


async def test_currencies(dfsps: PartyDfsps) -> None:
    await dfsps.register(currency="USD")
    await dfsps.register(fsp=STRANGER, currency="EUR")

    answers = [await found(dfsps, ID, currency) for currency in (None, "USD", "EUR", "XTS")]
    assert [PAYEE, PAYEE, STRANGER, "3204"] == answers
    answer = await dfsps.send("GET", f"/participants{ID}?currency=ZZZ")
    assert (400, "3100") == answer.error[:2]


async def test_nobody_takes_over_what_another_fsp_has(dfsps: PartyDfsps) -> None:
    await dfsps.register()
    for currency in (None, "USD"):
        assert error_of(f"/participants{ID}", *REGISTERED_BY_ANOTHER, STRANGER) == await dfsps.register(
            ID, STRANGER, currency
        )
    await dfsps.register(SUB, STRANGER)

    assert [PAYEE, STRANGER] == [await found(dfsps, ID), await found(dfsps, SUB)]


async def test_nobody_registers_for_another(dfsps: PartyDfsps) -> None:
    description = f"Add Party information error - {FSP_DIFFERS}"
    for method in ("POST", "PUT"):
        received = await dfsps.callbacks_of(method, f"/participants{ID}", PAYEE, {"fspId": STRANGER})
        assert error_of(f"/participants{ID}", "3003", description, PAYEE) == received
    assert {} == kept(dfsps)


async def test_an_update_replaces_what_the_fsp_has(dfsps: PartyDfsps) -> None:
    path, body = f"/participants{ID}", {"fspId": PAYEE, "currency": "EUR"}
    missing = error_of(path, "3003", "Add Party information error - Party not found", PAYEE)
    assert missing == await dfsps.callbacks_of("PUT", path, PAYEE, body)
    await dfsps.register(currency="USD")

    assert hub_put(path, {"fspId": PAYEE}, PAYEE) == await dfsps.callbacks_of("PUT", path, PAYEE, body)
    assert ["3204", PAYEE] == [await found(dfsps, ID, "USD"), await found(dfsps, ID, "EUR")]


async def test_an_answer_to_another_dfsp_changes_nothing_and_reaches_nobody(dfsps: PartyDfsps) -> None:
    path, body = f"/participants{ID}", {"fspId": PAYEE}

    received = await dfsps.callbacks_of("PUT", path, PAYEE, body, FSPIOP_Destination=PAYER)

    assert error_of(path, *UNREQUESTED, PAYEE) == received
    assert {} == kept(dfsps)
    received = await dfsps.callbacks_of("PUT", path, PAYEE, body, FSPIOP_Destination="nobody")
    assert error_of(path, *NO_DESTINATION, PAYEE) == received


@pytest.mark.parametrize("path", [ID, SUB])
async def test_a_removal(dfsps: PartyDfsps, path: str) -> None:
    nothing = error_of(f"/participants{path}", "3040", "Delete Party information error - Party not found", PAYEE)
    assert nothing == await dfsps.callbacks_of("DELETE", f"/participants{path}", PAYEE)
    await dfsps.register(path)
    refused = await dfsps.callbacks_of("DELETE", f"/participants{path}", STRANGER)
    assert error_of(f"/participants{path}", *NOT_OWNER, STRANGER) == refused

    received = await dfsps.callbacks_of("DELETE", f"/participants{path}", PAYEE)

    assert hub_put(f"/participants{path}", {"fspId": PAYEE}, PAYEE) == received
    assert {} == kept(dfsps)


async def test_a_removal_of_one_currency(dfsps: PartyDfsps) -> None:
    for currency in ("USD", "EUR"):
        await dfsps.register(currency=currency)
    await dfsps.callbacks_of("DELETE", f"/participants{ID}?currency=USD", PAYEE)
    assert ["3204", PAYEE] == [await found(dfsps, ID, currency) for currency in ("USD", "EUR")]

    await dfsps.callbacks_of("DELETE", f"/participants{ID}", PAYEE)
    assert {} == kept(dfsps)


def batch(*items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"requestId": REQUEST_ID, "partyList": list(items), **changes}


def item(identifier: str, fsp: str | None = PAYEE, id_type: str = "MSISDN", **more: str) -> dict[str, Any]:
    named = {"partyIdType": id_type, "partyIdentifier": identifier, **more}
    return named if fsp is None else named | {"fspId": fsp}


async def test_a_batch(dfsps: PartyDfsps) -> None:
    await dfsps.register("/MSISDN/7", STRANGER)
    good = [item(str(number)) for number in (1, 2, 3, 4, 5, 6)] + [item("1", partySubIdOrType="100")]
    bad = [item("7"), item("8", STRANGER), item("9", None), item("9", id_type="SHOE_SIZE"), item("x")]

    received = await dfsps.callbacks_of("POST", "/participants", PAYEE, batch(*good, *bad, currency="USD"))

    assert [(PAYEE, "Hub", "PUT", f"/participants/{REQUEST_ID}")] == [one[:4] for one in received]
    results = received[0].body["partyList"]
    assert "USD" == received[0].body["currency"]
    assert [{"partyId": one} for one in good] == results[:7]
    assert bad == [one["partyId"] for one in results[7:]]
    codes = [one["errorInformation"]["errorCode"] for one in results[7:]]
    assert ["3003", "3204", "3204", "3003", "3101"] == codes
    assert [PAYEE, PAYEE, STRANGER, "3204"] == [
        await found(dfsps, path) for path in ("/MSISDN/1", "/MSISDN/1/100", "/MSISDN/7", "/MSISDN/8")
    ]
    assert [] == [row for view in dfsps.exchange.hub.views for row in view.rows(BATCHES)]


async def test_a_batch_that_is_sent_again_is_answered_alike(dfsps: PartyDfsps) -> None:
    first = await dfsps.callbacks_of("POST", "/participants", PAYEE, batch(item("1"), item("2", STRANGER)))

    assert first == await dfsps.callbacks_of("POST", "/participants", PAYEE, batch(item("1"), item("2", STRANGER)))


async def test_a_large_batch(dfsps: PartyDfsps) -> None:
    items = [item(str(number)) for number in range(2_000)]

    (callback,) = await dfsps.callbacks_of("POST", "/participants", PAYEE, batch(*items))

    assert [{"partyId": one} for one in items] == callback.body["partyList"]
    assert len(items) == len(kept(dfsps))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"partyList": []}, "3100"),
        ({"partyList": [{}]}, "3102"),
        ({"partyList": [item("")]}, "3100"),
        ({"partyList": [item("1")] * 10_001}, "3100"),
        ({"partyList": "1"}, "3101"),
        ({"requestId": "1"}, "3100"),
        ({"currency": "ZZZ"}, "3100"),
    ],
)
async def test_batches_that_are_wrong(dfsps: PartyDfsps, change: dict[str, Any], code: str) -> None:
    answer = await dfsps.send("POST", "/participants", PAYEE, batch(item("1")) | change)

    assert (400, code) == answer.error[:2]
    assert not dfsps.exchange.dfsp.recorder.records


async def test_a_batch_whose_part_makes_the_code_raise(dfsps: PartyDfsps) -> None:
    await dfsps.callbacks_of("POST", "/participants", PAYEE, batch(item("1")))
    topic, key, value = dfsps.exchange.dfsp.recorder.records[-1]
    error = error_of(f"/participants/{REQUEST_ID}", "2001", "Internal server error", PAYEE)

    dfsps.exchange.hub.dead_letter(topic, key, value)
    assert error == dfsps.exchange.callbacks()
    part = PartyPartMessage(
        batch=f"{REQUEST_ID}/{PAYEE}", run="0-0", part="p0", home=0, source=PAYEE, currency=None, items={}
    )
    dfsps.exchange.hub.dead_letter(topic, key, encode(part))
    assert error == dfsps.exchange.callbacks()


async def test_parts_of_a_batch_that_was_sent_again_count_no_more(dfsps: PartyDfsps) -> None:
    done = PartyPartDoneMessage(batch=f"{REQUEST_ID}/{PAYEE}", run="0-0", part="p0", errors={})

    dfsps.exchange.hub.write("party", REQUEST_ID, encode(done))

    assert {} == dfsps.exchange.hub.rows(BATCHES)
    assert [] == dfsps.exchange.callbacks()


async def test_the_references_shapes(reference: PartyDfsps) -> None:
    listed = {"partyIdType": "MSISDN", "partyIdentifier": "27710101999", "fspId": PAYEE}
    path = f"/participants{ID}"
    body = {"partyList": [listed], "currency": "USD"}
    assert hub_put(path, body, PAYEE) == await reference.register(currency="USD")

    received = await reference.callbacks_of(
        "POST", path, PAYEE, {"fspId": PAYEE, "currency": "USD"}, FSPIOP_Destination=PAYER
    )
    assert [Callback(PAYER, PAYEE, "PUT", path, body)] == received
    sub = {"partyList": [listed | {"partySubIdOrType": "100"}]}
    assert hub_put(f"/participants{SUB}", sub, PAYEE) == await reference.register(SUB)
    assert hub_put(path, {"fspId": PAYEE}, PAYEE) == await reference.callbacks_of("DELETE", path, PAYEE)

    answer = await reference.send("POST", "/participants", PAYEE, batch(item("1")))
    assert (200, b"") == (answer.status, answer.body)
    reference.exchange.callbacks()
    assert [] == await reference.callbacks_of("POST", f"/participants{SUB}", "Hub", {"fspId": "Hub"})
    for tail, sent in (("", {"partyList": [{"partyId": item("1")}]}), ("/error", {})):
        answer = await reference.send("PUT", f"/participants/{REQUEST_ID}{tail}", PAYEE, sent)
        assert (501, "2002") == answer.error[:2]


async def test_the_reference_accepts_a_sub_id_of_a_stranger_and_registers_nothing(reference: PartyDfsps) -> None:
    before = len(reference.exchange.hub.records)

    answer = await reference.send("POST", f"/participants{SUB}", "hub_operator", {"fspId": PAYEE})

    assert 202 == answer.status
    assert before == len(reference.exchange.hub.records)
    assert {} == kept(reference)


async def test_a_stranger_registers_nothing(dfsps: PartyDfsps) -> None:
    answer = await dfsps.send("POST", f"/participants{SUB}", "hub_operator", {"fspId": PAYEE})

    assert (400, "3200", "Generic ID not found - Requester FSP not found") == answer.error
