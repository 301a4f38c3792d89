"""Sends the transfers of a day, at most IN_FLIGHT_MAX at a time, and notes when each was posted and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter_ns
from typing import Final

from aiohttp import ClientError

from sandbox.demo.day.day_plan import DayPlan, DayTransfer
from sandbox.demo.day.problems import Problems
from sandbox.dfsp.behaviour import REJECTION_CODE, Behaviour
from sandbox.dfsp.messages import Callback
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import TransferOrder

IN_FLIGHT_MAX: Final = 24
WAIT_S: Final = 90.0  # for the end of a transfer
LIFETIME_S: Final = 120
BUSY_PAUSE_S: Final = 1.0  # the Retry-After of a busy hub
SEND_AGAIN: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)

ENDINGS: Final[Mapping[Behaviour, str]] = {
    Behaviour.COMMIT: "PUT COMMITTED",
    Behaviour.RESERVE: "PUT COMMITTED",
    Behaviour.REJECT: f"ERROR {REJECTION_CODE}",
    Behaviour.WRONG_FULFILMENT: "ERROR 3100",
}
"""The callback that the payer must receive at the end."""


@dataclass(slots=True)
class SentTransfer:
    """A transfer that was sent, and when its payer received the end; times of `time.perf_counter_ns`."""

    transfer: DayTransfer
    transfer_id: str
    posted_at_ns: int
    ended_at_ns: int | None = None


class Traffic:
    """Sends the plan's transfers in order; `sent` has those that were posted, `ended` counts those that ended."""

    def __init__(self, plan: DayPlan, dfsps: Mapping[str, SimulatedDfsp], problems: Problems) -> None:
        self.sent: list[SentTransfer] = []
        self.ended = 0
        self._plan = plan
        self._dfsps = dfsps
        self._problems = problems
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._progress = asyncio.Condition()

    async def run(self, done: Callable[[], None]) -> None:
        """Send all transfers; `done` is called after each."""
        async with asyncio.TaskGroup() as group:
            for transfer in self._plan.transfers:
                await self._in_flight.acquire()
                group.create_task(self._send(transfer, done))

    async def reach(self, count: int) -> None:
        """Wait until so many have ended."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.ended >= count)

    async def _send(self, transfer: DayTransfer, done: Callable[[], None]) -> None:
        try:
            await self._send_one(transfer)
        finally:
            self._in_flight.release()
            async with self._progress:
                self.ended += 1
                self._progress.notify_all()
            done()

    async def _send_one(self, transfer: DayTransfer) -> None:
        payer, payee = self._dfsps[transfer.payer], self._dfsps[transfer.payee]
        order = payer.order(
            payee, transfer.amount_units, transfer.currency, behaviour=transfer.behaviour, lifetime_s=LIFETIME_S
        )
        sent = SentTransfer(transfer, order.transfer_id, perf_counter_ns())
        self.sent.append(sent)
        expected = ENDINGS[transfer.behaviour]
        try:
            async with asyncio.timeout(WAIT_S):
                status = await self._post(payer, order)
                if not self._problems.check(f"POST of {order.transfer_id}", int(HTTPStatus.ACCEPTED), status):
                    return
            ending = await payer.wait_for(order.transfer_id, _is_end, timeout_s=WAIT_S)
        except (ClientError, TimeoutError) as error:
            self._problems.add(f"{order.transfer_id} ({transfer.behaviour.value}): {error or 'no answer in time'}")
            return
        sent.ended_at_ns = ending.arrived_at_ns
        self._problems.check(f"{order.transfer_id} ({transfer.behaviour.value})", expected, ending.label)

    async def _post(self, payer: SimulatedDfsp, order: TransferOrder) -> int:
        """POST a transfer, again while the hub answers 503 or 504, and return the status."""
        while True:
            answer = await payer.post_transfer(order)
            if answer.status not in SEND_AGAIN:
                return answer.status
            await asyncio.sleep(BUSY_PAUSE_S)


def _is_end(callback: Callback) -> bool:
    return callback.label in ENDINGS.values()
