"""Gathers the rows of one partition on the disk, so that their number is not bounded by the memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import rocksdict

# A database of its own, for minutes: nothing has to survive a crash, and other processes need the memory.
_WRITE_BUFFER_BYTES: Final = 32 * 1024 * 1024


class StoredRow(NamedTuple):
    """A row as its table stores it."""

    table: str
    key: bytes
    value: bytes


class DiskRowStore:
    """Implements `RowStore` with RocksDB in a folder that must not exist yet; `close` deletes it."""

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003 - its signature
        options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
        self._folder = folder
        self._database = rocksdict.Rdict(str(folder), options)
        write_options = rocksdict.WriteOptions()
        write_options.disable_wal = True  # type: ignore[method-assign,assignment]
        self._database.set_write_options(write_options)

    def apply(self, table: str, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Set rows; None removes one."""
        prefix = _prefix(table)
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(prefix + key)
            else:
                batch.put(prefix + key, value)
        self._database.write(batch)

    def rows(self) -> Iterator[StoredRow]:
        """Yield all rows, in the order of tables and keys."""
        iterator = self._database.iter()
        iterator.seek_to_first()
        while iterator.valid():
            table, _, key = iterator.key().partition(b"\0")
            yield StoredRow(table.decode(), key, iterator.value())
            iterator.next()

    def close(self) -> None:
        """Close the database and delete its folder with all rows."""
        self._database.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _prefix(table: str) -> bytes:
    return table.encode() + b"\0"
