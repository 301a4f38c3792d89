"""A duplicate is known as long as its message is valid, and money from outside for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tables.bulks import BULKS
from tables.transfers import TRANSFERS
from tests.web.admin_world import FUNDS_ID, Operator, an_operator
from tests.web.bulk_exchange import bulk_error_callback, callbacks_of, item, post
from tests.web.exchange import PAYER, Exchange, an_exchange
from tests.web.fspiop_client import NOW_MS, TRANSFER_ID

RETENTION_S = 60
DAY_MS = 86_400_000
IN_A_WEEK = "2023-11-21T00:00:00.000Z"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange(transfer_retention_s=RETENTION_S) as one:
        yield one


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    async with an_operator(transfer_retention_s=RETENTION_S) as one:
        await one.currency()
        await one.dfsp()
        yield one


async def test_a_committed_transfer_is_not_committed_again_before_its_expiration(exchange: Exchange) -> None:
    for day in range(3):
        await exchange.post(expiration=IN_A_WEEK)
        await exchange.put()
        assert (123.45, -123.45) == tuple(float(value) for value in await exchange.positions()), day
        exchange.hub.now_ms += DAY_MS
        exchange.hub.punctuate()


async def test_after_expiration_and_retention_its_row_leaves_and_the_message_is_worthless(exchange: Exchange) -> None:
    await exchange.post(expiration=IN_A_WEEK)
    await exchange.put()
    exchange.hub.now_ms += 8 * DAY_MS
    exchange.hub.punctuate()
    assert TRANSFER_ID not in exchange.hub.rows(TRANSFERS)
    exchange.callbacks()

    await exchange.post(expiration=IN_A_WEEK)
    [refused] = exchange.callbacks()
    assert (PAYER, "3100") == (refused.receiver, refused.body["errorInformation"]["errorCode"])


async def test_a_bulk_is_known_until_its_expiration(exchange: Exchange) -> None:
    await post(exchange, item(1, "2000"), expiration=IN_A_WEEK)  # more than there is: the bulk ends at once
    exchange.hub.now_ms += DAY_MS
    exchange.hub.punctuate()
    callbacks_of(exchange)

    await post(exchange, item(1, "10"), expiration=IN_A_WEEK)
    assert [bulk_error_callback(PAYER, "3106", "Modified request")] == callbacks_of(exchange)

    exchange.hub.now_ms += 8 * DAY_MS
    exchange.hub.punctuate()
    assert {} == exchange.hub.rows(BULKS)
    assert all(row.kind != "transfer" for row in exchange.hub.rows(TRANSFERS).values())


@pytest.mark.parametrize("resource", ["transfers", "bulkTransfers"])
async def test_an_expiration_too_far_in_the_future_is_refused_at_once(resource: str) -> None:
    async with an_exchange(expiration_ahead_s_max=3_600) as exchange:
        text = "Generic validation error - /requestBody/expiration must be at most 3600 s in the future"
        for expiration, accepted in (("2023-11-14T23:13:20.000Z", True), ("2023-11-14T23:13:20.001Z", False)):
            exchange.hub.records.clear()
            if resource == "transfers":
                answer = await exchange.post(expiration=expiration)
            else:
                answer = await post(exchange, item(1), expiration=expiration)
            assert (answer.status == 202) == accepted == bool(exchange.hub.records)
            assert accepted or (400, "3100", text) == answer.error
    assert NOW_MS == 1_700_000_000_000


async def funds_reason(operator: Operator, action: str, amount: Any, transfer_id: str = FUNDS_ID) -> str | None:
    account_id = (await operator.account("SETTLEMENT"))["id"]
    body = {
        "transferId": transfer_id,
        "externalReference": "bank-7",
        "action": action,
        "reason": "test",
        "amount": {"amount": amount, "currency": "USD"},
    }
    path = f"/participants/dfsp/accounts/{account_id}"
    async with operator.client.post(path, json=body) as response:
        assert 202 == response.status
        return response.headers.get("X-Funds-Reason")


def a_year_later(operator: Operator) -> None:
    operator.hub.now_ms += 366 * DAY_MS
    operator.hub.punctuate()
    assert {} == operator.hub.rows(TRANSFERS)


async def test_funds_are_recorded_once_for_ever(operator: Operator) -> None:
    assert await funds_reason(operator, "recordFundsIn", 100) is None
    a_year_later(operator)

    assert "already COMMITTED" == await funds_reason(operator, "recordFundsIn", 100)
    assert "another request has this transferId" == await funds_reason(operator, "recordFundsIn", 200)
    assert "another request has this transferId" == await funds_reason(operator, "recordFundsOutPrepareReserve", 100)
    assert (-100, 100) == await operator.balances()


async def test_funds_out_are_completed_once_for_ever(operator: Operator) -> None:
    out = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    await funds_reason(operator, "recordFundsIn", 100)
    await funds_reason(operator, "recordFundsOutPrepareReserve", 40, out)
    account_id = (await operator.account("SETTLEMENT"))["id"]
    path = f"/participants/dfsp/accounts/{account_id}/transfers/{out}"
    await operator.put(path, {"action": "recordFundsOutCommit", "reason": "paid"})
    assert (-60, 60) == await operator.balances()
    a_year_later(operator)

    for action in ("recordFundsOutAbort", "recordFundsOutCommit"):
        async with operator.client.put(path, json={"action": action, "reason": "again"}) as response:
            assert "already COMMITTED" == response.headers["X-Funds-Reason"]
    assert "already COMMITTED" == await funds_reason(operator, "recordFundsOutPrepareReserve", 40, out)
    assert (-60, 60) == await operator.balances()
