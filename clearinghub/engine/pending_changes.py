"""A round's pending: what a partition would look like if the round were committed, and what it would send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar, cast

from clearinghub.engine.errors import RecordTooLargeError
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import VALUE_BYTES_MAX, TableSpec
from clearinghub.engine.store import LedgerStore, TableChanges

Row = TypeVar("Row")
_ABSENT: Final = object()


class Emission(NamedTuple):
    """A record to send: the topic as in topics.yaml, its partition, key and value."""

    topic: str
    partition: int
    key: bytes
    value: bytes


class PendingChanges:
    """The changes of a round over the tables of one partition; implements `View` and `PunctuatorView`.

    Rows are kept decoded, so that a hot row is read once a round however often it changes. A record whose handler
    raises is undone by `roll_back`; `release` makes its changes part of the round. It encodes them then, not only when
    all is committed: a row that cannot be written is the fault of one record, and must not take the others with it.
    """

    def __init__(
        self, partition: int, partitions: int, stores: Mapping[str, LedgerStore], partitioner: Partitioner
    ) -> None:
        self.partition = partition
        self.partitions = partitions
        self.emissions: list[Emission] = []
        self.emitted_bytes = 0
        self._stores = stores
        self._partitioner = partitioner
        self._rows: dict[tuple[str, str], Any] = {}
        self._changed: dict[tuple[str, str], TableSpec[Any]] = {}
        self._encoded: dict[tuple[str, str], bytes] = {}
        self._undo: list[tuple[tuple[str, str], Any, bool]] = []
        self._kept_emissions = 0

    def get(self, table: TableSpec[Row], key: str) -> Row | None:
        """The row as this round sees it."""
        place = (table.name, key)
        row = self._rows.get(place, _ABSENT)
        if row is _ABSENT:
            data = self._stores[table.name].row(self.partition, key.encode())
            row = self._rows[place] = None if data is None else table.decode(data)
        return cast("Row | None", row)

    def put(self, table: TableSpec[Row], key: str, row: Row) -> None:
        """Set a row."""
        self._set(table, key, row)

    def delete(self, table: TableSpec[Row], key: str) -> None:
        """Remove a row."""
        self._set(table, key, None)

    def _set(self, table: TableSpec[Any], key: str, row: Any) -> None:
        place = (table.name, key)
        self._undo.append((place, self._rows.get(place, _ABSENT), place in self._changed))
        self._rows[place] = row
        self._changed[place] = table

    def partition_of(self, topic: str, key: str) -> int:
        """The partition of a key in a topic."""
        return self._partitioner(topic, key)

    def emit(self, topic: str, key: str, value: bytes) -> None:
        """Send a record to the partition of its key."""
        self.emit_to_partition(topic, self._partitioner(topic, key), key, value)

    def emit_to_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        """Send a record to a partition chosen by the caller.

        Raises:
            RecordTooLargeError: the broker would not take it.
        """
        if len(value) > VALUE_BYTES_MAX:
            raise RecordTooLargeError(f"{len(value)} bytes for {topic}")
        self.emissions.append(Emission(topic, partition, key.encode(), value))
        self.emitted_bytes += len(value)

    def scan(self, table: TableSpec[Row], start: bytes, end: bytes, count_max: int) -> list[str]:
        """Keys in the order of the table's index, as last committed."""
        return self._stores[table.name].scan(self.partition, start, end, count_max)

    def release(self) -> None:
        """What the last record did belongs to the round.

        Raises:
            RecordTooLargeError: the broker would not take one of its rows. Call `roll_back`, as for whatever else a
                table's `encode` raises.
        """
        for place in {place for place, _row, _was_changed in self._undo}:
            row = self._rows[place]
            if row is None:
                self._encoded.pop(place, None)
                continue
            value = self._encoded[place] = self._changed[place].encode(row)
            if len(value) > VALUE_BYTES_MAX:
                raise RecordTooLargeError(f"{len(value)} bytes for a row of {place[0]}")
        self._undo.clear()
        self._kept_emissions = len(self.emissions)

    def roll_back(self) -> None:
        """What the last record did never happened."""
        for place, row, was_changed in reversed(self._undo):
            if row is _ABSENT:
                self._rows.pop(place, None)
            else:
                self._rows[place] = row
            if not was_changed:
                self._changed.pop(place, None)
            self._encoded.pop(place, None)
        self._undo.clear()
        self.emitted_bytes -= sum(len(one.value) for one in self.emissions[self._kept_emissions :])
        del self.emissions[self._kept_emissions :]

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write and nothing to send."""
        return not self._changed and not self.emissions

    def changes(self) -> dict[str, TableChanges]:
        """The changed rows by table, once per key, encoded."""
        by_table: dict[str, TableChanges] = {}
        for place, table in self._changed.items():
            row = self._rows[place]
            changes = by_table.get(table.name)
            if changes is None:
                changes = by_table[table.name] = TableChanges({}, [])
            if row is None:
                changes.rows[place[1].encode()] = None
            else:
                changes.set(table, place[1], row, self._encoded.get(place) or table.encode(row))
        return by_table
