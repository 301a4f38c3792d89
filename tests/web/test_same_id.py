"""Two payers choose the same id: each answer finds the transfer that it is about, on whatever way it comes."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tables.bulks import BULKS
from tables.transfers import TRANSFERS
from tests.unit.domain.samples import lock
from tests.web.bulk_exchange import BULK_ID, CONTENT_TYPE, bulk, item
from tests.web.bulk_exchange import PATH as BULK_PATH
from tests.web.bulk_exchange import send as send_bulk
from tests.web.exchange import PAYEE, PAYER, STRANGER, Exchange, an_exchange
from tests.web.fspiop_client import CONTENT_TYPE as TRANSFERS_TYPE
from tests.web.fspiop_client import FULFIL, TRANSFER_ID
from tests.web.matrix import media

OTHER = "alpha"  # its partition is another one than PAYER's
CONDITION, FULFILMENT = lock(b"the other payer's secret, 32 byt")
PATH = f"/transfers/{TRANSFER_ID}"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        await one.operator.dfsp(OTHER)
        await one.operator.dfsp("beta")
        assert len({one.hub.partition_of("prepare", name) for name in (PAYER, OTHER)}) == 2
        account = await one.operator.account("SETTLEMENT", OTHER)
        body = {
            "transferId": "b51ec534-ee48-4575-b6a9-ead2955b8999",
            "externalReference": "bank",
            "action": "recordFundsIn",
            "reason": "test",
            "amount": {"amount": 1000, "currency": "USD"},
        }
        await one.operator.post(f"/participants/{OTHER}/accounts/{account['id']}", body)
        one.hub.written.clear()
        yield one


def states(exchange: Exchange) -> dict[str, str]:
    """Return the state of the transfer of that id, by payer."""
    rows = [view.rows(TRANSFERS).get(TRANSFER_ID) for view in exchange.hub.views]
    return {row.payer: row.state.value for row in rows if row is not None}


async def both(exchange: Exchange, *, other_payee: str = PAYEE) -> None:
    await exchange.post()
    await exchange.post(OTHER, payerFsp=OTHER, payeeFsp=other_payee, condition=CONDITION)
    assert {PAYER: "RESERVED", OTHER: "RESERVED"} == states(exchange)
    exchange.callbacks()


async def put(exchange: Exchange, path: str, body: Any, source: str = PAYEE, destination: str | None = None) -> None:
    headers = {"FSPIOP-Source": source, "FSPIOP-Destination": destination, "Content-Type": TRANSFERS_TYPE}
    assert 200 == (await exchange.dfsp.send("PUT", path, headers, json.dumps(body).encode())).status


@pytest.mark.parametrize(
    ("payer", "fulfilment", "to"),
    [
        (payer, fulfilment, to)
        for (payer, fulfilment), to in itertools.product(
            ((PAYER, FULFIL["fulfilment"]), (OTHER, FULFILMENT)), (None, PAYER, OTHER)
        )
        if to in (None, payer)
    ],
)
async def test_a_commit_finds_its_transfer_by_condition(
    exchange: Exchange, payer: str, fulfilment: str, to: str | None
) -> None:
    await both(exchange)

    await put(exchange, PATH, {**FULFIL, "fulfilment": fulfilment}, destination=to)

    assert {PAYER: "RESERVED", OTHER: "RESERVED", payer: "COMMITTED"} == states(exchange)
    assert {payer, PAYEE} == {one.receiver for one in exchange.callbacks()}


@pytest.mark.parametrize("payee", ["beta", STRANGER])
async def test_an_abort_finds_its_transfer_by_payee(exchange: Exchange, payee: str) -> None:
    await both(exchange, other_payee=payee)

    error = {"errorInformation": {"errorCode": "5100", "errorDescription": "no"}}
    await put(exchange, f"{PATH}/error", error, source=payee)
    assert {PAYER: "RESERVED", OTHER: "ABORTED_ERROR"} == states(exchange)

    await put(exchange, f"{PATH}/error", error, source=PAYEE)
    assert {PAYER: "ABORTED_ERROR", OTHER: "ABORTED_ERROR"} == states(exchange)


async def test_an_abort_for_a_payer_is_not_for_the_other(exchange: Exchange) -> None:
    await both(exchange)

    error = {"errorInformation": {"errorCode": "5100", "errorDescription": "no"}}
    await put(exchange, f"{PATH}/error", error, destination=OTHER)

    assert {PAYER: "RESERVED", OTHER: "ABORTED_ERROR"} == states(exchange)


async def test_a_fulfilment_that_fits_none_aborts_the_nearest_as_before(exchange: Exchange) -> None:
    await exchange.post(OTHER, payerFsp=OTHER, payeeFsp="beta", condition=CONDITION)
    await exchange.post()
    exchange.callbacks()

    await put(exchange, PATH, {**FULFIL, "fulfilment": "A" * 43})

    assert {PAYER: "ABORTED_ERROR", OTHER: "RESERVED"} == states(exchange)
    assert ["3100"] * 2 == [one.body["errorInformation"]["errorCode"] for one in exchange.callbacks()]


async def test_a_stranger_to_both_changes_neither(exchange: Exchange) -> None:
    await both(exchange)

    await put(exchange, PATH, FULFIL, source=STRANGER)

    assert {PAYER: "RESERVED", OTHER: "RESERVED"} == states(exchange)
    [refused] = exchange.callbacks()
    text = "Generic validation error - fspiop-source does not match payee fsp on the Fulfil callback response"
    assert (STRANGER, text) == (refused.receiver, refused.body["errorInformation"]["errorDescription"])


async def test_each_party_is_shown_its_own_transfer(exchange: Exchange) -> None:
    await both(exchange, other_payee="beta")
    await put(exchange, PATH, FULFIL, source=PAYEE)
    exchange.callbacks()

    for name, state in ((PAYER, "COMMITTED"), (PAYEE, "COMMITTED"), (OTHER, "RESERVED"), ("beta", "RESERVED")):
        await exchange.get(name)
        [shown] = exchange.callbacks()
        assert (name, state) == (shown.receiver, shown.body["transferState"])
    await exchange.get(STRANGER)
    assert ["3000"] == [one.body["errorInformation"]["errorCode"] for one in exchange.callbacks()]


async def test_an_answer_to_a_bulk_finds_the_bulk_by_payee_and_items(exchange: Exchange) -> None:
    for payer, payee, number in ((PAYER, PAYEE, 1), (OTHER, "beta", 2)):
        headers = {
            "FSPIOP-Source": payer,
            "FSPIOP-Destination": payee,
            "Content-Type": CONTENT_TYPE,
            "Accept": media("bulkTransfers", "1"),
        }
        sent = bulk([item(number)], payerFsp=payer, payeeFsp=payee)
        assert 202 == (await send_bulk(exchange.dfsp, "POST", "/bulkTransfers", headers, sent)).status
    results = [{"transferId": item(2)["transferId"], "fulfilment": FULFIL["fulfilment"]}]
    body = {"bulkTransferState": "COMPLETED", "individualTransferResults": results}

    headers = {"FSPIOP-Source": "beta", "FSPIOP-Destination": "Hub", "Content-Type": CONTENT_TYPE}
    await send_bulk(exchange.dfsp, "PUT", BULK_PATH, headers, body)

    rows = [view.rows(BULKS).get(BULK_ID) for view in exchange.hub.views]
    assert {PAYER: "ACCEPTED", OTHER: "COMPLETED"} == {row.payer: row.state.value for row in rows if row is not None}
