"""Plays the plan on the hub: every transfer on its way, waited for on both sides, and asked for by both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import ClientError

from sandbox.callback import Answer, Callback
from sandbox.demo.kinds import EXPECTED, Kind
from sandbox.demo.labels import Labels
from sandbox.demo.plan import Case
from sandbox.dfsp import SimulatedDfsp
from sandbox.patience import patiently
from sandbox.wire import TransferOrder, new_transfer_id

IN_FLIGHT_MAX: Final = 16
WAIT_S: Final = 15.0  # for any one callback
LIFETIME_S: Final = 60
SHORT_LIFETIME_S: Final = 2  # of those that are to time out
LABEL_OF_UNKNOWN: Final = "ERROR 3208 from hub"
LABEL_OF_STRANGER: Final = "ERROR 3000 from hub"


@dataclass(slots=True)
class Played:
    """A transfer as it was sent, and what went wrong on its way. `posted` is the answer to its first POST."""

    case: Case
    order: TransferOrder
    posted: Answer | None = None
    problems: list[str] = field(default_factory=list)


class Stage:
    """The DFSPs of a run around the hub. Whatever is not done by `deadline_s` (of the loop's clock) is given up."""

    def __init__(self, dfsps: Mapping[str, SimulatedDfsp], labels: Labels, currency: str, deadline_s: float) -> None:
        self._dfsps = dfsps
        self._labels = labels
        self._currency = currency
        self._deadline_s = deadline_s
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def play_all(self, cases: Iterable[Case], done: Callable[[], None]) -> list[Played]:
        """Send all cases, a bounded number at a time; `done` is called as each ends."""

        async def play(case: Case) -> Played:
            if case.kind is Kind.TIMED_OUT:  # mostly waiting: it takes no place from the others
                played = await self._play(case)
            else:
                async with self._room:
                    played = await self._play(case)
            done()
            return played

        return list(await asyncio.gather(*(play(case) for case in cases)))

    async def ask_all(self, plays: Iterable[Played], done: Callable[[], None]) -> None:
        """GET each transfer by both its sides and wait for the answers."""

        async def ask(played: Played) -> None:
            async with self._room:
                label = EXPECTED[played.case.kind].answer_to_get
                for name in (played.case.payer, played.case.payee):
                    await self._ask(played, self._dfsps[name], label)
            done()

        await asyncio.gather(*(ask(played) for played in plays))

    async def ask_strangely(self, played: Played) -> list[str]:
        """GET a transfer by a third DFSP, and one that does not exist; gives what was wrong with the answers."""
        stranger = next(
            dfsp for name, dfsp in self._dfsps.items() if name not in (played.case.payer, played.case.payee)
        )
        unknown = Played(played.case, replace(played.order, transfer_id=new_transfer_id()))
        by_stranger = Played(played.case, played.order)
        await self._ask(by_stranger, stranger, LABEL_OF_STRANGER)
        await self._ask(unknown, self._dfsps[played.case.payer], LABEL_OF_UNKNOWN)
        return by_stranger.problems + unknown.problems

    async def _play(self, case: Case) -> Played:
        payer, payee = self._dfsps[case.payer], self._dfsps[case.payee]
        expected = EXPECTED[case.kind]
        lifetime_s = SHORT_LIFETIME_S if case.kind is Kind.TIMED_OUT else LIFETIME_S
        order = payer.order(
            payee, case.amount_units, self._currency, behaviour=expected.behaviour, lifetime_s=lifetime_s
        )
        return await self.play_order(case, order)

    async def play_order(self, case: Case, order: TransferOrder) -> Played:
        """Send a transfer and wait for what both sides must hear of it."""
        payer, payee = self._dfsps[case.payer], self._dfsps[case.payee]
        expected = EXPECTED[case.kind]
        played = Played(case, order)
        played.posted = await self._request(played, "POST", partial(payer.post_transfer, order))
        if played.posted is None:
            return played
        await self._hear(played, payer, Counter(expected.payer))
        if expected.again:
            amount_units = case.amount_units + 1 if case.kind is Kind.CHANGED else case.amount_units
            again = replace(order, amount_units=amount_units)
            if await self._request(played, "second POST", partial(payer.post_transfer, again)) is not None:
                await self._hear(played, payer, Counter(expected.again))
        await self._hear(played, payee, self._labels.expected_by_payee(case))
        return played

    async def _ask(self, played: Played, dfsp: SimulatedDfsp, label: str) -> None:
        transfer_id = played.order.transfer_id
        before = sum(self._labels.of(each, played.case) == label for each in dfsp.callbacks_of(transfer_id))
        if await self._request(played, f"GET by {dfsp.name}", partial(dfsp.get_transfer, transfer_id)) is not None:
            await self._hear(played, dfsp, Counter({label: before + 1}))

    async def _request(self, played: Played, what: str, send: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """The hub's answer if it is 202; else the problem is noted."""
        try:
            async with asyncio.timeout_at(self._deadline_s):
                answer = await patiently(send, self.left_s())
        except TimeoutError:
            late = asyncio.get_running_loop().time() >= self._deadline_s
            played.problems.append(f"{what}: out of time" if late else f"{what} got no answer in time")
            return None
        except ClientError as error:
            played.problems.append(f"{what} got no answer: {error!r}")
            return None
        if answer.status != HTTPStatus.ACCEPTED:
            played.problems.append(f"{what} was answered {answer.text}")
            return None
        return answer

    async def _hear(self, played: Played, dfsp: SimulatedDfsp, labels: Counter[str]) -> None:
        """Wait for these callbacks; what does not come in time is left to the check of the whole."""
        for label, count in labels.items():
            matches = partial(self._is, label, played.case)
            try:
                await dfsp.wait_for(played.order.transfer_id, matches, count=count, timeout_s=self.left_s())
            except TimeoutError:
                return

    def _is(self, label: str, case: Case, callback: Callback) -> bool:
        return self._labels.of(callback, case) == label

    def left_s(self) -> float:
        """How long to wait for any one callback."""
        return min(WAIT_S, max(0.01, self._deadline_s - asyncio.get_running_loop().time()))
