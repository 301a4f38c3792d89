"""Small stand-ins that tests of several parts share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from clearinghub.domain.participants.participant import Participant
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import Record, TableSpec
from clearinghub.messages import decode_fields
from tables.participants import PARTICIPANTS
from tests.analysts import check_record

Row = TypeVar("Row")


class Emitted(NamedTuple):
    """What a handler wrote to a topic; `partition` only where it chose one."""

    topic: str
    key: str
    value: bytes
    partition: int | None = None

    @property
    def line(self) -> dict[str, Any]:
        """The first line of a message of the hub."""
        return decode_fields(self.value)[0]


@dataclass
class MemoryView:
    """A partition in memory: the engine's View and PunctuatorView, with all rows kept as stored bytes."""

    partition: int = 0
    partitions: int = 1
    partitioner: Partitioner | None = None
    tables: dict[str, dict[str, bytes]] = field(default_factory=dict)
    emitted: list[Emitted] = field(default_factory=list)

    def get(self, table: TableSpec[Row], key: str) -> Row | None:
        data = self.tables.get(table.name, {}).get(key)
        return None if data is None else table.decode(data)

    def put(self, table: TableSpec[Row], key: str, row: Row) -> None:
        self.tables.setdefault(table.name, {})[key] = table.encode(row)

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

    def rows(self, table: TableSpec[Row]) -> dict[str, Row]:
        """All rows of a table."""
        return {key: table.decode(data) for key, data in self.tables.get(table.name, {}).items()}

    def on(self, topic: str) -> list[Emitted]:
        """What was written to a topic."""
        return [one for one in self.emitted if one.topic == topic]

    def take(self) -> list[Emitted]:
        """What was written since the last time."""
        taken, self.emitted = self.emitted, []
        return taken


@dataclass
class Offsets:
    """Numbers the records that a test makes."""

    topic: str
    partition: int = 0
    next_offset: int = 0

    def record(self, value: bytes, now_ms: int, key: str = "") -> Record:
        """The next record of the topic."""
        made = Record(self.topic, self.partition, self.next_offset, now_ms, key.encode(), value)
        self.next_offset += 1
        return made


@dataclass
class FakeParticipants:
    """A copy of the compacted topic, fed by hand."""

    by_name: dict[str, Participant] = field(default_factory=dict)
    reached: list[tuple[str, int]] = field(default_factory=list)

    def get(self, name: str) -> Participant | None:
        return self.by_name.get(name)

    def all(self) -> list[Participant]:
        return sorted(self.by_name.values(), key=lambda one: (one.created_at_ms, one.participant_id))

    async def reach(self, name: str, version: int) -> None:
        self.reached.append((name, version))

    def take(self, value: bytes) -> None:
        """A record of the topic has arrived."""
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

    async def services(self) -> dict[str, bool]:
        return self.up

    async def own_services(self) -> dict[str, bool]:
        return self.own_up
