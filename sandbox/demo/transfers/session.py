"""Sends transfers through the hub, waits for the callbacks on both sides, and has both sides GET each transfer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import ClientError

from sandbox.demo.transfers.expectations import EXPECTED, CallbackLabels, TransferCase, TransferKind
from sandbox.dfsp.fspiop_client import retry_while_busy
from sandbox.dfsp.messages import Answer, Callback
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import TransferOrder, new_transfer_id

IN_FLIGHT_MAX: Final = 16
WAIT_S: Final = 15.0  # for each callback
LIFETIME_S: Final = 60
SHORT_LIFETIME_S: Final = 2  # of transfers that must time out
LABEL_OF_UNKNOWN: Final = "ERROR 3208 from hub"
LABEL_OF_STRANGER: Final = "ERROR 3000 from hub"


@dataclass(slots=True)
class TransferResult:
    """A transfer that was sent and the problems that were noticed so far. `posted` is the answer to its first POST."""

    case: TransferCase
    order: TransferOrder
    posted: Answer | None = None
    problems: list[str] = field(default_factory=list)


class Session:
    """One run's DFSPs and time limit: nothing is waited for after `deadline_s` of the event loop's clock."""

    def __init__(
        self, dfsps: Mapping[str, SimulatedDfsp], labels: CallbackLabels, currency: str, deadline_s: float
    ) -> None:
        self._dfsps = dfsps
        self._labels = labels
        self._currency = currency
        self._deadline_s = deadline_s
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def send_all(self, cases: Iterable[TransferCase], done: Callable[[], None]) -> list[TransferResult]:
        """Send all cases, at most IN_FLIGHT_MAX at a time; `done` is called when each has ended."""

        async def send(case: TransferCase) -> TransferResult:
            if case.kind is TransferKind.TIMED_OUT:  # it only waits, so it does not count as in flight
                result = await self._send(case)
            else:
                async with self._in_flight:
                    result = await self._send(case)
            done()
            return result

        return list(await asyncio.gather(*(send(case) for case in cases)))

    async def get_all(self, results: Iterable[TransferResult], done: Callable[[], None]) -> None:
        """GET each transfer by both sides and wait for the answers; `done` is called after each transfer."""

        async def get(result: TransferResult) -> None:
            async with self._in_flight:
                label = EXPECTED[result.case.kind].answer_to_get
                for name in (result.case.payer, result.case.payee):
                    await self._get(result, self._dfsps[name], label)
            done()

        await asyncio.gather(*(get(result) for result in results))

    async def get_what_is_refused(self, result: TransferResult) -> list[str]:
        """GET a transfer by a third DFSP, and an unknown id; return what is wrong with the errors that must follow."""
        stranger = next(
            dfsp for name, dfsp in self._dfsps.items() if name not in (result.case.payer, result.case.payee)
        )
        unknown = TransferResult(result.case, replace(result.order, transfer_id=new_transfer_id()))
        by_stranger = TransferResult(result.case, result.order)
        await self._get(by_stranger, stranger, LABEL_OF_STRANGER)
        await self._get(unknown, self._dfsps[result.case.payer], LABEL_OF_UNKNOWN)
        return by_stranger.problems + unknown.problems

    async def _send(self, case: TransferCase) -> TransferResult:
        payer, payee = self._dfsps[case.payer], self._dfsps[case.payee]
        expected = EXPECTED[case.kind]
        lifetime_s = SHORT_LIFETIME_S if case.kind is TransferKind.TIMED_OUT else LIFETIME_S
        order = payer.order(
            payee, case.amount_units, self._currency, behaviour=expected.behaviour, lifetime_s=lifetime_s
        )
        return await self.send_order(case, order)

    async def send_order(self, case: TransferCase, order: TransferOrder) -> TransferResult:
        """Send a transfer, twice if its kind says so, and wait for the callbacks that both sides must receive."""
        payer, payee = self._dfsps[case.payer], self._dfsps[case.payee]
        expected = EXPECTED[case.kind]
        result = TransferResult(case, order)
        result.posted = await self._request(result, "POST", partial(payer.post_transfer, order))
        if result.posted is None:
            return result
        await self._await_callbacks(result, payer, Counter(expected.payer))
        if expected.again:
            amount_units = case.amount_units + 1 if case.kind is TransferKind.CHANGED else case.amount_units
            again = replace(order, amount_units=amount_units)
            if await self._request(result, "second POST", partial(payer.post_transfer, again)) is not None:
                await self._await_callbacks(result, payer, Counter(expected.again))
        await self._await_callbacks(result, payee, self._labels.expected_by_payee(case))
        return result

    async def _get(self, result: TransferResult, dfsp: SimulatedDfsp, label: str) -> None:
        """GET a transfer and wait for one more callback with this label than before."""
        transfer_id = result.order.transfer_id
        before = sum(self._labels.of(callback, result.case) == label for callback in dfsp.callbacks_of(transfer_id))
        if await self._request(result, f"GET by {dfsp.name}", partial(dfsp.get_transfer, transfer_id)) is not None:
            await self._await_callbacks(result, dfsp, Counter({label: before + 1}))

    async def _request(self, result: TransferResult, what: str, send: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """Send a request and return the hub's answer if it is 202; otherwise note the problem and return None."""
        try:
            async with asyncio.timeout_at(self._deadline_s):
                answer = await retry_while_busy(send, self.left_s())
        except TimeoutError:
            late = asyncio.get_running_loop().time() >= self._deadline_s
            result.problems.append(f"{what}: out of time" if late else f"{what} got no answer in time")
            return None
        except ClientError as error:
            result.problems.append(f"{what} got no answer: {error!r}")
            return None
        if answer.status != HTTPStatus.ACCEPTED:
            result.problems.append(f"{what} was answered {answer.text}")
            return None
        return answer

    async def _await_callbacks(self, result: TransferResult, dfsp: SimulatedDfsp, labels: Counter[str]) -> None:
        """Wait for these callbacks; one that does not come in time is found by `check_transfer`."""
        for label, count in labels.items():
            matches = partial(self._is, label, result.case)
            try:
                await dfsp.wait_for(result.order.transfer_id, matches, count=count, timeout_s=self.left_s())
            except TimeoutError:
                return

    def _is(self, label: str, case: TransferCase, callback: Callback) -> bool:
        return self._labels.of(callback, case) == label

    def left_s(self) -> float:
        """Return how long to wait for a callback, in seconds."""
        return min(WAIT_S, max(0.01, self._deadline_s - asyncio.get_running_loop().time()))
