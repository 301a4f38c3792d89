"""The simulated broker keeps Kafka's promises and no others: a simulation on a kinder broker would show nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from aiokafka.errors import ProducerFenced

from tests.simulation.bus import Bus, Sent
from tests.simulation.loop import SimulatedLoop
from tests.simulation.swarm import Swarm

PLACE = ("topic", 0)
RECORD: list[Sent] = [(b"key", b"value", 1, ())]


def on_a_bus(check: Callable[[Bus], None]) -> None:
    async def run() -> None:
        bus = Bus(Swarm(0, Counter()), Counter())
        bus.create("topic", 1, has_arrival_times=False)
        check(bus)

    loop = SimulatedLoop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def offsets(bus: Bus, position: int = 0) -> tuple[list[int], int]:
    records, end = bus.logs[PLACE].read(position, 100)
    return [record.offset for record in records], end


def test_a_marker_has_an_offset_and_is_never_read() -> None:
    def check(bus: Bus) -> None:
        epoch = bus.take_over("owner")
        bus.produce("owner", epoch, PLACE, RECORD)
        bus.commit("owner", epoch)
        bus.append(*PLACE, b"key", b"plain")

        assert ([0, 2], 3) == offsets(bus)

    on_a_bus(check)


def test_nothing_after_an_open_transaction_is_read() -> None:
    def check(bus: Bus) -> None:
        bus.append(*PLACE, b"key", b"plain")
        epoch = bus.take_over("owner")
        bus.produce("owner", epoch, PLACE, RECORD)
        bus.append(*PLACE, b"key", b"plain")

        assert ([0], 1) == offsets(bus)
        bus.commit("owner", epoch)
        assert ([0, 1, 2], 4) == offsets(bus)

    on_a_bus(check)


def test_a_new_owner_aborts_the_open_transaction_and_fences_the_last_owner() -> None:
    def check(bus: Bus) -> None:
        epoch = bus.take_over("owner")
        bus.produce("owner", epoch, PLACE, RECORD)
        bus.take_over("owner")

        assert ([], 2) == offsets(bus)
        with pytest.raises(ProducerFenced):
            bus.produce("owner", epoch, PLACE, RECORD)
        with pytest.raises(ProducerFenced):
            bus.commit("owner", epoch)

    on_a_bus(check)


def test_time_passes_only_when_all_tasks_wait() -> None:
    async def run() -> tuple[float, list[str]]:
        said: list[str] = []

        async def say(what: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            said.append(what)

        await asyncio.gather(say("late", 3_600.0), say("early", 60.0))
        return asyncio.get_running_loop().time(), said

    loop = SimulatedLoop()
    now_s, said = loop.run_until_complete(run())
    loop.close()

    assert 3_600.0 == pytest.approx(now_s, abs=0.01)
    assert ["early", "late"] == said
