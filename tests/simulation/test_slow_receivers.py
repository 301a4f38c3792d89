"""Receivers beside slow, dead and flooding ones, in virtual time: nobody waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from agents.callback_delivery import NotificationAgent
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.http_client import DestinationError, FailureKind
from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.config import Settings
from clearinghub.engine.record import Record
from tests.simulation.loop import SimulatedLoop
from tests.simulation.run import abandon
from tests.unit.callbacks.fakes import Endpoints, FakeDeadLetters, MemoryParkedLog, notification, parking_of

STEP_S = 0.05
PARTITION = ("notification", 0)


class Receivers:
    """The DFSPs: each answers after its own time, or refuses. A worker sends one request at a time, as a CPU does."""

    def __init__(self, answers_in_s: Mapping[str, float | None], sending_s: float = 0.0) -> None:
        self.received_s: dict[str, list[tuple[str, float]]] = {name: [] for name in answers_in_s}
        self._answers_in_s = dict(answers_in_s)
        self._sending_s = sending_s
        self._free_s = 0.0

    def answer_in(self, name: str, seconds: float) -> None:
        self._answers_in_s[name] = seconds

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, peer: str) -> int:
        del method, headers, body, peer
        loop = asyncio.get_running_loop()
        self._free_s = max(self._free_s, loop.time()) + self._sending_s
        await asyncio.sleep(self._free_s - loop.time())
        name, transfer_id = url.split("/")[2], url.rpartition("/")[2]
        after_s = self._answers_in_s[name]
        if after_s is None:
            raise DestinationError(FailureKind.UNREACHABLE, name)
        self.received_s[name].append((transfer_id, loop.time()))
        await asyncio.sleep(after_s)
        return 200

    async def close(self) -> None: ...


class Feed:
    """The role `callbacks`, fed with notifications at steady rates through its one consuming loop."""

    def __init__(self, receivers: Receivers, **changes: Any) -> None:
        self.receivers = receivers
        self.tracker = OffsetTracker()
        self.log = MemoryParkedLog()
        self.dead_letters = FakeDeadLetters()
        self.written_s: dict[str, float] = {}
        self.longest_uncommitted = 0
        settings = Settings(**changes)
        endpoints = Endpoints(*receivers.received_s)
        loop = asyncio.get_running_loop()
        self.deliverer = Deliverer(
            settings, endpoints, receivers, self.dead_letters.write, self._now_ms, jitter=lambda: 0.5
        )
        self.parking = parking_of(self.deliverer, self.log, self._now_ms, **(BROAD | changes))
        self.agent = NotificationAgent(self.deliverer, self.tracker, self.parking, _no_unreadable)
        self._offset = 0
        self._feeding = loop.create_task(self.log.keep_feeding(self.parking))

    def _now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    async def run(self, seconds: float, rates: Mapping[str, int]) -> None:
        """Feed so many notifications a second to each receiver; a batch waits for the one before."""
        loop = asyncio.get_running_loop()
        started_s, fed = loop.time(), dict.fromkeys(rates, 0)
        while (now_s := loop.time()) < started_s + seconds:
            records = []
            for name, rate in rates.items():
                while fed[name] < rate * (now_s - started_s):
                    fed[name] += 1
                    records.append(self._record(name, now_s))
            if records:
                await self.agent.take(records, self._offset)
            committed = self.tracker.committable().get(PARTITION, 0)
            self.longest_uncommitted = max(self.longest_uncommitted, self._offset - committed)
            await asyncio.sleep(STEP_S)

    def _record(self, receiver: str, now_s: float) -> Record:
        value = notification(receiver, f"{receiver}-{self._offset}").as_value()
        self.written_s[f"{receiver}-{self._offset}"] = now_s
        self._offset += 1
        return Record("notification", 0, self._offset - 1, 0, receiver.encode(), value)

    def waits_s(self, receiver: str) -> list[float]:
        """Return how long after its writing each callback reached the receiver, shortest first."""
        return sorted(at_s - self.written_s[name] for name, at_s in self.receivers.received_s[receiver])

    async def close(self) -> None:
        self._feeding.cancel()
        await self.parking.close()


BROAD = {"callback_timeout_ms": 20_000, "callback_retries_max": 6}


async def _no_unreadable(record: Record, problem: str) -> None:
    raise AssertionError(problem)


def in_virtual_time(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = SimulatedLoop()
    try:
        loop.run_until_complete(scene())
    finally:
        abandon(loop)


def test_a_slow_receiver_holds_up_neither_others_nor_the_committed_offset() -> None:
    async def scene() -> None:
        feed = Feed(Receivers({"slow": 15.0, "well": 0.01}))
        await feed.run(40.0, {"slow": 800, "well": 100})
        waits = feed.waits_s("well")
        assert len(waits) > 3_900
        assert waits[-1] < 0.1, f"a healthy receiver waited for {waits[-1]:.1f} s"
        assert feed.longest_uncommitted < 900 * 26  # what waits 5 s is parked, and an attempt lasts up to 20 s
        assert feed.deliverer.pending < 20_000
        await feed.close()

    in_virtual_time(scene)


def test_a_dead_receiver_holds_up_nobody_and_gets_all_when_it_is_back() -> None:
    async def scene() -> None:
        receivers = Receivers({"dead": None, "well": 0.01})
        feed = Feed(receivers)
        await feed.run(30.0, {"dead": 200, "well": 100})
        assert feed.waits_s("well")[-1] < 0.1
        receivers.answer_in("dead", 0.01)
        await feed.run(40.0, {"dead": 10, "well": 100})
        assert feed.waits_s("well")[-1] < 0.1
        written = {name for name in feed.written_s if name.startswith("dead")}
        received = {name for name, _ in receivers.received_s["dead"]}
        given_up = {one.message.id for one, _ in feed.dead_letters.letters}
        assert written == received | given_up
        assert len(given_up) < 100  # those that were tried while it was down
        assert {} == feed.parking.totals
        await feed.close()

    in_virtual_time(scene)


def test_a_flooding_receiver_takes_no_more_than_its_turn() -> None:
    """A worker that can send 1,000 a second gets 1,300, of which 90 % are for one receiver."""

    async def scene() -> None:
        feed = Feed(Receivers({"flood": 0.01, "well": 0.01}, sending_s=0.001))
        await feed.run(15.0, {"flood": 1_170, "well": 130})
        waits = feed.waits_s("well")
        assert waits[int(len(waits) * 0.99)] < 0.2, f"a calm receiver waited for {waits[-1]:.1f} s"
        await feed.close()

    in_virtual_time(scene)
