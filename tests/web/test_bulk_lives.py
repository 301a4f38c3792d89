"""Lives of bulks as DFSPs see them, message by message (protocol 8): from HTTP through the agents to the callbacks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.web.bulk_exchange import (
    FULFILMENT,
    OF_PAYEE,
    PATH,
    WRONG_FULFILMENT,
    accepted,
    bulk,
    bulk_callback,
    bulk_error_callback,
    callbacks_of,
    failed,
    fulfilled,
    get,
    item,
    item_id,
    post,
    put,
    put_error,
    send,
    states,
    tally,
)
from tests.web.exchange import PAYEE, PAYER, Callback, Exchange, an_exchange

NOT_ENOUGH = failed(2, "4001", "Payer FSP insufficient liquidity")
EXPIRED = ("3303", "Transfer expired")
INVALID = ("3100", "Generic validation error - invalid fulfilment")


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        yield one


async def test_all_items_commit_and_both_sides_see_all(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2)

    assert 200 == (await put(exchange, fulfilled(1, 2))).status

    assert [bulk_callback(side, "COMPLETED", *fulfilled(1, 2)) for side in (PAYER, PAYEE)] == callbacks_of(exchange)
    assert (20, -20) == await exchange.positions()
    assert ("COMPLETED", 0, 0, 2, 0, 0) == tally(exchange)


async def test_only_what_can_be_reserved_is_reserved_and_the_payee_never_sees_the_rest(exchange: Exchange) -> None:
    extensions = {"extension": [{"key": "k", "value": "v"}]}
    items = [item(1, "600"), item(2, "600", extensionList=extensions), item(3, "400", extensionList=extensions)]
    await post(exchange, *items, extensionList=extensions)

    sent = bulk([items[0], items[2]], extensionList=extensions)
    assert [Callback(PAYEE, "Hub", "POST", "/bulkTransfers", sent)] == callbacks_of(exchange)
    assert (1000, 0) == await exchange.positions()

    await put(exchange, fulfilled(1, 3))

    results = fulfilled(1, 3)
    assert [
        bulk_callback(PAYER, "COMPLETED", results[0], NOT_ENOUGH, results[1]),
        bulk_callback(PAYEE, "COMPLETED", *results),
    ] == callbacks_of(exchange)
    assert (1000, -1000) == await exchange.positions()


async def test_a_bulk_of_which_nothing_is_accepted_is_over_at_once(exchange: Exchange) -> None:
    await post(exchange, item(1, "1001"), item(2, "1002"))

    refusal = failed(1, "4001", "Payer FSP insufficient liquidity")
    assert [bulk_callback(PAYER, "REJECTED", refusal, NOT_ENOUGH)] == callbacks_of(exchange)
    assert (0, 0) == await exchange.positions()
    await get(exchange, PAYEE)
    assert [bulk_callback(PAYEE, "REJECTED")] == callbacks_of(exchange), "of no item"


async def test_each_item_ends_as_the_payee_says(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2, 3, 4)
    extensions = {"extension": [{"key": "k", "value": "v"}]}
    answers = [
        {**fulfilled(1)[0], "extensionList": extensions},
        failed(2, "5103", "closed"),
        *fulfilled(3, fulfilment=WRONG_FULFILMENT),
        {"transferId": item_id(4)},
    ]

    await put(exchange, answers)

    results = [answers[0], answers[1], failed(3, *INVALID), failed(4, *INVALID)]
    assert [bulk_callback(side, "COMPLETED", *results) for side in (PAYER, PAYEE)] == callbacks_of(exchange)
    assert (10, -10) == await exchange.positions()
    assert ("COMPLETED", 0, 0, 1, 3, 0) == tally(exchange)


async def test_items_that_the_payee_leaves_out_expire(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2)
    await put(exchange, fulfilled(1))
    assert [] == callbacks_of(exchange)
    assert ("PROCESSING", 0, 1, 1, 0, 0) == tally(exchange)
    await get(exchange, PAYER)
    assert [
        bulk_callback(PAYER, "PROCESSING", *fulfilled(1), {"transferId": item_id(2)}, completed=None)
    ] == callbacks_of(exchange)

    exchange.expire()
    exchange.hub.punctuate()

    results = [*fulfilled(1), failed(2, *EXPIRED)]
    assert [bulk_callback(side, "COMPLETED", *results) for side in (PAYER, PAYEE)] == callbacks_of(exchange)
    assert (10, -10) == await exchange.positions()
    assert ("COMPLETED", 0, 0, 1, 0, 1) == tally(exchange)
    exchange.hub.punctuate()
    assert [] == callbacks_of(exchange), "it is not due any more"


async def test_a_bulk_without_an_answer_expires_and_a_late_one_is_ignored(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2)
    exchange.expire()

    await put(exchange, fulfilled(1, 2))
    await put_error(exchange)
    assert [] == callbacks_of(exchange), "too late, though nobody has noticed yet"
    exchange.hub.punctuate()

    results = [failed(1, *EXPIRED), failed(2, *EXPIRED)]
    assert [bulk_callback(side, "COMPLETED", *results) for side in (PAYER, PAYEE)] == callbacks_of(exchange)
    assert (0, 0) == await exchange.positions()
    await put(exchange, fulfilled(1, 2))
    assert [] == callbacks_of(exchange)
    assert (0, 0) == await exchange.positions()


async def test_the_payee_aborts_the_whole_bulk(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2)

    await put_error(exchange, "5100", "An error occured")

    assert [bulk_error_callback(side, "5100", "An error occured") for side in (PAYER, PAYEE)] == callbacks_of(exchange)
    assert (0, 0) == await exchange.positions()
    await get(exchange, PAYER)
    results = [failed(number, "5100", "An error occured") for number in (1, 2)]
    assert [bulk_callback(PAYER, "REJECTED", *results)] == callbacks_of(exchange)
    await put_error(exchange, "5100", "An error occured")
    assert [bulk_callback(PAYEE, "REJECTED", *results)] == callbacks_of(exchange), "the same again"
    await put_error(exchange, "5101", "other words")
    assert [bulk_error_callback(PAYEE, "3106", "Modified request")] == callbacks_of(exchange)
    await put(exchange, fulfilled(1, 2))
    assert [bulk_error_callback(PAYEE, "3100", "Generic validation error - bulk transfer is final")] == callbacks_of(
        exchange
    )


async def test_the_extensions_of_a_bulk_s_error_are_sent_once(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2)
    extensions = {"extension": [{"key": "k", "value": "v"}]}
    body = {"errorInformation": {"errorCode": "5100", "errorDescription": "no", "extensionList": extensions}}

    await send(exchange.dfsp, "PUT", f"{PATH}/error", OF_PAYEE, body)

    assert [body, body] == [one.body for one in callbacks_of(exchange)]
    await get(exchange, PAYER)
    assert [bulk_callback(PAYER, "REJECTED", failed(1), failed(2))] == callbacks_of(exchange)


async def test_an_error_after_a_partial_answer_ends_the_rest(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2)
    await put(exchange, fulfilled(1))

    await put_error(exchange, "9999", "of no group")

    undefined = failed(2, "3100", "Generic validation error - API specification undefined errorCode")
    results = [*fulfilled(1), undefined]
    assert [bulk_callback(side, "COMPLETED", *results) for side in (PAYER, PAYEE)] == callbacks_of(exchange)
    assert (10, -10) == await exchange.positions()


async def test_what_is_sent_twice_moves_nothing(exchange: Exchange) -> None:
    await accepted(exchange, 1)
    await post(exchange, item(1))
    assert [] == callbacks_of(exchange), "the first is at work"
    await post(exchange, item(1), item(2))
    assert [bulk_error_callback(PAYER, "3106", "Modified request")] == callbacks_of(exchange)
    await put(exchange, fulfilled(1))
    callbacks_of(exchange)

    await put(exchange, fulfilled(1))
    assert [bulk_callback(PAYEE, "COMPLETED", *fulfilled(1))] == callbacks_of(exchange)
    await put(exchange, [failed(1)])
    assert [bulk_error_callback(PAYEE, "3106", "Modified request")] == callbacks_of(exchange)
    await post(exchange, item(1))
    assert [bulk_callback(PAYER, "COMPLETED", *fulfilled(1))] == callbacks_of(exchange)
    assert (10, -10) == await exchange.positions()


async def test_the_same_partial_answer_again_is_ignored(exchange: Exchange) -> None:
    await accepted(exchange, 1, 2)
    await put(exchange, fulfilled(1))

    await put(exchange, fulfilled(1))
    await put(exchange, fulfilled(1, 2))

    assert [bulk_error_callback(PAYEE, "3106", "Modified request")] == callbacks_of(exchange)
    assert ("PROCESSING", 0, 1, 1, 0, 0) == tally(exchange)


async def test_items_under_ids_that_are_consumed_are_refused(exchange: Exchange) -> None:
    await exchange.post(transferId=item_id(1), amount={"currency": "USD", "amount": "10"}, extensionList=None)
    await exchange.post(transferId=item_id(2), amount={"currency": "USD", "amount": "10"}, extensionList=None)
    exchange.callbacks()
    # Line 1 and the transfer say the same in another order, and so are not the same (protocol 3.2).
    await post(exchange, item(1), item(3), item(3), item(3, "11"))

    assert [bulk([item(3)])] == [one.body for one in callbacks_of(exchange)]
    await put(exchange, [*fulfilled(1, 2, 3), *fulfilled(3, 4)])

    repeated = failed(3, "3106", "Modified request - Individual transfer prepare duplicate")
    results = [failed(1, "3106", "Modified request"), *fulfilled(3), repeated, failed(3, "3106", "Modified request")]
    assert [
        bulk_callback(PAYER, "COMPLETED", *results),
        bulk_callback(PAYEE, "COMPLETED", *fulfilled(3)),
    ] == callbacks_of(exchange)
    assert "RESERVED" == states(exchange)[item_id(1)], "another's item is none of this bulk"
    assert (30, -10) == await exchange.positions()


async def test_an_item_is_a_transfer_that_answers_gets_but_not_puts(exchange: Exchange) -> None:
    await accepted(exchange, 1)
    await exchange.get(transfer_id=item_id(1))
    body = {"transferState": "RESERVED"}
    assert [Callback(PAYER, "Hub", "PUT", f"/transfers/{item_id(1)}", body)] == exchange.callbacks()

    answer = json.dumps({"fulfilment": FULFILMENT, "transferState": "COMMITTED"}).encode()
    await exchange.dfsp.send("PUT", f"/transfers/{item_id(1)}", {"FSPIOP-Destination": PAYER}, answer)

    description = "Generic validation error - transfer is a line of a bulk, and answered with it"
    error = {"errorInformation": {"errorCode": "3100", "errorDescription": description}}
    assert [Callback(PAYEE, "Hub", "PUT", f"/transfers/{item_id(1)}/error", error)] == exchange.callbacks()
    assert ("ACCEPTED", 0, 1, 0, 0, 0) == tally(exchange)
