"""Lives of transfers as DFSPs see them, message by message (protocol 3): what no single decision shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.web.exchange import (
    PAYEE,
    PAYER,
    STRANGER,
    Callback,
    Exchange,
    an_exchange,
    error_callback,
    fund,
    state_callback,
)
from tests.web.fspiop_client import ERROR, FULFIL, PREPARE, TRANSFER_ID

HELD = Decimal("123.45")
COMPLETED = "2023-11-14T22:13:20.010Z"
FUNDS_ID = "b51ec534-ee48-4575-b6a9-ead2955b8055"
CAUSE = {"extension": [{"key": "cause", "value": "3100: Generic validation error - invalid fulfilment"}]}
OF_ITSELF = {"FSPIOP-Source": PAYER, "FSPIOP-Destination": PAYER}


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        yield one


@pytest.fixture
async def on_us() -> AsyncIterator[Exchange]:
    async with an_exchange(on_us_transfers=True) as one:
        yield one


async def a_reserved_transfer(exchange: Exchange) -> None:
    await exchange.post()
    assert [(PAYEE, PAYER, "POST", "/transfers", PREPARE)] == exchange.callbacks()


async def test_a_transfer_to_oneself_is_refused_unless_the_scheme_allows_it(exchange: Exchange) -> None:
    await exchange.post(payeeFsp=PAYER)

    detail = "Payer FSP and Payee FSP should be different, unless on-us tranfers are allowed by the Scheme"
    description = f"Generic validation error - {detail}"
    assert [error_callback(PAYER, "3100", description, PREPARE["extensionList"])] == exchange.callbacks()


async def test_a_transfer_to_oneself_commits_without_a_second_word(on_us: Exchange) -> None:
    await on_us.post(payeeFsp=PAYER)
    assert [(PAYER, "POST")] == [(one.receiver, one.method) for one in on_us.callbacks()]
    assert HELD == (await on_us.positions())[0]

    await on_us.put(OF_ITSELF)

    assert [Callback(PAYER, PAYER, "PUT", f"/transfers/{TRANSFER_ID}", FULFIL)] == on_us.callbacks()
    assert (0, 0) == await on_us.positions()


async def test_a_transfer_to_oneself_expires(on_us: Exchange) -> None:
    await on_us.post(payeeFsp=PAYER)
    on_us.callbacks()
    on_us.expire()

    on_us.hub.punctuate()

    assert [error_callback(PAYER, "3303", "Transfer expired")] * 2 == on_us.callbacks(), "as payer and as payee"
    assert (0, 0) == await on_us.positions()


async def test_two_are_both_notified_though_transfers_to_oneself_are_allowed(on_us: Exchange) -> None:
    await on_us.post(payeeFsp=STRANGER)
    on_us.callbacks()

    await on_us.put({"FSPIOP-Source": STRANGER})

    assert [PAYER, STRANGER] == [one.receiver for one in on_us.callbacks()]


async def test_a_payee_that_reserved_is_notified_by_patch(exchange: Exchange) -> None:
    await a_reserved_transfer(exchange)

    await exchange.put(transferState="RESERVED", completedTimestamp=COMPLETED)

    committed = {"completedTimestamp": COMPLETED, "transferState": "COMMITTED"}
    both = [
        state_callback(PAYER, **committed, fulfilment=FULFIL["fulfilment"]),
        state_callback(PAYEE, "PATCH", **committed),
    ]
    assert both == exchange.callbacks()

    await exchange.put(transferState="RESERVED", completedTimestamp=COMPLETED)

    assert both == exchange.callbacks(), "the same message again: the same callbacks again"
    assert HELD == (await exchange.positions())[0]


async def test_a_payee_that_reserved_wrongly_is_notified_again_too(exchange: Exchange) -> None:
    await a_reserved_transfer(exchange)
    await exchange.put(transferState="RESERVED", fulfilment=None)
    first = exchange.callbacks()
    patch = first.pop()

    assert [PAYER, PAYEE] == [one.receiver for one in first]
    assert (PAYEE, "PATCH", "ABORTED", CAUSE) == (
        patch.receiver,
        patch.method,
        patch.body["transferState"],
        patch.body["extensionList"],
    )

    await exchange.put(transferState="RESERVED", fulfilment=None)

    assert [patch] == exchange.callbacks()


async def test_a_rejection_by_put_changes_nothing_and_uses_the_fulfil_up(exchange: Exchange) -> None:
    await a_reserved_transfer(exchange)

    await exchange.put(transferState="ABORTED", fulfilment=None)

    assert [] == exchange.callbacks()
    assert HELD == (await exchange.positions())[0]

    await exchange.put()

    assert [error_callback(PAYEE, "3106", "Modified request")] == exchange.callbacks()
    assert HELD == (await exchange.positions())[0]

    await exchange.put_error()

    assert [
        Callback(PAYER, PAYEE, "PUT", f"/transfers/{TRANSFER_ID}/error", ERROR),
        Callback(PAYEE, "Hub", "PUT", f"/transfers/{TRANSFER_ID}/error", ERROR),
    ] == exchange.callbacks()
    assert (0, 0) == await exchange.positions()


@pytest.mark.parametrize("source", [PAYER, STRANGER])
async def test_a_repeated_prepare_tells_the_payer_whoever_repeats_it(exchange: Exchange, source: str) -> None:
    await a_reserved_transfer(exchange)
    await exchange.put()
    exchange.callbacks()

    await exchange.post(source)

    (callback,) = exchange.callbacks()
    assert (PAYER, "PUT", "COMMITTED") == (callback.receiver, callback.method, callback.body["transferState"])


async def shown(exchange: Exchange, source: str = PAYER) -> Any:
    """What a DFSP sees of the funds' transfer, without its time and its reference."""
    await exchange.get(source, FUNDS_ID)
    (callback,) = exchange.callbacks()
    callback.body.pop("completedTimestamp", None)
    extensions = callback.body.pop("extensionList", {"extension": []})["extension"]
    return (callback.path.rpartition("/")[2] == "error", callback.body, [one["key"] for one in extensions])


async def test_a_dfsp_sees_its_funds_come_in(exchange: Exchange) -> None:
    await fund(exchange.operator, PAYER, 5, FUNDS_ID)

    assert (False, {"transferState": "COMMITTED"}, ["externalReference"]) == await shown(exchange)
    assert (True, {"errorInformation": {"errorCode": "3000", "errorDescription": "Generic client error"}}, []) == (
        await shown(exchange, PAYEE)
    )


@pytest.mark.parametrize(
    ("action", "state"), [("recordFundsOutCommit", "COMMITTED"), ("recordFundsOutAbort", "ABORTED")]
)
async def test_a_dfsp_sees_its_funds_go_out(exchange: Exchange, action: str, state: str) -> None:
    await fund(exchange.operator, PAYER, 5, FUNDS_ID, "recordFundsOutPrepareReserve")

    assert (False, {"transferState": "RESERVED"}, ["externalReference"]) == await shown(exchange)

    account = await exchange.operator.account("SETTLEMENT", PAYER)
    path = f"/participants/{PAYER}/accounts/{account['id']}/transfers/{FUNDS_ID}"
    assert 202 == (await exchange.operator.put(path, {"action": action, "reason": "test"})).status

    assert (False, {"transferState": state}, ["externalReference"]) == await shown(exchange)


async def test_a_dfsp_sees_why_its_funds_stayed(exchange: Exchange) -> None:
    await fund(exchange.operator, PAYER, 1001, FUNDS_ID, "recordFundsOutPrepareReserve")

    assert (False, {"transferState": "ABORTED"}, ["externalReference", "cause"]) == await shown(exchange)


async def test_funds_are_no_transfer_that_a_dfsp_could_answer(exchange: Exchange) -> None:
    await fund(exchange.operator, PAYER, 5, TRANSFER_ID, "recordFundsOutPrepareReserve")

    await exchange.put()

    assert [error_callback(PAYEE, "2001", "Internal server error - transfer not found")] == exchange.callbacks()
    assert -995 == (await exchange.operator.account("SETTLEMENT", PAYER))["value"]
