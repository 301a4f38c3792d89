"""A payment between two customers of one DFSP, which the hub accepts or refuses by a setting (protocol 3.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from aiohttp import ClientError

from sandbox.demo.payments.deals import DEALS, PaymentKind
from sandbox.demo.payments.payment_result import PaymentResult
from sandbox.demo.payments.scenario_runner import ScenarioRunner
from sandbox.dfsp.agreements import UnansweredError
from sandbox.dfsp.fspiop_client import retry_while_busy
from sandbox.dfsp.messages import Answer, Callback
from sandbox.dfsp.requests import PaymentIntent
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import TransferOrder


async def pay_on_us(
    runner: ScenarioRunner,
    dfsp: SimulatedDfsp,
    intent: PaymentIntent,
    hub_name: str,
    *,
    is_allowed: bool,
    timeout_s: float,
) -> PaymentResult:
    """Make a payment within `dfsp`: it must commit if the hub allows it (`is_allowed`), or else be refused with 3100.

    A DFSP that pays itself receives one callback about the commit, without a confirmation (protocol 3.6).
    """
    payment = PaymentResult(PaymentKind.ON_US)
    payment.is_refused = not is_allowed
    moved = (f"POST from {dfsp.name}", f"PUT COMMITTED from {dfsp.name}")
    outcome = moved if is_allowed else (f"ERROR 3100 from {hub_name}",)
    labels_at_end = (*outcome, f"PUT {'COMMITTED' if is_allowed else 'ABORTED'} from {hub_name}")
    try:
        order = await runner.agree(payment, intent)
        await _send(dfsp, order, outcome, labels_at_end, timeout_s)
    except (UnansweredError, ClientError, TimeoutError) as error:
        payment.problems.append(f"transfer: {error}")
        return payment
    if is_allowed:
        runner.add_exchange(payment, "transfers", order.transfer_id, dfsp.name, dfsp.name)
        payment.moved.append((dfsp.name, dfsp.name, DEALS[payment.kind].pays_units))
    seen = {_label(callback) for callback in dfsp.callbacks_of(order.transfer_id)}
    payment.problems += [f"transfer: got {label}, unexpected" for label in seen.difference(labels_at_end)]
    return payment


async def _send(
    dfsp: SimulatedDfsp,
    order: TransferOrder,
    outcome: tuple[str, ...],
    labels_at_end: tuple[str, ...],
    timeout_s: float,
) -> None:
    """POST the transfer, then GET it, and wait for the callbacks of each.

    Raises:
        UnansweredError: the hub refused one of the two requests.
        TimeoutError, aiohttp.ClientError: the hub did not answer, or a callback did not come.
    """
    await _request_and_wait(dfsp, order, outcome, partial(dfsp.post_transfer, order), timeout_s)
    await _request_and_wait(dfsp, order, labels_at_end, partial(dfsp.get_transfer, order.transfer_id), timeout_s)


async def _request_and_wait(
    dfsp: SimulatedDfsp,
    order: TransferOrder,
    labels: tuple[str, ...],
    send: Callable[[], Awaitable[Answer]],
    timeout_s: float,
) -> None:
    answer = await retry_while_busy(send, timeout_s)
    if answer.status != HTTPStatus.ACCEPTED:
        raise UnansweredError(f"answered {answer.text}")
    for label in labels:
        await dfsp.wait_for(order.transfer_id, partial(_is, label), timeout_s=timeout_s)


def _is(label: str, callback: Callback) -> bool:
    return _label(callback) == label


def _label(callback: Callback) -> str:
    return f"{callback.label} from {callback.source or 'nobody'}"
