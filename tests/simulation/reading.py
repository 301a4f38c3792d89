"""Reads the bus for the model, and compares the workers' tables with their changelogs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.model.exchange import number_of
from tests.model.journal import INPUTS, Round, Seen
from tests.simulation.bus import Bus, Entry, Transaction
from tests.simulation.releases import as_this_release, row_as_this_release
from tests.simulation.workers import Member

OUTBOX: Final = "outbox"
READ_ROWS: Final = ("positions", "transfers", "bulks", "offsets", "nets", "windows", "settlement")


def seen_of(entry: Entry) -> Seen:
    topic, partition = entry.place
    headers = dict(entry.headers)
    if topic == OUTBOX:  # it is what the round says to another partition
        name, _, number = headers["to"].decode().rpartition("/")
        topic, partition = name, int(number)
    value = as_this_release(entry.value)
    return Seen(topic, partition, entry.offset, entry.timestamp, entry.key or b"", value, headers.get("hop", b""))


def records_of(bus: Bus, topic: str, partition: int) -> Iterator[Seen]:
    return between(bus, topic, partition, 0, 1 << 60)


def between(bus: Bus, topic: str, partition: int, begin: int, end: int) -> Iterator[Seen]:
    return (seen_of(entry) for entry in bus.logs[topic, partition].entries[begin:end] if entry.is_committed)


def round_of(number: int, transaction: Transaction, application: str) -> Round:
    rows: dict[tuple[str, str], Any] = {}
    emitted: list[Seen] = []
    for entry in sorted(transaction.entries, key=_place):
        topic = entry.place[0]
        if not topic.startswith(f"{application}-"):
            emitted.append(seen_of(entry))
            continue
        table = topic.removeprefix(f"{application}-").removesuffix("-changelog")
        if table in READ_ROWS and entry.key is not None:
            rows[table, entry.key.decode()] = row_as_this_release(entry.value)
    return Round(number, emitted, rows)


def _place(entry: Entry) -> tuple[Any, ...]:
    return (*entry.place, entry.offset)


def messages_of(bus: Bus, partitions: int) -> tuple[list[Seen], list[Seen]]:
    """Return the messages that partitions have sent to each other or themselves, and those in the receivers' logs."""
    own = [
        seen_of(entry)
        for transaction in bus.committed
        for entry in transaction.entries
        if entry.place[0] in INPUTS and entry.headers
    ]
    sent = [seen for number in range(partitions) for seen in records_of(bus, OUTBOX, number)]
    received = [seen for topic in INPUTS for number in range(partitions) for seen in records_of(bus, topic, number)]
    return own + sent, received


def messages_under_way(bus: Bus, partitions: int) -> str | None:
    """Say how many messages between partitions are not in their receivers' logs; None if all are."""
    sent, received = messages_of(bus, partitions)
    arrived = {number_of(seen) for seen in received}
    count = sum(number_of(seen) not in arrived for seen in sent)
    return f"{count} messages are not passed on" if count else None


def difference_of_copies(bus: Bus, member: Member) -> str | None:
    """Return how a worker's tables differ from their changelogs; None if they are equal in all its partitions."""
    app = member.app
    if app is None or not member.process.alive:
        return None
    for number in app.ready_partitions:
        for table in app.engine_config.all_tables:
            rows: dict[bytes, bytes] = {}
            for seen in records_of(bus, app.engine_config.changelog(table.name), number):
                if seen.value is None:
                    rows.pop(seen.key, None)
                else:
                    rows[seen.key] = seen.value
            copy = member.disk.at(table.name, number)
            if copy.rows != rows:
                return f"{member.name}'s copy of {table.name}/{number} is not its changelog"
            index = (
                {}
                if table.index is None
                else {
                    entry: key
                    for key, value in rows.items()
                    for entry, present in table.index(key.decode(), table.decode(value))
                    if present
                }
            )
            if copy.index != index:
                return f"{member.name}'s index of {table.name}/{number} is wrong"
    return None
