"""A payment within one DFSP, which the hub moves or refuses as it is set (protocol 3.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from aiohttp import ClientError

from sandbox.agreement import UnansweredError
from sandbox.callback import Answer, Callback
from sandbox.demo.payments.kinds import DEALS, PaymentKind
from sandbox.demo.payments.payment import Payment
from sandbox.demo.payments.teller import Teller
from sandbox.dfsp import SimulatedDfsp
from sandbox.patience import patiently
from sandbox.requests import Wish
from sandbox.wire import TransferOrder


async def pay_on_us(
    teller: Teller, dfsp: SimulatedDfsp, wish: Wish, hub_name: str, *, is_allowed: bool, timeout_s: float
) -> Payment:
    """Find and quote through the hub, then send: it must commit if the hub `is_allowed` to, else be refused (3100).

    Who pays itself hears of the commit once, without a confirmation (protocol 3.6).
    """
    payment = Payment(PaymentKind.ON_US)
    payment.is_refused = not is_allowed
    moved = (f"POST from {dfsp.name}", f"PUT COMMITTED from {dfsp.name}")
    outcome = moved if is_allowed else (f"ERROR 3100 from {hub_name}",)
    at_the_end = (*outcome, f"PUT {'COMMITTED' if is_allowed else 'ABORTED'} from {hub_name}")
    try:
        order = await teller.agree(payment, wish)
        await _send(dfsp, order, outcome, at_the_end, timeout_s)
    except (UnansweredError, ClientError, TimeoutError) as error:
        payment.problems.append(f"transfer: {error}")
        return payment
    if is_allowed:
        teller.add_exchange(payment, "transfers", order.transfer_id, dfsp.name, dfsp.name)
        payment.moved.append((dfsp.name, dfsp.name, DEALS[payment.kind].pays_units))
    seen = {_label(callback) for callback in dfsp.callbacks_of(order.transfer_id)}
    payment.problems += [f"transfer: got {label}, unexpected" for label in seen.difference(at_the_end)]
    return payment


async def _send(
    dfsp: SimulatedDfsp, order: TransferOrder, outcome: tuple[str, ...], at_the_end: tuple[str, ...], timeout_s: float
) -> None:
    """POST and GET, and all callbacks of both.

    Raises:
        UnansweredError: the hub did not take one of them.
        TimeoutError, aiohttp.ClientError: it did not answer, or a callback did not come.
    """
    await _hear(dfsp, order, outcome, partial(dfsp.post_transfer, order), timeout_s)
    await _hear(dfsp, order, at_the_end, partial(dfsp.get_transfer, order.transfer_id), timeout_s)


async def _hear(
    dfsp: SimulatedDfsp,
    order: TransferOrder,
    labels: tuple[str, ...],
    send: Callable[[], Awaitable[Answer]],
    timeout_s: float,
) -> None:
    answer = await patiently(send, timeout_s)
    if answer.status != HTTPStatus.ACCEPTED:
        raise UnansweredError(f"answered {answer.text}")
    for label in labels:
        await dfsp.wait_for(order.transfer_id, partial(_is, label), timeout_s=timeout_s)


def _is(label: str, callback: Callback) -> bool:
    return _label(callback) == label


def _label(callback: Callback) -> str:
    return f"{callback.label} from {callback.source or 'nobody'}"
