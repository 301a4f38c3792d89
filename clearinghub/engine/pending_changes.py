"""Pending changes: the rows that a round has changed and the records that it will send, before it commits."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec

from clearinghub.engine.errors import PartitionStoppedError, RecordTooLargeError
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import VALUE_BYTES_MAX, TableSpec
from clearinghub.engine.store import LedgerStore, TableChanges
from clearinghub.rows import kept_later

RowT = TypeVar("RowT")
RowPlace = tuple[str, str]  # table, key
_NOT_READ: Final = object()
UNREADABLE_REMEDY: Final = (
    "If a later release wrote it, start the partition's worker in that release; else restore a copy."
)


class Emission(NamedTuple):
    """A record to send: the topic as named in topics.yaml, its partition, key and value."""

    topic: str
    partition: int
    key: bytes
    value: bytes


class PendingChanges:
    """The write buffer of one round, over the stores of one partition; implements `View` and `PunctuatorView`.

    Rows are kept decoded: a row that many records change is read and decoded once a round.

    Each record is decided under a savepoint. `release` makes its changes part of the round; `roll_back` undoes them if
    its handler raised. `release` also encodes the changed rows, so that a row that cannot be encoded fails with the
    record that changed it, and not with the whole round.
    """

    def __init__(
        self,
        partition: int,
        partitions: int,
        stores: Mapping[str, LedgerStore],
        partitioner: Partitioner,
        inputs: Container[str],
    ) -> None:
        """`inputs` are the topics that the ledger itself decides: only these may be written to other partitions."""
        self.partition = partition
        self.partitions = partitions
        self.emissions: list[Emission] = []
        self.emitted_bytes = 0
        self.encoded_bytes = 0  # of rows; one that is changed again counts again
        self._stores = stores
        self._partitioner = partitioner
        self._inputs = inputs
        self._rows: dict[RowPlace, Any] = {}
        self._changed: dict[RowPlace, TableSpec[Any]] = {}
        self._encoded: dict[RowPlace, bytes] = {}
        # Since the savepoint: the place, the row that each change replaced, whether this round had changed it before.
        self._undo: list[tuple[RowPlace, Any, bool]] = []
        self._released_emissions = 0

    def get(self, table: TableSpec[RowT], key: str) -> RowT | None:
        """Return the row as this round sees it, or None."""
        place = (table.name, key)
        row = self._rows.get(place, _NOT_READ)
        if row is _NOT_READ:
            data = self._stores[table.name].row(self.partition, key.encode())
            row = self._rows[place] = None if data is None else self._decoded(table, key, data)
        return cast("RowT | None", row)

    def _decoded(self, table: TableSpec[RowT], key: str, data: bytes) -> RowT:
        """Decode a stored row. One that cannot be read stops the partition: a decision without it may lose money."""
        try:
            return table.decode(data)
        except (msgspec.MsgspecError, ValueError) as error:
            sentence = f"partition {self.partition}: row {key!r} of table {table.name} cannot be read: {error}"
            raise PartitionStoppedError("unreadable-row", sentence, UNREADABLE_REMEDY) from error

    def put(self, table: TableSpec[RowT], key: str, row: RowT) -> None:
        self._set(table, key, row)

    def delete(self, table: TableSpec[RowT], key: str) -> None:
        """Remove a row, if it is there."""
        self._set(table, key, None)

    def _set(self, table: TableSpec[Any], key: str, row: Any) -> None:
        place = (table.name, key)
        before = self._rows.get(place, _NOT_READ)
        self._undo.append((place, before, place in self._changed))
        self._rows[place] = kept_later(before, row)
        self._changed[place] = table

    def keys(self, table: TableSpec[RowT], prefix: str, after: str, count_max: int) -> list[str]:
        """Return the next keys with that prefix after the key `after`, as this round sees the table."""
        changed = [key for name, key in self._changed if name == table.name and key > after and key.startswith(prefix)]
        removed = {key for key in changed if self._rows[table.name, key] is None}
        stored = self._stores[table.name].keys_after(
            self.partition, prefix.encode(), after.encode(), count_max + len(removed)
        )
        return sorted({*stored, *changed} - removed)[:count_max]

    def partition_of(self, topic: str, key: str) -> int:
        """Return the partition of a key in a topic."""
        return self._partitioner(topic, key)

    def emit(self, topic: str, key: str, value: bytes) -> None:
        """Send a record to the partition of its key.

        Raises:
            RecordTooLargeError: the broker would refuse it.
        """
        self.emit_to_partition(topic, self._partitioner(topic, key), key, value)

    def emit_to_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        """Send a record to a partition that the caller chooses: its own, unless the topic is an input.

        Raises:
            RecordTooLargeError: the broker would refuse it.
        """
        if len(value) > VALUE_BYTES_MAX:
            raise RecordTooLargeError(f"{len(value)} bytes for {topic}")
        assert partition == self.partition or topic in self._inputs, f"{topic}/{partition} from {self.partition}"
        self.emissions.append(Emission(topic, partition, key.encode(), value))
        self.emitted_bytes += len(value)

    def scan(self, table: TableSpec[RowT], start: bytes, end: bytes, count_max: int) -> list[str]:
        """Return keys in the order of the table's index, as earlier rounds committed it."""
        return self._stores[table.name].scan(self.partition, start, end, count_max)

    def release(self) -> None:
        """Release the savepoint: all changes since the last one become part of the round.

        Raises:
            RecordTooLargeError: the broker would refuse a changed row. After this or any other error, which a table's
                `encode` may raise, call `roll_back`.
        """
        for place in {place for place, _row, _was_changed in self._undo}:
            row = self._rows[place]
            if row is None:
                self._encoded.pop(place, None)
                continue
            value = self._encoded[place] = self._changed[place].encode(row)
            self.encoded_bytes += len(value)
            if len(value) > VALUE_BYTES_MAX:
                raise RecordTooLargeError(f"{len(value)} bytes for a row of {place[0]}")
        self._undo.clear()
        self._released_emissions = len(self.emissions)

    def roll_back(self) -> None:
        """Roll back to the savepoint: undo all changes and emissions since the last release."""
        for place, row, was_changed in reversed(self._undo):
            if row is _NOT_READ:
                self._rows.pop(place, None)
            else:
                self._rows[place] = row
            if not was_changed:
                self._changed.pop(place, None)
            self._encoded.pop(place, None)
        self._undo.clear()
        self.emitted_bytes -= sum(len(one.value) for one in self.emissions[self._released_emissions :])
        del self.emissions[self._released_emissions :]
        assert self.emitted_bytes >= 0

    @property
    def is_empty(self) -> bool:
        """True if the round has neither changed a row nor emitted a record."""
        return not self._changed and not self.emissions

    def changes(self) -> dict[str, TableChanges]:
        """Return the changed rows by table, encoded, each key once with its last row."""
        assert not self._undo, "the last record is neither released nor rolled back"
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
