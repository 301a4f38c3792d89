"""The local copy of a table: Faust's RocksDB store, written in batches together with the changelog's offset."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, cast

import faust
import rocksdict
from faust.stores.rocksdb import RocksDBOptions
from faust.stores.rocksdb import Store as RocksDBStore
from faust.types import TP

from clearinghub.engine.errors import FAUST_LOGGER
from clearinghub.engine.record import TableSpec
from clearinghub.rows import ROW_FORMAT

# No row's key begins with a zero byte: such keys are the store's own.
INDEX_PREFIX: Final = b"\x00index\x00"
# Under it: when the copy was caught up, milliseconds since 1970. A copy with rows of another format has no such key, so
# recovery takes it for a copy that was never caught up, and builds it anew.
CHECKPOINT_KEY: Final = b"\x00caught-up-%d" % ROW_FORMAT
FIRST_KEY: Final = b"\x01"

# For the whole process, however many tables and partitions it has: blocks read, their indexes and filters, and rows not
# yet in a file. Faust's defaults are 2 GiB of blocks and 3 x 64 MiB of such rows for each partition of each table.
MEMORY_BYTES: Final = 128 * 1024 * 1024
WRITE_BUFFERS_BYTES: Final = 64 * 1024 * 1024
ROCKSDB_OPTIONS: Final[Mapping[str, Any]] = {
    "write_buffer_size": 8 * 1024 * 1024,
    "max_write_buffer_number": 2,
    "max_open_files": 256,
}


class TableChanges(NamedTuple):
    """Changes of one table: rows by key, None for a removed row; index entries with the row's key, None to remove."""

    rows: dict[bytes, bytes | None]
    entries: list[tuple[bytes, bytes | None]]

    def set(self, spec: TableSpec[Any], key: str, row: Any, value: bytes) -> None:
        """Add a changed row, its bytes, and its index entries."""
        row_key = key.encode()
        self.rows[row_key] = value
        if spec.index is not None:
            for entry, present in spec.index(key, row):
                self.entries.append((entry, row_key if present else None))


@cache
def shared_memory() -> tuple[rocksdict.Cache, rocksdict.WriteBufferManager]:
    """Return the block cache and the write buffer manager that all databases share; the buffers count in the cache."""
    blocks = rocksdict.Cache(MEMORY_BYTES)
    # No stalling: when the buffers are full, one table's are written to a file, which makes room for the others.
    buffers = rocksdict.WriteBufferManager.new_write_buffer_manager_with_cache(
        WRITE_BUFFERS_BYTES, allow_stall=False, cache=blocks
    )
    return blocks, buffers


class SharedMemoryOptions(RocksDBOptions):  # type: ignore[misc]
    """Faust's options of a database, with the process's shared memory."""

    def as_options(self) -> rocksdict.Options:
        """Return the options of one database."""
        blocks, buffers = shared_memory()
        tables = rocksdict.BlockBasedOptions()
        tables.set_block_cache(blocks)
        tables.set_cache_index_and_filter_blocks(True)
        tables.set_pin_l0_filter_and_index_blocks_in_cache(True)
        tables.set_bloom_filter(self.bloom_filter_size, block_based=False)
        options: rocksdict.Options = super().as_options()
        options.set_block_based_table_factory(tables)
        options.set_write_buffer_manager(buffers)
        return options


class LedgerStore(RocksDBStore):  # type: ignore[misc]
    """The local copies of a table's partitions in RocksDB. A copy may lag its changelog, and is never ahead of it."""

    logger = FAUST_LOGGER

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, driver="rocksdict", **kwargs)
        self.rocksdb_options = SharedMemoryOptions(**ROCKSDB_OPTIONS)

    def row(self, partition: int, key: bytes) -> bytes | None:
        """Return the row's bytes, or None."""
        return cast("bytes | None", self._db_for_partition(partition).get(key))

    def apply(self, spec: TableSpec[Any], partition: int, changes: TableChanges, changelog_offset: int) -> None:
        """Write rows, their index entries and the changelog's offset in one atomic write.

        `changelog_offset` is that of the last change; the next start reads the changelog from there.
        """
        database = self._db_for_partition(partition)
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes.rows.items():
            if value is None:
                self._remove_entries(spec, partition, key, batch)
                batch.delete(key)
            else:
                batch.put(key, value)
        for entry, row_key in changes.entries:
            if row_key is None:
                batch.delete(INDEX_PREFIX + entry)
            else:
                batch.put(INDEX_PREFIX + entry, row_key)
        batch.put(self.offset_key, str(changelog_offset).encode())
        database.write(batch)

    def _remove_entries(self, spec: TableSpec[Any], partition: int, key: bytes, batch: Any) -> None:
        before = self.row(partition, key) if spec.index is not None else None
        if before is not None and spec.index is not None:
            for entry, _present in spec.index(key.decode(), spec.decode(before)):
                batch.delete(INDEX_PREFIX + entry)

    def scan(self, partition: int, start: bytes, end: bytes, count_max: int) -> list[str]:
        """Return the keys of rows with an index entry in [start, end), in the entries' order, at most `count_max`."""
        keys: list[str] = []
        iterator = self._db_for_partition(partition).iter()
        iterator.seek(INDEX_PREFIX + start)
        stop = INDEX_PREFIX + end
        while len(keys) < count_max and iterator.valid() and iterator.key() < stop:
            keys.append(iterator.value().decode())
            iterator.next()
        return keys

    def rows_with_prefix(self, partition: int, prefix: bytes) -> Iterable[bytes]:
        """Yield the rows whose keys begin with `prefix`, in the order of their keys."""
        iterator = self._db_for_partition(partition).iter()
        iterator.seek(prefix)
        while iterator.valid() and iterator.key().startswith(prefix):
            yield iterator.value()
            iterator.next()

    def keys_after(self, partition: int, prefix: bytes, after: bytes, count_max: int) -> list[str]:
        """Return the next keys that begin with `prefix` after the key `after`, in their order."""
        keys: list[str] = []
        iterator = self._db_for_partition(partition).iter()
        iterator.seek(max(prefix, after, FIRST_KEY))
        while len(keys) < count_max and iterator.valid() and (key := iterator.key()).startswith(prefix):
            if key not in (after, self.offset_key):
                keys.append(key.decode())
            iterator.next()
        return keys

    def page(self, partition: int, prefix: bytes, after: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        """Return the next keys and rows whose keys begin with `prefix`, after the key `after`, in their order."""
        rows: list[tuple[bytes, bytes]] = []
        iterator = self._db_for_partition(partition).iter()
        iterator.seek(max(prefix, after, FIRST_KEY))
        while len(rows) < count_max and iterator.valid() and (key := iterator.key()).startswith(prefix):
            if key not in (after, self.offset_key):
                rows.append((key, iterator.value()))
            iterator.next()
        return rows

    def rows_after(self, partition: int, key: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        """Return the next keys and rows after `key`, in the order of keys; from the first row if `key` is empty."""
        rows: list[tuple[bytes, bytes]] = []
        iterator = self._db_for_partition(partition).iter()
        iterator.seek(max(key, FIRST_KEY))
        while len(rows) < count_max and iterator.valid():
            found = iterator.key()
            if found not in (key, self.offset_key):
                rows.append((found, iterator.value()))
            iterator.next()
        return rows

    def last_rows_with_prefix(self, partition: int, prefix: bytes, count_max: int, bytes_max: int) -> list[bytes]:
        """Return the rows whose keys begin with `prefix`, last first.

        At most `count_max` rows, and no further row once they have `bytes_max` bytes together.
        """
        rows: list[bytes] = []
        size = 0
        iterator = self._db_for_partition(partition).iter()
        iterator.seek_for_prev(prefix + b"\xff")
        while len(rows) < count_max and size < bytes_max and iterator.valid() and iterator.key().startswith(prefix):
            rows.append(iterator.value())
            size += len(rows[-1])
            iterator.prev()
        return rows

    def write_checkpoint(self, partition: int, caught_up_ms: int) -> None:
        """Note that at that time (milliseconds since 1970) the copy had all that its changelog had."""
        self._db_for_partition(partition).put(CHECKPOINT_KEY, str(caught_up_ms).encode())

    def checkpoint_ms(self, partition: int) -> int | None:
        """Return when the copy was last known to be caught up; None if it never was, or has rows of another format."""
        data = self._db_for_partition(partition).get(CHECKPOINT_KEY)
        return None if data is None else int(data)

    def wipe(self, partition: int) -> None:
        """Delete the partition's copy; recovery builds it anew from the changelog."""
        self._dbs.pop(partition, None)
        shutil.rmtree(self.partition_path(partition), ignore_errors=True)


class LedgerTable(faust.Table[bytes, bytes]):  # type: ignore[misc]
    """A Faust table on a LedgerStore. Faust declares and assigns it; rounds write it."""

    logger = FAUST_LOGGER

    def _new_store_by_url(self, url: Any) -> Any:
        return LedgerStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            value_type=self.value_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            loop=self.loop,
        )

    def offset(self, tp: TP) -> int:
        """Return the offset of the last change in the local copy, or -1 if it is empty."""
        persisted = self.data.persisted_offset(tp)
        return -1 if persisted is None else persisted
