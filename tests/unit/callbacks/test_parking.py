from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from agents.callback_delivery import ParkedAgent
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.http_client import DestinationError, FailureKind
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.parking import Parking
from clearinghub.engine.record import Record
from clearinghub.messages import ParkedProgressMessage, encode
from clearinghub.roles.callbacks import AgentFactory
from clearinghub.tools.client.responses import CallbacksWorker
from tests.unit.callbacks.fakes import (
    Endpoints,
    FakeDeadLetters,
    MemoryParkedLog,
    ScriptedTransport,
    notification,
    parking_of,
    settings,
)

REFUSED = DestinationError(FailureKind.UNREACHABLE, "refused")


class Scene:
    """A deliverer with a place to park, and the reading of what is parked."""

    def __init__(self, *scripts: Any, log: MemoryParkedLog | None = None, start: int = 0, **changes: Any) -> None:
        fast = {"callback_queue_per_receiver_max": 2, "callback_in_flight_per_receiver_max": 1, **changes}
        self.now_ms = 1_000
        self.transport = ScriptedTransport(a=list(scripts))
        self.dead_letters = FakeDeadLetters()
        self.log = log or MemoryParkedLog()
        self.unreadable: list[tuple[Record, str]] = []
        self.deliverer = Deliverer(
            settings(**fast), Endpoints("a", "b"), self.transport, self.dead_letters.write, self.clock, jitter=lambda: 0
        )
        self.parking: Parking = parking_of(self.deliverer, self.log, self.clock, self.unreadable, start=start, **fast)
        self.home = self.parking.home(0)
        self.feeding: asyncio.Task[None] | None = None

    def clock(self) -> int:
        return self.now_ms

    async def ready(self) -> None:
        """Begin to read what is parked, and wait until the index has all of it."""
        self.feeding = asyncio.create_task(self.log.keep_feeding(self.parking))
        await asyncio.wait_for(self.home.caught_up(), 1)

    def submit(self, transfer_id: str, body: bytes = b"{}", receiver: str = "a") -> asyncio.Future[None]:
        return self.deliverer.submit(notification(receiver, transfer_id, body), self.home)

    def bodies(self) -> list[bytes]:
        return [body for _, body in self.transport.sent]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(3):
            while not condition():
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        if self.feeding is not None:
            self.feeding.cancel()
        await self.deliverer.close()
        await self.parking.close()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    scenes: list[Scene] = []

    async def make(*scripts: Any, **changes: Any) -> Scene:
        scene = Scene(*scripts, **changes)
        scenes.append(scene)
        await scene.ready()
        return scene

    yield make
    for scene in scenes:
        for held in scene.transport._held.values():
            held.set()
        await scene.close()


async def test_what_is_parked_is_settled_once_it_is_durable(start: Any) -> None:
    scene = await start(log=MemoryParkedLog(failures=1))
    scene.parking.writer._pause_s = 0.05
    scene.transport.hold("a")
    for number in range(2):
        scene.submit(str(number))
    parked = scene.submit("2")
    await asyncio.sleep(0.02)
    assert (False, []) == (parked.done(), scene.log.callbacks())
    await asyncio.wait_for(parked, 1)
    assert ["2"] == [one.subject for one in scene.log.callbacks()]


async def test_what_is_parked_is_read_back_in_order_when_there_is_room(start: Any) -> None:
    scene = await start()
    held = scene.transport.hold("a")
    futures = [scene.submit(str(number), str(number).encode()) for number in range(300)]
    await asyncio.wait_for(asyncio.gather(*futures[2:]), 3)
    held.set()
    await scene.until(lambda: len(scene.transport.sent) == 300)
    assert [str(number).encode() for number in range(300)] == scene.bodies()
    await scene.until(lambda: scene.home.index.low() == len(scene.log.records[0]))
    assert {} == scene.parking.totals


async def test_a_parked_transfers_later_callbacks_are_parked_after_it(start: Any) -> None:
    scene = await start()
    held = scene.transport.hold("a")
    for number in range(2):
        scene.submit(str(number))
    await scene.submit("t", b"first")
    scene.submit("t", b"second")
    held.set()
    scene.submit("t", b"third")
    await scene.until(lambda: len(scene.transport.sent) == 5)
    assert [b"first", b"second", b"third"] == [body for body in scene.bodies() if body != b"{}"]


async def test_a_callback_after_one_in_flight_is_not_parked_ahead_of_it(start: Any) -> None:
    """After a crash the one in flight would be read again, and would come after the parked one."""
    scene = await start(callback_hold_ms_max=10)
    held = scene.transport.hold("a")
    scene.submit("t", b"first")
    for number in range(3):
        scene.submit(str(number))
    scene.submit("t", b"second")
    await scene.until(lambda: len(scene.log.callbacks()) == 3)
    await asyncio.sleep(0.6)  # another look for what has waited long
    assert "t" not in [one.subject for one in scene.log.callbacks()]
    held.set()
    await scene.until(lambda: len(scene.transport.sent) == 5)
    assert [b"first", b"second"] == [body for body in scene.bodies() if body != b"{}"]


async def test_what_waits_for_long_is_parked_and_frees_its_offset(start: Any) -> None:
    scene = await start(callback_hold_ms_max=10, callback_queue_per_receiver_max=100)
    scene.transport.hold("a")
    in_flight, *waiting = [scene.submit(str(number)) for number in range(4)]
    await asyncio.wait_for(asyncio.gather(*waiting), 2)
    assert not in_flight.done()


async def test_a_failed_callback_keeps_its_attempts_when_it_is_parked(start: Any) -> None:
    scene = await start(
        500, 500, 500, callback_hold_ms_max=10, callback_retry_first_ms=20, callback_retry_longest_ms=20
    )
    scene.deliverer._jitter = lambda: 0.99
    await scene.submit("t")
    await scene.until(lambda: len(scene.transport.sent) == 3)
    assert [1] == [one.attempts for one in scene.log.callbacks()]
    await scene.until(lambda: scene.dead_letters.reasons() == ["retries-exhausted"])
    assert 3 == scene.dead_letters.letters[0][1].attempts


async def test_beyond_the_bound_the_newest_are_dead_lettered(start: Any) -> None:
    scene = await start(callback_parked_per_receiver_max=3)
    held = scene.transport.hold("a")
    futures = [scene.submit(str(number)) for number in range(7)]
    await asyncio.wait_for(asyncio.gather(*futures[2:]), 1)
    assert ["receiver-overloaded"] * 2 == scene.dead_letters.reasons()
    assert ["5", "6"] == [one.message.id for one, _reason in scene.dead_letters.letters]
    held.set()
    await asyncio.gather(*futures)


async def test_the_bytes_of_what_is_parked_are_bounded_too(start: Any) -> None:
    scene = await start(callback_parked_bytes_per_receiver_max=5_000)
    scene.transport.hold("a")
    futures = [scene.submit(str(number), b"x" * 1_000) for number in range(6)]
    await asyncio.wait_for(asyncio.gather(*futures[2:]), 1)
    assert ["receiver-overloaded"] * 2 == scene.dead_letters.reasons()


async def test_what_is_parked_too_long_is_dead_lettered_though_there_is_no_room(start: Any) -> None:
    scene = await start(callback_parked_ms_max=60_000)
    scene.transport.hold("a")
    for number in range(5):
        scene.submit(str(number))
    await scene.until(lambda: len(scene.log.callbacks()) == 3)
    scene.now_ms += 61_000
    await scene.until(lambda: len(scene.dead_letters.letters) == 3)
    assert {"waited-too-long"} == set(scene.dead_letters.reasons())


async def test_what_is_worthless_later_is_never_parked(start: Any) -> None:
    scene = await start()
    scene.transport.hold("a")
    for number in range(2):
        scene.submit(str(number))
    quote = notification("a", "q").changed(deliver_by_ms=60_000)
    await asyncio.wait_for(scene.deliverer.submit(quote, scene.home), 1)
    assert (["receiver-overloaded"], []) == (scene.dead_letters.reasons(), scene.log.callbacks())


async def test_of_a_receiver_that_is_down_one_is_read_back_to_test_it(start: Any) -> None:
    scene = await start(*[REFUSED] * 3, callback_breaker_failures=1, callback_hold_ms_max=10, callback_retries_max=50)
    for number in range(10):
        scene.submit(str(number))
    await scene.until(lambda: len(scene.transport.sent) == 13)
    await scene.until(lambda: scene.parking.totals == {})
    assert [] == scene.dead_letters.letters


async def parked_by_another(log: MemoryParkedLog, count: int, receiver: str = "a") -> None:
    """Let a worker park callbacks and die."""
    scene = Scene(log=log)
    await scene.ready()
    scene.transport.hold(receiver)
    futures = [scene.submit(f"{receiver}{number}", receiver=receiver) for number in range(count + 2)]
    await asyncio.wait_for(asyncio.gather(*futures[2:]), 1)
    assert scene.feeding is not None
    scene.feeding.cancel()
    scene.parking.revoke()
    scene.transport._held[receiver].set()
    await scene.close()


async def test_what_another_worker_has_parked_is_delivered(start: Any) -> None:
    log = MemoryParkedLog()
    await parked_by_another(log, 5)
    scene = await start(log=log)
    await scene.until(lambda: len(scene.transport.sent) == 5)
    await scene.until(lambda: scene.home.index.low() == len(log.records[0]))


async def test_a_transfer_that_another_worker_has_parked_is_not_overtaken(start: Any) -> None:
    log = MemoryParkedLog()
    await parked_by_another(log, 1)
    scene = Scene(log=log)
    held = scene.transport.hold("a")
    await scene.ready()
    scene.submit("a2", b"later")
    held.set()
    await scene.until(lambda: len(scene.transport.sent) == 2)
    assert [b"{}", b"later"] == scene.bodies()
    await scene.close()


async def test_progress_that_the_committed_offset_cannot_say_spares_a_second_delivery(start: Any) -> None:
    log = MemoryParkedLog()
    await parked_by_another(log, 1, "b")  # it holds the committed offset
    await parked_by_another(log, 3, "a")
    await log.append(0, "a", encode(ParkedProgressMessage(queue="a", before=3)))
    scene = await start(log=log)
    await scene.until(lambda: len(scene.transport.sent) == 2)
    await scene.until(lambda: scene.parking.totals == {})
    assert ["http://b/transfers/b2", "http://a/transfers/a4"] == [url for url, _ in scene.transport.sent]


async def test_a_worker_says_how_far_it_is_while_another_receiver_is_down(start: Any) -> None:
    scene = await start()
    scene.transport.hold("b")
    for number in range(3):
        scene.submit(f"b{number}", receiver="b")
    await scene.until(lambda: len(scene.log.callbacks()) == 1)
    held = scene.transport.hold("a")
    for number in range(5):
        scene.submit(str(number))
    await scene.until(lambda: len(scene.log.callbacks()) == 4)
    held.set()
    value = encode(ParkedProgressMessage(queue="a", before=4))
    await scene.until(lambda: value in [record.value for record in scene.log.records[0]])
    assert 0 == scene.home.index.low()


async def test_a_callback_that_was_written_twice_is_delivered_once(start: Any) -> None:
    scene = await start()
    held = scene.transport.hold("a")
    for number in range(3):
        scene.submit(str(number))
    await scene.until(lambda: len(scene.log.callbacks()) == 1)
    await scene.log.append(0, "a", scene.log.records[0][0].value)  # as after an outcome that was unknown
    held.set()
    await scene.until(lambda: scene.home.index.low() == 2)
    assert 3 == len(scene.transport.sent)


async def test_a_record_that_cannot_be_read_goes_to_the_dead_letter_and_blocks_nothing(start: Any) -> None:
    scene = await start()
    await scene.log.append(0, "a", b"\x00")
    await scene.log.append(0, "a", encode(ParkedProgressMessage(queue="nobody", before=0)))
    await scene.until(lambda: scene.home.index.low() == 2)
    assert ["the record has no header"] == [problem for _record, problem in scene.unreadable]


async def test_with_the_assignment_what_waits_is_forgotten(start: Any) -> None:
    scene = await start(callback_queue_per_receiver_max=3)
    held = scene.transport.hold("a")
    in_flight, *waiting = [scene.submit(str(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    scene.parking.revoke()
    assert [True, True] == [one.cancelled() for one in waiting]
    held.set()
    await in_flight
    await asyncio.sleep(0.01)
    assert (1, 0) == (len(scene.transport.sent), scene.deliverer.pending)


async def test_what_is_parked_is_in_the_metrics_until_it_is_delivered(start: Any) -> None:
    def value(name: str) -> float | None:
        return REGISTRY.get_sample_value(f"clearinghub_callback_{name}", {"receiver": "a"})

    scene = await start()
    held = scene.transport.hold("a")
    for number in range(5):
        scene.submit(str(number))
    await scene.until(lambda: value("parked") == 3.0)
    scene.now_ms += 7_000
    await scene.until(lambda: value("parked_oldest_seconds") == 7.0)
    assert (value("parked_bytes") or 0) > 1_000
    held.set()
    await scene.until(lambda: value("parked") is None)


async def test_records_that_the_topic_has_lost_hold_up_nothing(start: Any) -> None:
    scene = await start(callback_in_flight_per_receiver_max=1)
    held = scene.transport.hold("a")
    for number in range(12):
        scene.submit(str(number))
    await scene.until(lambda: len(scene.log.callbacks()) == 10)
    scene.log.first[0] = 8  # all before it were deleted; four are in memory again
    held.set()
    await scene.until(lambda: scene.home.index.low() == 10)


def test_a_parked_callback_comes_back_as_it_was() -> None:
    sent = notification("a", "t", b"body")
    assert sent == Notification.parse(sent.as_value())


async def test_the_agent_takes_a_batch_of_progress_only() -> None:
    scene = Scene()
    record = Record("parked", 0, 4, 0, b"a", encode(ParkedProgressMessage(queue="a", before=2)))
    await ParkedAgent(scene.parking).take([record], next_offset=5)
    assert 5 == scene.home.index.low()
    await scene.close()


async def test_a_worker_tells_operators_what_waits_for_each_receiver(start: Any) -> None:
    scene = await start()
    scene.transport.hold("a")
    for number in range(5):
        scene.submit(str(number))
    await scene.until(lambda: len(scene.home.index.queues["a"].unread) == 3)
    scene.now_ms += 5_000
    unused: Any = None
    factory = AgentFactory(settings(), unused, unused, scene.deliverer, unused, unused, scene.clock, scene.parking)

    body = (await factory.get_receivers(unused)).body

    assert isinstance(body, bytes)
    [found] = CallbacksWorker.model_validate_json(body).receivers
    assert ("a", 2, 1, "closed", 3) == (found.receiver, found.waiting, found.in_flight, found.breaker, found.parked)
    assert found.parked_bytes > 0
    assert 5 == found.oldest_parked_s
