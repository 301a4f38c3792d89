"""Stand-ins for the engine and the edges, shared by many tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any, NamedTuple, TypeVar

import orjson
from sortedcontainers import SortedDict

from clearinghub.domain.participants.participant import Participant
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import Record, TableSpec
from clearinghub.messages import split
from clearinghub.ports import StoppedPart
from clearinghub.rows import kept_later
from tables.participants import PARTICIPANTS
from tests.analysts import check_record

Row = TypeVar("Row")


class Emitted(NamedTuple):
    """A record that a handler wrote; `partition` is None unless the handler chose one."""

    topic: str
    key: str
    value: bytes
    partition: int | None = None

    @property
    def header(self) -> dict[str, Any]:
        """The header of a message of the hub, as JSON types."""
        return fields_of(self.value)[0]


def fields_of(value: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a message of the hub, as JSON types, and its body."""
    header, body = split(value)
    fields: dict[str, Any] = orjson.loads(header)
    return fields, body


@dataclass
class MemoryView:
    """A partition in memory: View and PunctuatorView of the engine, with rows as stored bytes."""

    partition: int = 0
    partitions: int = 1
    partitioner: Partitioner | None = None
    tables: dict[str, SortedDict] = field(default_factory=dict)
    emitted: list[Emitted] = field(default_factory=list)

    def get(self, table: TableSpec[Row], key: str) -> Row | None:
        data = self.tables.get(table.name, {}).get(key)
        return None if data is None else table.decode(data)

    def put(self, table: TableSpec[Row], key: str, row: Row) -> None:
        row = kept_later(self.get(table, key), row)
        self.tables.setdefault(table.name, SortedDict())[key] = table.encode(row)

    def delete(self, table: TableSpec[Row], key: str) -> None:
        self.tables.get(table.name, {}).pop(key, None)

    def partition_of(self, topic: str, key: str) -> int:
        partitioner = self.partitioner or Partitioner({topic: self.partitions})
        return partitioner(topic, key)

    def emit(self, topic: str, key: str, value: bytes) -> None:
        check_record(topic, value)
        self.emitted.append(Emitted(topic, key, value))

    def emit_to_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        check_record(topic, value)
        self.emitted.append(Emitted(topic, key, value, partition))

    def scan(self, table: TableSpec[Row], start: bytes, end: bytes, count_max: int) -> list[str]:
        assert table.index is not None
        found = sorted(
            (entry, key)
            for key, row in self.rows(table).items()
            for entry, present in table.index(key, row)
            if present and start <= entry < end
        )
        return [key for _entry, key in found[:count_max]]

    def keys(self, table: TableSpec[Row], prefix: str, after: str, count_max: int) -> list[str]:
        rows = self.tables.get(table.name, SortedDict())
        found = rows.irange(max(prefix, after), inclusive=(after < prefix, True))
        return list(islice(takewhile(lambda key: key.startswith(prefix), found), count_max))

    def rows(self, table: TableSpec[Row]) -> dict[str, Row]:
        return {key: table.decode(data) for key, data in self.tables.get(table.name, {}).items()}

    def on(self, topic: str) -> list[Emitted]:
        """Return what was written to a topic."""
        return [one for one in self.emitted if one.topic == topic]

    def take(self) -> list[Emitted]:
        """Return what was written since the last call."""
        written, self.emitted = self.emitted, []
        return written


@dataclass
class Offsets:
    """Makes a topic's records, with consecutive offsets."""

    topic: str
    partition: int = 0
    next_offset: int = 0

    def record(self, value: bytes, now_ms: int, key: str = "") -> Record:
        made = Record(self.topic, self.partition, self.next_offset, now_ms, key.encode(), value)
        self.next_offset += 1
        return made


@dataclass
class FakeParticipants:
    """A process's copy of the participants, filled by hand; `reached` has the versions that were waited for."""

    by_name: dict[str, Participant] = field(default_factory=dict)
    reached: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, *names: str) -> FakeParticipants:
        """Return a copy that has these participants, without accounts."""
        return cls({name: Participant(number, name, True, number) for number, name in enumerate(names, 1)})

    def add(self, name: str, *, active: bool = True, is_proxy: bool = False) -> None:
        """Add a participant without accounts, or replace the one of that name."""
        number = len(self.by_name) + 1
        self.by_name[name] = Participant(number, name, active, number, is_proxy)

    def get(self, name: str) -> Participant | None:
        return self.by_name.get(name)

    @property
    def changes(self) -> int:
        return sum(one.version + 1 for one in self.by_name.values())

    def all(self) -> list[Participant]:
        return sorted(self.by_name.values(), key=lambda one: (one.created_at_ms, one.participant_id))

    async def reach(self, name: str, version: int) -> None:
        self.reached.append((name, version))

    def take(self, value: bytes) -> None:
        """Apply a record of topic `participants`."""
        participant = PARTICIPANTS.decode(value)
        known = self.by_name.get(participant.name)
        assert known is None or known.version < participant.version, "versions only grow"
        self.by_name[participant.name] = participant


@dataclass
class FakeRecorder:
    """Remembers the records that a surface writes; `fails_with` is raised instead."""

    records: list[tuple[str, str, bytes]] = field(default_factory=list)
    fails_with: Exception | None = None

    async def record(self, topic: str, key: str, value: bytes) -> None:
        if self.fails_with is not None:
            raise self.fails_with
        self.records.append((topic, key, value))


@dataclass
class FakeHealth:
    """Reports the services in `up` and, of this process alone, those in `own_up`; all are up at first."""

    up: dict[str, bool] = field(default_factory=lambda: {"broker": True, "datastore": True})
    own_up: dict[str, bool] = field(default_factory=lambda: {"broker": True, "participantEndpointService": True})
    parts: list[StoppedPart] = field(default_factory=list)

    async def services(self) -> dict[str, bool]:
        return self.up

    async def own_services(self) -> dict[str, bool]:
        return self.own_up

    def stopped(self) -> list[StoppedPart]:
        return self.parts
