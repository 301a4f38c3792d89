from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.callback_delivery import NotificationAgent
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.engine.record import Record
from tests.unit.callbacks.fakes import (
    Endpoints,
    FakeDeadLetters,
    MemoryParkedLog,
    ScriptedTransport,
    notification,
    parking_of,
    settings,
)

PARTITION = ("notification", 3)


class Scene:
    def __init__(self, tracker: OffsetTracker | None = None, **changes: Any) -> None:
        self.transport = ScriptedTransport()
        self.dead_letters = FakeDeadLetters()
        self.unreadable: list[tuple[Record, str]] = []
        self.tracker = tracker or OffsetTracker()
        self.deliverer = Deliverer(
            settings(**changes), Endpoints("a", "b"), self.transport, self.dead_letters.write, lambda: 0
        )
        self.log = MemoryParkedLog()
        self.parking = parking_of(self.deliverer, self.log, **changes)
        self.agent = NotificationAgent(self.deliverer, self.tracker, self.parking, self._write_dead_letter)

    async def _write_dead_letter(self, record: Record, error: str) -> None:
        self.unreadable.append((record, error))

    async def close(self) -> None:
        await self.agent.close()
        await self.parking.close()
        await self.deliverer.close()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.close()


def record(offset: int, receiver: str = "a", value: bytes | None = None) -> Record:
    written = notification(receiver, f"t-{offset}").as_value() if value is None else value
    return Record("notification", 3, offset, 0, receiver.encode(), written)


async def until_committable(tracker: OffsetTracker, offset: int) -> None:
    async with asyncio.timeout(2):
        while tracker.committable().get(PARTITION, -1) < offset:
            await asyncio.sleep(0.001)


async def test_offsets_follow_what_is_settled_past_the_transactions_markers(scene: Scene) -> None:
    await scene.agent.take([record(4), record(7)], next_offset=9)
    await until_committable(scene.tracker, 9)
    assert ["http://a/transfers/t-4", "http://a/transfers/t-7"] == [url for url, _ in scene.transport.sent]


async def test_offsets_wait_for_the_oldest_that_is_open(scene: Scene) -> None:
    held = scene.transport.hold("a")
    await scene.agent.take([record(1, "b"), record(2, "a"), record(3, "b")], next_offset=4)
    await until_committable(scene.tracker, 2)
    await asyncio.sleep(0.01)
    assert {PARTITION: 2} == scene.tracker.committable()
    held.set()
    await until_committable(scene.tracker, 4)


async def test_an_unreadable_record_goes_to_the_dead_letter_and_blocks_nothing(scene: Scene) -> None:
    bad = record(1, value=b"\x00")
    await scene.agent.take([bad, record(2)], next_offset=3)
    await until_committable(scene.tracker, 3)
    assert [(bad, "the record has no header")] == scene.unreadable


async def test_what_is_cancelled_at_the_end_is_not_done(scene: Scene) -> None:
    scene.transport.hold("a")
    await scene.agent.take([record(1)], next_offset=2)
    await scene.deliverer.close()
    await asyncio.sleep(0)
    assert {} == scene.tracker.committable()


async def test_a_full_window_of_offsets_pauses_the_reading() -> None:
    scene = Scene(OffsetTracker(capacity=2))
    held = scene.transport.hold("a")
    reading = asyncio.ensure_future(scene.agent.take([record(offset) for offset in range(4)], next_offset=4))
    await asyncio.sleep(0.05)
    assert (False, 2) == (reading.done(), scene.deliverer.pending)
    held.set()
    await asyncio.wait_for(reading, 1)
    await until_committable(scene.tracker, 4)
    await scene.close()


async def test_a_full_queue_pauses_nothing_and_what_exceeds_it_is_parked() -> None:
    scene = Scene(callback_queue_per_receiver_max=2)
    held = scene.transport.hold("a")
    records = [record(0), record(1), record(2), record(3), record(4, "b")]
    await asyncio.wait_for(scene.agent.take(records, next_offset=5), 1)
    await asyncio.sleep(0.05)
    assert ["t-2", "t-3"] == [one.subject for one in scene.log.callbacks(3)]
    assert "http://b/transfers/t-4" in [url for url, _ in scene.transport.sent]
    held.set()
    await until_committable(scene.tracker, 5)
    assert [] == scene.dead_letters.letters
    await scene.close()


async def test_what_was_parked_before_the_assignment_is_known_before_anything_is_delivered() -> None:
    scene = Scene()
    await scene.log.append(3, "a", b"not read yet")
    taking = asyncio.ensure_future(scene.agent.take([record(0)], next_offset=1))
    await asyncio.sleep(0.05)
    assert not taking.done()
    scene.parking.home(3).reach(1)
    await asyncio.wait_for(taking, 1)
    await scene.close()


async def test_who_waits_for_the_parked_ones_stops_with_the_assignment() -> None:
    scene = Scene()
    await scene.log.append(3, "a", b"never read")
    taking = asyncio.ensure_future(scene.agent.take([record(0)], next_offset=1))
    await asyncio.sleep(0.01)
    scene.parking.revoke()
    await asyncio.wait_for(taking, 1)
    assert [] == scene.transport.sent
    await scene.close()
