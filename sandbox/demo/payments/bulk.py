"""A whole bulk payment: a lookup of each payee, one bulk quote, one bulk transfer (protocol 7.2, 8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import ClientError

from sandbox.demo.payments.content_checks import bulk_request_problems, bulk_result_problems, quote_problems
from sandbox.demo.payments.deals import PaymentKind, bulk_deal
from sandbox.demo.payments.payment_result import PaymentResult
from sandbox.demo.payments.scenario_runner import ScenarioRunner
from sandbox.dfsp.agreements import UnansweredError
from sandbox.dfsp.fspiop_client import retry_while_busy
from sandbox.dfsp.messages import Answer, Callback
from sandbox.dfsp.requests import PaymentIntent, bulk_quote_request
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import LIFETIME_S, Terms, TransferOrder, bulk_body, new_transfer_id, timestamp

LOOKUPS_AT_ONCE: Final = 8
COMPLETED: Final = "PUT COMPLETED"


async def pay_bulk(
    runner: ScenarioRunner,
    payer: SimulatedDfsp,
    payee: SimulatedDfsp,
    intents: Sequence[PaymentIntent],
    timeout_s: float,
) -> PaymentResult:
    """Make one bulk of these payments, all of which must commit; each callback must come within `timeout_s`."""
    payment = PaymentResult(PaymentKind.BULK)
    try:
        await _look_up_all(runner, payment, intents)
        orders, bulk_quote_id = await _quote(runner, payment, intents)
        if orders:
            await _transfer(runner, payment, (payer, payee), orders, bulk_quote_id, timeout_s)
    except (UnansweredError, ClientError, TimeoutError) as error:
        payment.problems.append(str(error))
    return payment


async def _look_up_all(runner: ScenarioRunner, payment: PaymentResult, intents: Sequence[PaymentIntent]) -> None:
    room = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def look_up(intent: PaymentIntent) -> None:
        async with room:
            await runner.look_up(payment, intent)

    found = await asyncio.gather(*(look_up(intent) for intent in intents), return_exceptions=True)
    for failure in found:
        if failure is not None:
            raise failure


async def _quote(
    runner: ScenarioRunner, payment: PaymentResult, intents: Sequence[PaymentIntent]
) -> tuple[list[TransferOrder], str]:
    """Return the transfers on the bulk quote's terms, none if an item has no terms, and the bulk quote's id."""
    content = bulk_quote_request(intents)
    bulk_quote_id, payer, payee = content["bulkQuoteId"], intents[0].payer.fsp, intents[0].payee.fsp
    answer = await runner.request(payment, payer, payee, "POST", "/bulkQuotes", bulk_quote_id, content)
    results = {item.get("quoteId"): item for item in answer.content.get("individualQuoteResults", ())}
    expiration = timestamp(LIFETIME_S)
    orders = []
    for index, (intent, quote) in enumerate(zip(intents, content["individualQuotes"], strict=True)):
        result: dict[str, Any] | None = results.get(quote["quoteId"])
        if result is None:
            payment.problems.append(f"quote: no terms for item {index}")
            return [], bulk_quote_id
        deal = bulk_deal(index)
        payment.problems += quote_problems(result, quote, intent, deal)
        terms = Terms(str(result.get("ilpPacket")), str(result.get("condition")))
        orders.append(
            TransferOrder(new_transfer_id(), payer, payee, deal.pays_units, intent.currency, terms, expiration)
        )
    return orders, bulk_quote_id


async def _transfer(
    runner: ScenarioRunner,
    payment: PaymentResult,
    sides: tuple[SimulatedDfsp, SimulatedDfsp],
    orders: Sequence[TransferOrder],
    bulk_quote_id: str,
    timeout_s: float,
) -> None:
    """POST the bulk, wait for both sides' results, and let both sides GET it; what is wrong is added to the payment."""
    payer, payee = sides
    bulk_id = new_transfer_id()
    payment.moved += [(order.payer, order.payee, order.amount_units) for order in orders]
    body = bulk_body(bulk_id, orders, bulk_quote_id)
    _expect_accepted(await retry_while_busy(lambda: payer.client.post_bulk(bulk_id, payee.name, body), timeout_s))
    results = [await _wait_for_results(side, bulk_id, 1, timeout_s) for side in sides]
    runner.add_exchange(payment, "bulkTransfers", bulk_id, payer.name, payee.name)
    request = next(callback for callback in payee.callbacks_of(bulk_id) if callback.label == "POST")
    payment.problems += bulk_request_problems(request.content, orders)
    for side, result in zip(sides, results, strict=True):
        payment.problems += bulk_result_problems(result.content, orders, side.name)
        _expect_accepted(await retry_while_busy(partial(side.client.get_bulk, bulk_id), timeout_s))
        again = await _wait_for_results(side, bulk_id, 2, timeout_s)
        if _comparable(again) != _comparable(result):
            payment.problems.append(f"transfer: the answer to GET by {side.name} differs from the callback")
    for side in sides:
        expected = {COMPLETED, "POST"} if side is payee else {COMPLETED}
        unexpected = {callback.label for callback in side.callbacks_of(bulk_id)} - expected
        payment.problems += [f"transfer: {side.name} got {label}, unexpected" for label in unexpected]


def _expect_accepted(answer: Answer) -> None:
    if answer.status != HTTPStatus.ACCEPTED:
        raise UnansweredError(f"transfer: answered {answer.text}")


async def _wait_for_results(side: SimulatedDfsp, bulk_id: str, count: int, timeout_s: float) -> Callback:
    return await side.wait_for(bulk_id, lambda callback: callback.label == COMPLETED, count=count, timeout_s=timeout_s)


def _comparable(callback: Callback) -> str:
    return json.dumps(callback.content, sort_keys=True)
