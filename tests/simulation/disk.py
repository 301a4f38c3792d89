"""A worker's disk without RocksDB: the rows of its tables as a LedgerStore keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from faust.types import TP

from clearinghub.engine.record import TableSpec
from clearinghub.engine.store import TableChanges


class Rows:
    """One partition of one table."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.index: dict[bytes, bytes] = {}
        self.changelog_offset: int | None = None
        self.caught_up_ms: int | None = None


class Disk:
    """What survives a crash of the process, unless the disk is lost as well."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, int], Rows] = {}

    def at(self, table: str, partition: int) -> Rows:
        return self.places.setdefault((table, partition), Rows())


class SimulatedStore:
    """The part of `LedgerStore` that rounds, recovery and queries use; test_store.py compares the two."""

    def __init__(self, disk: Disk, table: str, reach: Callable[[str], None]) -> None:
        """`reach` is called before and after each write, and may end the process there."""
        self._disk = disk
        self._table = table
        self._reach = reach

    def row(self, partition: int, key: bytes) -> bytes | None:
        return self._disk.at(self._table, partition).rows.get(key)

    def apply(self, spec: TableSpec[Any], partition: int, changes: TableChanges, changelog_offset: int) -> None:
        """Write all changes of a round at once, or none of them."""
        self._reach("table-write")
        kept = self._disk.at(self._table, partition)
        for key, value in changes.rows.items():
            if value is not None:
                kept.rows[key] = value
                continue
            before = kept.rows.pop(key, None)
            if before is not None and spec.index is not None:
                for entry, _present in spec.index(key.decode(), spec.decode(before)):
                    kept.index.pop(entry, None)
        for entry, row_key in changes.entries:
            if row_key is None:
                kept.index.pop(entry, None)
            else:
                kept.index[entry] = row_key
        kept.changelog_offset = changelog_offset
        self._reach("table-written")

    def scan(self, partition: int, start: bytes, end: bytes, count_max: int) -> list[str]:
        index = self._disk.at(self._table, partition).index
        return [index[entry].decode() for entry in sorted(one for one in index if start <= one < end)[:count_max]]

    def rows_with_prefix(self, partition: int, prefix: bytes) -> Iterable[bytes]:
        rows = self._disk.at(self._table, partition).rows
        return [rows[key] for key in sorted(rows) if key.startswith(prefix)]

    def keys_after(self, partition: int, prefix: bytes, after: bytes, count_max: int) -> list[str]:
        rows = self._disk.at(self._table, partition).rows
        return [key.decode() for key in sorted(rows) if key.startswith(prefix) and key > after][:count_max]

    def write_checkpoint(self, partition: int, caught_up_ms: int) -> None:
        self._disk.at(self._table, partition).caught_up_ms = caught_up_ms

    def checkpoint_ms(self, partition: int) -> int | None:
        return self._disk.at(self._table, partition).caught_up_ms

    def wipe(self, partition: int) -> None:
        self._disk.places.pop((self._table, partition), None)

    def persisted_offset(self, tp: TP) -> int | None:
        return self._disk.at(self._table, tp.partition).changelog_offset


class SimulatedTable:
    """The part of a `LedgerTable` that recovery uses."""

    def __init__(self, name: str, data: SimulatedStore) -> None:
        self.name = name
        self.data = data

    def offset(self, tp: TP) -> int:
        """Return the changelog offset up to which the local copy is written, or -1."""
        persisted = self.data.persisted_offset(tp)
        return -1 if persisted is None else persisted
