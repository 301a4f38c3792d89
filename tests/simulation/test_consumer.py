"""The engine's consumer on the simulated bus: where batches begin, whatever is between the records."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiokafka.errors import OffsetOutOfRangeError

from clearinghub.engine.batch import Batch
from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.environment import Environment
from tests.simulation.bus import Bus
from tests.simulation.clients import ConsumerClient, ProducerClient
from tests.simulation.disk import Disk
from tests.simulation.engine import SimulatedApp, SimulatedConsumer
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.swarm import Swarm


async def comes_through(_batch: Batch) -> bool:
    return True


FETCH_S = 3.0  # longer than any fetch waits


class Reader(SimulatedApp):
    """An app without tables that remembers its batches."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self.batches: list[Any] = []

    @property
    def has_tables(self) -> bool:
        """As the ledger has: so a lost position is an error."""
        return True

    def start_partitions(self) -> None:
        self.consumer.resume_at(0, {"in": 0})

    def fail_partition(self, number: int, error: BaseException) -> None:
        assert number == 0
        self.batches.append(type(error))

    async def on_batch(self, name: str, batch: Batch) -> None:
        assert name == "in"
        batch.is_closed = True
        self.batches.append(batch)


def test_a_batch_after_an_aborted_transaction_begins_where_the_last_one_ended() -> None:
    async def history(bus: Bus) -> None:
        epoch = bus.take_over("owner")
        bus.append("in", 0, b"k", b"first")
        await asyncio.sleep(FETCH_S)
        bus.produce("owner", epoch, ("in", 0), [(b"k", b"never", 1, ())])
        bus.take_over("owner")  # aborts
        await asyncio.sleep(FETCH_S)
        bus.append("in", 0, b"k", b"second")
        await asyncio.sleep(FETCH_S)

    assert [(0, 1, [0]), (1, 4, [3])] == read(history)


def test_deleted_records_fail_their_partition() -> None:
    """Retention has deleted records before they were read. The client must not jump over them."""

    async def history(bus: Bus) -> None:
        bus.append("in", 0, b"k", b"first")
        await asyncio.sleep(FETCH_S)
        log = bus.logs["in", 0]
        for _ in range(4):
            log.add(0, b"k", b"deleted before anybody read it", None)
        log.first = 5
        bus.append("in", 0, b"k", b"last")
        await asyncio.sleep(FETCH_S)

    assert [(0, 1, [0]), OffsetOutOfRangeError] == read(history)


def test_a_log_that_has_lost_its_end_fails_its_partition() -> None:
    """The client must not start at the beginning again: these records were decided before."""

    async def history(bus: Bus) -> None:
        for value in (b"first", b"second"):
            bus.append("in", 0, b"k", value)
            await asyncio.sleep(FETCH_S)
        del bus.logs["in", 0].entries[1:]
        await asyncio.sleep(FETCH_S)

    assert [(0, 1, [0]), (1, 2, [1]), OffsetOutOfRangeError] == read(history)


def test_a_missing_offset_in_a_topic_without_holes_parts_the_batch() -> None:
    """The records before the hole are decided; the next batch does not begin where they ended."""

    async def history(bus: Bus) -> None:
        log = bus.logs["in", 0]
        for value in (b"first", b"second"):
            log.add(0, b"k", value, None)
        epoch = bus.take_over("owner")
        bus.produce("owner", epoch, ("in", 0), [(b"k", b"never", 1, ())])
        bus.take_over("owner")  # aborts
        bus.append("in", 0, b"k", b"third")
        await asyncio.sleep(FETCH_S)

    assert [(0, 2, [0, 1]), (4, 5, [4])] == read(history, has_no_holes=True)


def read(history: Callable[[Bus], Awaitable[None]], *, has_no_holes: bool = False) -> list[Any]:
    """Return the batches of topic `in` while a history is written: begin, end, offsets; or the type of an error."""

    async def run() -> list[Any]:
        bus = Bus(Swarm(0, Counter()), Counter())
        bus.create("in", 1, has_arrival_times=True)

        class App(Reader):
            """The app of one process."""

        process = App.process = Process("reader")
        App.disk = Disk()
        outside = Environment(make_producer=lambda **settings: ProducerClient(bus, process, settings))
        app = App(
            EngineConfig(
                application_id="a",
                bootstrap="",
                partitions=1,
                inputs=(Input("in", lambda _record, _view: None, has_no_holes=has_no_holes),),
                tables=(),
                output_partitions={},
                dead_letter_topic="dead",
                data_dir=Path("none"),
                environment=outside,
            )
        )
        client = ConsumerClient(bus, process, {"group_id": "a", "auto_offset_reset": "none"})
        app.consumer = SimulatedConsumer(app, client, process, comes_through)
        app.consumer.start()
        bus.generations["a"] = 1
        await app.consumer.assign([0], 1)
        await asyncio.sleep(FETCH_S)
        await history(bus)
        return [
            (one.begin, one.end, [record.offset for record in one.records]) if isinstance(one, Batch) else one
            for one in app.batches
        ]

    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(run())
    finally:
        loop.set_exception_handler(lambda _loop, _context: None)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
