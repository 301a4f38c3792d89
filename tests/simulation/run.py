"""One run: a safety phase with faults, then all is healed and everything must come to its end, then the checks."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from clearinghub.config import Settings
from clearinghub.topology import load_topology
from clearinghub.topology.declared import changelog_name
from tests.simulation.bus import Bus, Log
from tests.simulation.chaos import Chaos
from tests.simulation.dfsps import Dfsps
from tests.simulation.group import Group
from tests.simulation.loop import NothingLeftError, SimulatedLoop
from tests.simulation.operators import Operators
from tests.simulation.swarm import Swarm
from tests.simulation.workers import CallbacksMember, LedgerMember

APPLICATION: Final = "hub"
CALLBACKS: Final = f"{APPLICATION}-callbacks"
INPUTS: Final = ("credit", "fulfil", "timeout", "command", "lookup", "prepare")  # in the order of a round
SETUP_S_MAX: Final = 60.0
HEAL_S_MAX: Final = 600.0
LOOK_S: Final = 1.0


@dataclass
class Run:
    """A run and what came of it."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    faults: frozenset[str] = frozenset()
    problem: str | None = None
    digest: str = ""


class World:
    """Everything of a run, put together."""

    def __init__(self, swarm: Swarm, counts: Counter[str]) -> None:
        self.swarm = swarm
        self.bus = Bus(swarm, counts)
        for topic in load_topology().topics.values():
            count = topic.partition_count(swarm.partitions)
            self.bus.create(topic.name, count, stamps_arrival=topic.timestamp == "append")
        for table in load_topology().tables:
            self.bus.create(changelog_name(APPLICATION, table), swarm.partitions, stamps_arrival=False)
        self.settings = Settings(
            application_id=APPLICATION, kafka_bootstrap="none", data_dir=Path("none"), **swarm.settings()
        )
        self.dfsps = Dfsps(self.bus)
        self.operators = Operators(self.bus, self.dfsps)
        ledgers = [LedgerMember(f"ledger{one}", self.bus, self.settings) for one in range(swarm.ledgers)]
        callbacks = [
            CallbacksMember(f"callbacks{one}", self.bus, self.settings, self.dfsps) for one in range(swarm.callbacks)
        ]
        self.groups = [Group(APPLICATION, ledgers, self.bus), Group(CALLBACKS, callbacks, self.bus)]
        self.chaos = Chaos(self.bus, self.groups, self.dfsps)

    async def live(self) -> None:
        """Set up, disturb, heal, and wait for the end of everything that was begun."""
        loop = asyncio.get_running_loop()
        for group in self.groups:
            loop.create_task(group.keep())
        async with asyncio.timeout(SETUP_S_MAX):
            await self.operators.set_up()
        self.swarm.is_calm = False
        striking = loop.create_task(self.chaos.keep_striking())
        await self._disturb()
        striking.cancel()
        self.swarm.is_calm = True
        self.chaos.heal()
        healed_s = loop.time()
        while (rest := self.rest()) is not None:
            if loop.time() - healed_s > HEAL_S_MAX:
                raise AssertionError(f"liveness: after {HEAL_S_MAX:.0f} s without faults, {rest}")
            await asyncio.sleep(LOOK_S)

    async def _disturb(self) -> None:
        """Payments and commands, evenly spread over the time of the faults."""
        swarm, loop = self.swarm, asyncio.get_running_loop()
        pause_s = swarm.safety_s / swarm.transfers
        commands: set[asyncio.Task[None]] = set()
        for _ in range(swarm.transfers):
            self.dfsps.pay()
            if swarm.has("commands") and swarm.chance(0.2):
                commands.add(loop.create_task(self.operators.interfere()))
            await asyncio.sleep(swarm.random.expovariate(1 / pause_s))
        self._commands = commands

    # -- what is still to be done

    def rest(self) -> str | None:
        """What has not come to its end, or None."""
        if not self.dfsps.is_quiet:
            return "a DFSP means to say more"
        if any(not command.done() for command in self._commands):
            return "a command is not answered"
        for partition in range(self.swarm.partitions):
            decided = self._decided(partition)
            for topic in INPUTS:
                end = end_of(self.bus.logs[topic, partition])
                if decided.get(topic, 0) < end:
                    return f"{topic}/{partition} is decided up to {decided.get(topic, 0)} of {end}"
            if (held := self._held(partition)) is not None:
                return f"transfer {held} is still held"
            end = end_of(self.bus.logs["notification", partition])
            settled = self.bus.group_offsets.get(CALLBACKS, {}).get(("notification", partition), 0)
            if settled < end:
                return f"notification/{partition} is settled up to {settled} of {end}"
        return None

    def _decided(self, partition: int) -> dict[str, int]:
        log = self.bus.logs[changelog_name(APPLICATION, "offsets"), partition]
        last = next((entry for entry in reversed(log.entries) if entry.is_committed), None)
        decided: dict[str, int] = {} if last is None or last.value is None else orjson.loads(last.value)
        return decided

    def _held(self, partition: int) -> str | None:
        log = self.bus.logs[changelog_name(APPLICATION, "transfers"), partition]
        rows = {entry.key: entry.value for entry in log.entries if entry.is_committed}
        for key, value in rows.items():
            if key is not None and key.startswith(b"t") and value is not None and b'"RESERVED",' in value:
                states = [state for state, _at_ms in orjson.loads(value)[8]]
                if states[-1] == "RESERVED":
                    return key.decode()
        return None

    def digest(self) -> str:
        """A hash over all that was written and all that DFSPs have heard: the run's fingerprint."""
        hashed = hashlib.sha256()
        for place, log in self.bus.logs.items():
            for entry in log.entries:
                hashed.update(repr((place, entry.timestamp, entry.key, entry.value, entry.is_committed)).encode())
        for callback in self.dfsps.heard:
            hashed.update(repr(callback).encode())
        return hashed.hexdigest()


def end_of(log: Log) -> int:
    """The offset behind the last record that a reader gets."""
    last = next((entry for entry in reversed(log.entries) if entry.is_committed), None)
    return 0 if last is None else last.offset + 1


def simulate(seed: int) -> Run:
    """Run a seed; `problem` says what was wrong, if anything was."""
    from tests.simulation.checks import check  # noqa: PLC0415

    run = Run(seed)
    swarm = Swarm(seed, run.counts)
    run.faults = swarm.faults
    loop = SimulatedLoop()

    async def live() -> World:
        world = World(swarm, run.counts)
        try:
            await world.live()
            check(world)
        except AssertionError as error:
            run.problem = str(error) or repr(error)
        except TimeoutError:
            run.problem = "liveness: the scheme was not set up in time"
        return world

    try:
        world = loop.run_until_complete(live())
        run.digest = world.digest()
    except NothingLeftError:
        run.problem = "liveness: everything waits for ever"
    finally:
        abandon(loop)
    return run


def abandon(loop: SimulatedLoop) -> None:
    """Throw away what still runs."""
    loop.set_exception_handler(lambda _loop, _context: None)
    for task in _tasks(loop):
        task.cancel()
    loop.call_soon(loop.stop)
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()


def _tasks(loop: SimulatedLoop) -> Iterator[asyncio.Task[Any]]:
    yield from asyncio.all_tasks(loop)
