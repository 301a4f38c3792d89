"""A run in which the broker loses something while the workers are away, and what the workers make of it.

No fault but the loss happens: what a partition does must follow from the loss alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from clearinghub.engine.status import StoppedPartition
from tests.simulation.bus import Log
from tests.simulation.loop import SimulatedLoop
from tests.simulation.run import abandon
from tests.simulation.swarm import Swarm
from tests.simulation.workers import LedgerMember
from tests.simulation.world import APPLICATION, World

AWAY_S: Final = 20.0  # longer than a session
SETTLED_S: Final = 20.0
PAYMENTS: Final = 12
LEDGER: Final = 0  # the ledger's group among the groups of a world

# Returns the partition that must stop, or None if there was nothing to lose.
Loss = Callable[[World], "int | None"]


@dataclass
class Aftermath:
    """What came of a loss: why partitions stopped, twice, and which partitions changed a table afterwards."""

    lost: int | None = None
    stopped: list[dict[int, StoppedPartition]] = field(default_factory=list)
    ready: set[int] = field(default_factory=set)
    wrote: set[int] = field(default_factory=set)


def after_loss(seed: int, loss: Loss) -> Aftermath:
    """Let a world work, lose something while its ledger is away, and start the ledger twice."""
    loop, found = SimulatedLoop(), Aftermath()
    try:
        loop.run_until_complete(_live(Swarm(seed, Counter()), loss, found))
    finally:
        abandon(loop)
    return found


async def _live(swarm: Swarm, loss: Loss, found: Aftermath) -> None:
    swarm.faults = frozenset()
    swarm.ledgers = 1  # so that each local copy is where its partition is opened again
    world = World(swarm, Counter())
    loop = asyncio.get_running_loop()
    keeping = [loop.create_task(group.keep()) for group in world.groups]
    await world.operators.set_up()
    for _ in range(PAYMENTS):
        world.dfsps.pay()
        await asyncio.sleep(0.3)
    await asyncio.sleep(SETTLED_S)
    await _leave(world, keeping[LEDGER])
    found.lost = loss(world)
    before = len(world.bus.committed)
    for _start in range(2):
        keeping[LEDGER] = loop.create_task(world.groups[LEDGER].keep())
        await asyncio.sleep(SETTLED_S)
        apps = [member.app for member in world.groups[LEDGER].members if member.app is not None]
        found.stopped.append({number: stop for app in apps for number, stop in app.stopped_partitions.items()})
        found.ready = {number for app in apps for number in app.ready_partitions}
        await _leave(world, keeping[LEDGER])
    changelogs = tuple(f"{APPLICATION}-{table}" for table in ("", "offsets"))
    for transaction in world.bus.committed[before:]:
        if any(entry.place[0].startswith(changelogs) for entry in transaction.entries):
            found.wrote.add(int(transaction.owner.rpartition("-")[2]))


async def _leave(world: World, keeping: asyncio.Task[None]) -> None:
    keeping.cancel()
    for member in world.groups[LEDGER].members:
        member.process.kill()
    world.groups[LEDGER]._joined.clear()
    await asyncio.sleep(AWAY_S)


# -- losses


def busiest(world: World, topic: str) -> Log:
    """Return the log of a topic with the most records."""
    logs = (world.bus.logs[topic, number] for number in range(world.swarm.partitions))
    return max(logs, key=lambda log: sum(entry.is_committed for entry in log.entries))


def beginning_of(topic: str) -> Loss:
    """Return the loss of records of an input that were written while the worker was away."""

    def lose(world: World) -> int | None:
        log = busiest(world, topic)
        number = log.place[1]
        for _ in range(3):
            world.bus.append(topic, number, b"k", b"never decided")
        log.first = len(log.entries)
        world.bus.append(topic, number, b"k", b"written after")
        return number

    return lose


def end_of_input(topic: str) -> Loss:
    """Return the loss of the last records of an input."""

    def lose(world: World) -> int | None:
        log = busiest(world, topic)
        return _cut(log)

    return lose


def end_of_changelogs(tables: tuple[str, ...] | None, *, disks_too: bool) -> Loss:
    """Return the loss of the last rows of a busy partition's changelogs, all if `tables` is None."""

    def lose(world: World) -> int | None:
        number = busiest(world, f"{APPLICATION}-positions-changelog").place[1]
        for (topic, partition), log in world.bus.logs.items():
            table = topic.removeprefix(f"{APPLICATION}-").removesuffix("-changelog")
            if partition == number and topic.endswith("-changelog") and (tables is None or table in tables):
                _cut(log)
        if disks_too:
            for member in world.groups[LEDGER].members:
                assert isinstance(member, LedgerMember)
                member.disk.places.clear()
        return number

    return lose


def _cut(log: Log) -> int | None:
    """Remove a log's last committed record and what follows it; return the log's partition."""
    last = next((entry.offset for entry in reversed(log.entries) if entry.is_committed), None)
    if last is None:
        return None
    del log.entries[last:]
    return log.place[1]


def another_log(topic: str) -> Loss:
    """Return the loss of an input's log in whose place another one has come, as long as the first."""

    def lose(world: World) -> int | None:
        log = busiest(world, topic)
        for entry in log.entries:
            entry.value = b"another"
        return log.place[1]

    return lose


def hole_in(topic: str) -> Loss:
    """Return the loss of one record that was written while the worker was away, with later ones there."""

    def lose(world: World) -> int | None:
        log = busiest(world, topic)
        number = log.place[1]
        for value in (b"one", b"two", b"three"):
            world.bus.append(topic, number, b"k", value)
        log.entries[-2].is_marker = True  # as what nobody may write there
        return number

    return lose


def markers_of(topic: str) -> Loss:
    """Return the deletion of all that is decided of an input, and of the markers after it."""

    def lose(world: World) -> int | None:
        log = busiest(world, topic)
        log.first = len(log.entries)
        return log.place[1]

    return lose


def message(ahead: int) -> Loss:
    """Return that a message comes from a sender whose history is another, `ahead` of the last one that it has sent."""

    def lose(world: World) -> int | None:
        log = busiest(world, "credit")
        numbers = [dict(entry.headers)["hop"].split(b":") for entry in log.entries if entry.headers]
        sender = numbers[-1][0] if numbers else b"0"
        last = max((int(sequence) for one, sequence, _chain in numbers if one == sender), default=0)
        hop = b"%b:%d:%b" % (sender, last + ahead, b"0" * 16)
        world.bus.append(*log.place, b"k", b"of another history", [("hop", hop)])
        return log.place[1] if last else None

    return lose


def nothing(_world: World) -> int | None:
    """Lose nothing: no partition may stop."""
    return None


# Each loss, and the code with which its partition must stop; None if nothing must stop.
LOSSES: Final[dict[str, tuple[str | None, Loss]]] = {
    "nothing": (None, nothing),
    "records nobody has decided": ("input-lost", beginning_of("prepare")),
    "records of a topic with markers": ("input-lost", beginning_of("credit")),
    "the end of an input": ("input-cut", end_of_input("prepare")),
    "the end of an input with markers": ("input-cut", end_of_input("credit")),
    "another log": ("input-changed", another_log("prepare")),
    "a record in the middle": ("input-hole", hole_in("prepare")),
    "the end of one changelog": ("copy-ahead", end_of_changelogs(("positions",), disks_too=False)),
    "the end of one changelog, and the disks": ("changelog-lost", end_of_changelogs(("positions",), disks_too=True)),
    "the end of all changelogs": ("copy-ahead", end_of_changelogs(None, disks_too=False)),
    "the end of the table of offsets": ("copy-ahead", end_of_changelogs(("offsets",), disks_too=False)),
    "the end of the table of offsets, and the disks": (
        "offsets-lost",
        end_of_changelogs(("offsets",), disks_too=True),
    ),
    "a message between partitions": ("hop-gap", message(2)),
    "the history of a sender": ("hop-contradiction", message(1)),
    "the content of a message": ("hop-contradiction", message(0)),
    "old markers at a quiet end": (None, markers_of("timeout")),
}


# These show only when the record is to be decided; what is before it is decided.
SEEN_IN_A_ROUND: Final = ("input-hole", "hop-gap", "hop-contradiction")


def problem_of(name: str, seed: int) -> str | None:
    """Return what the workers made wrong of a loss, or None."""
    code, loss = LOSSES[name]
    found = after_loss(seed, loss)
    expected = {} if code is None else {found.lost: code}
    first, again = ({number: (stop.code, stop.stop_id) for number, stop in one.items()} for one in found.stopped)
    stopped = {number: stop[0] for number, stop in first.items()}
    if code is not None and found.lost is None:
        return "there was nothing to lose"
    if stopped != expected:
        return f"stopped are {stopped}, not {expected}"
    if first != again:
        return f"after a restart {again} are stopped, not {first}"
    wrote = found.lost in found.wrote and code not in SEEN_IN_A_ROUND
    if code is not None and (found.lost in found.ready or wrote):
        return f"partition {found.lost} works"
    if not code and not found.ready:
        return "no partition works"
    return None
