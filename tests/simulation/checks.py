"""After a run: what the bus holds is given to the model, which judges it; and the workers' own copies are compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiokafka.errors import KafkaError

from clearinghub.engine.exceptions import PartitionLostError
from tests.model.books import PartitionBooks
from tests.model.deliveries import Heard, check_deliveries
from tests.model.journal import Round, Seen, standings
from tests.model.scheme import check_scheme
from tests.simulation.bus import Bus, Entry, Transaction

if TYPE_CHECKING:
    from tests.simulation.run import World

# What ends a process rightly: only the broker knows what became of its commit, or another owner has its partition.
RIGHT_ENDS: Final = (KafkaError, PartitionLostError)
READ_ROWS: Final = ("positions", "transfers", "offsets")


def check(world: World) -> None:
    """Raises AssertionError with what is wrong."""
    _check_ends(world)
    bus = world.bus
    dfsps = world.dfsps.names
    known = standings(_records(bus, "participants", 0))
    books = [
        PartitionBooks(
            partition,
            world.swarm.partitions,
            lambda topic, number, begin, end: _between(bus, topic, number, begin, end),
            dfsps=dfsps,
            confirm_to_payee=world.settings.confirm_to_payee,
            standing=lambda name: known.get(name, {False}),
        )
        for partition in range(world.swarm.partitions)
    ]
    for transaction in bus.committed:
        application, _, number = transaction.owner.rpartition("-")
        if application == world.settings.application_id:
            books[int(number)].follow(_round(int(number), transaction, application))
    check_scheme(books)
    _check_copies(world)
    heard = [Heard(one.receiver, one.method, one.url.partition(".example")[2], one.body) for one in world.dfsps.heard]
    notifications = [list(_records(bus, "notification", number)) for number in range(world.swarm.partitions)]
    bus.counts["callbacks"] += check_deliveries(notifications, _records(bus, "dead-letter", 0), heard)
    bus.counts["callbacks heard"] += len(heard)
    _count(world, books)


def _check_ends(world: World) -> None:
    """No process may have ended of anything but what it must end of."""
    for group in world.groups:
        for member in group.members:
            wrong = [repr(error) for error in member.failures if not isinstance(error, RIGHT_ENDS)]
            assert not wrong, f"{member.name} died of {wrong[0]}"


def _check_copies(world: World) -> None:
    """Each worker's own rows are those of the changelogs, for what it has."""
    for member in world.groups[0].members:
        app = member.app
        if app is None or not member.process.alive:
            continue
        for number in app.ready_partitions:
            for table in app.engine_config.all_tables:
                changelog = app.engine_config.changelog(table.name)
                rows: dict[bytes, bytes] = {}
                for seen in _records(world.bus, changelog, number):
                    if seen.value is None:
                        rows.pop(seen.key, None)
                    else:
                        rows[seen.key] = seen.value
                copy = member.disk.at(table.name, number)
                assert copy.rows == rows, f"{member.name}'s copy of {table.name}/{number} is not its changelog"
                if table.index is not None:
                    index = {
                        entry: key
                        for key, value in rows.items()
                        for entry, present in table.index(key.decode(), table.decode(value))
                        if present
                    }
                    assert copy.index == index, f"{member.name}'s index of {table.name}/{number} is wrong"


def _count(world: World, books: list[PartitionBooks]) -> None:
    counts = world.bus.counts
    for one in books:
        for case in one.auditor.cases.values():
            counts[f"transfers {case.fate}"] += 1
        counts["records decided once"] += one.records
    timeouts = (_between(world.bus, "transfers", number, 0, 1 << 60) for number in range(world.swarm.partitions))
    counts["transfers expired"] += sum(b'"3303"' in (seen.value or b"") for part in timeouts for seen in part)


# -- the bus in the model's words


def _seen(entry: Entry) -> Seen:
    topic, partition = entry.place
    return Seen(topic, partition, entry.offset, entry.timestamp, entry.key or b"", entry.value)


def _records(bus: Bus, topic: str, partition: int) -> Iterator[Seen]:
    return _between(bus, topic, partition, 0, 1 << 60)


def _between(bus: Bus, topic: str, partition: int, begin: int, end: int) -> Iterator[Seen]:
    return (_seen(entry) for entry in bus.logs[topic, partition].entries[begin:end] if entry.is_committed)


def _round(number: int, transaction: Transaction, application: str) -> Round:
    rows: dict[tuple[str, str], Any] = {}
    emitted: list[Seen] = []
    for entry in sorted(transaction.entries, key=_place):
        topic = entry.place[0]
        if not topic.startswith(f"{application}-"):
            emitted.append(_seen(entry))
            continue
        table = topic.removeprefix(f"{application}-").removesuffix("-changelog")
        if table in READ_ROWS and entry.key is not None:
            rows[table, entry.key.decode()] = None if entry.value is None else orjson.loads(entry.value)
    return Round(number, emitted, rows)


def _place(entry: Entry) -> tuple[Any, ...]:
    return (*entry.place, entry.offset)


