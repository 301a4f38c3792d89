"""A bulk from finding the payees to the money: lookups, one bulk quote, one bulk transfer (protocol 7.2, 8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import ClientError

from sandbox.agreement import UnansweredError
from sandbox.bulk import bulk_body
from sandbox.callback import Answer, Callback
from sandbox.demo.payments.check import bulk_request_problems, bulk_result_problems, quote_problems
from sandbox.demo.payments.kinds import PaymentKind, bulk_deal
from sandbox.demo.payments.payment import Payment
from sandbox.demo.payments.teller import Teller
from sandbox.dfsp import SimulatedDfsp
from sandbox.patience import patiently
from sandbox.requests import Wish, bulk_quote_request
from sandbox.wire import LIFETIME_S, Terms, TransferOrder, new_transfer_id, timestamp

LOOKUPS_AT_ONCE: Final = 8
COMPLETED: Final = "PUT COMPLETED"


async def pay_bulk(
    teller: Teller, payer: SimulatedDfsp, payee: SimulatedDfsp, wishes: Sequence[Wish], timeout_s: float
) -> Payment:
    """Make one bulk of these wishes, all of which must commit; `timeout_s` is for any one callback."""
    payment = Payment(PaymentKind.BULK)
    try:
        await _look_up_all(teller, payment, wishes)
        orders, bulk_quote_id = await _quote(teller, payment, wishes)
        if orders:
            await _transfer(teller, payment, (payer, payee), orders, bulk_quote_id, timeout_s)
    except (UnansweredError, ClientError, TimeoutError) as error:
        payment.problems.append(str(error))
    return payment


async def _look_up_all(teller: Teller, payment: Payment, wishes: Sequence[Wish]) -> None:
    room = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def look_up(wish: Wish) -> None:
        async with room:
            await teller.look_up(payment, wish)

    found = await asyncio.gather(*(look_up(wish) for wish in wishes), return_exceptions=True)
    for failure in found:
        if failure is not None:
            raise failure


async def _quote(teller: Teller, payment: Payment, wishes: Sequence[Wish]) -> tuple[list[TransferOrder], str]:
    """The transfers on the terms of the bulk quote, none if a line has no terms; and the quote's id."""
    content = bulk_quote_request(wishes)
    bulk_quote_id, payer, payee = content["bulkQuoteId"], wishes[0].payer.fsp, wishes[0].payee.fsp
    heard = await teller.ask(payment, payer, payee, "POST", "/bulkQuotes", bulk_quote_id, content)
    results = {one.get("quoteId"): one for one in heard.content.get("individualQuoteResults", ())}
    expiration = timestamp(LIFETIME_S)
    orders = []
    for line, (wish, quote) in enumerate(zip(wishes, content["individualQuotes"], strict=True)):
        result: dict[str, Any] | None = results.get(quote["quoteId"])
        if result is None:
            payment.problems.append(f"quote: no terms for line {line}")
            return [], bulk_quote_id
        deal = bulk_deal(line)
        payment.problems += quote_problems(result, quote, wish, deal)
        terms = Terms(str(result.get("ilpPacket")), str(result.get("condition")))
        orders.append(TransferOrder(new_transfer_id(), payer, payee, deal.pays_units, wish.currency, terms, expiration))
    return orders, bulk_quote_id


async def _transfer(
    teller: Teller,
    payment: Payment,
    sides: tuple[SimulatedDfsp, SimulatedDfsp],
    orders: Sequence[TransferOrder],
    bulk_quote_id: str,
    timeout_s: float,
) -> None:
    """POST, wait for both sides' results, and have both ask for them again."""
    payer, payee = sides
    bulk_id = new_transfer_id()
    payment.moved += [(order.payer, order.payee, order.amount_units) for order in orders]
    body = bulk_body(bulk_id, orders, bulk_quote_id)
    _expect_accepted(await patiently(lambda: payer.client.post_bulk(bulk_id, payee.name, body), timeout_s))
    told = [await _hear(side, bulk_id, 1, timeout_s) for side in sides]
    teller.add_exchange(payment, "bulkTransfers", bulk_id, payer.name, payee.name)
    request = next(callback for callback in payee.callbacks_of(bulk_id) if callback.label == "POST")
    payment.problems += bulk_request_problems(request.content, orders)
    for side, result in zip(sides, told, strict=True):
        payment.problems += bulk_result_problems(result.content, orders, side.name)
        _expect_accepted(await patiently(partial(side.client.get_bulk, bulk_id), timeout_s))
        again = await _hear(side, bulk_id, 2, timeout_s)
        if _comparable(again) != _comparable(result):
            payment.problems.append(f"transfer: GET by {side.name} told otherwise than the callback")
    for side in sides:
        expected = {COMPLETED, "POST"} if side is payee else {COMPLETED}
        strange = {one.label for one in side.callbacks_of(bulk_id)} - expected
        payment.problems += [f"transfer: {side.name} got {label}, unexpected" for label in strange]


def _expect_accepted(answer: Answer) -> None:
    if answer.status != HTTPStatus.ACCEPTED:
        raise UnansweredError(f"transfer: answered {answer.text}")


async def _hear(side: SimulatedDfsp, bulk_id: str, count: int, timeout_s: float) -> Callback:
    return await side.wait_for(bulk_id, lambda one: one.label == COMPLETED, count=count, timeout_s=timeout_s)


def _comparable(callback: Callback) -> str:
    return json.dumps(callback.content, sort_keys=True)
