"""A copy on the disk: a manifest, and for each partition a Parquet file of its rows and one of its messages.

    manifest.json                 what the copy is, and each file's digest; written last, so without it there is no copy
    rows-0003.parquet             table, key, value: as the tables store them
    messages-0003.parquet         sender, topic, number, key, value: sent to the partition, and not received at the cut

The next release reads this one's copies: `FORMAT` is raised only with a reader for the old one.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from clearinghub.copies import CopyError
from clearinghub.copies.in_flight import MessageInFlight
from clearinghub.copies.row_store import StoredRow

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
GROUP_ROWS_MAX: Final = 50_000
GROUP_BYTES_MAX: Final = 16 * 1024 * 1024
DIGESTED_AT_ONCE: Final = 1024 * 1024

_ROWS: Final = pa.schema(
    [
        pa.field("table", pa.string(), nullable=False),
        pa.field("key", pa.binary(), nullable=False),
        pa.field("value", pa.binary(), nullable=False),
    ]
)
_MESSAGES: Final = pa.schema(
    [
        pa.field("sender", pa.int32(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("key", pa.binary(), nullable=False),
        pa.field("value", pa.binary(), nullable=False),
    ]
)


class CopiedFile(msgspec.Struct, frozen=True):
    """A file of a copy, with the SHA-256 of its bytes."""

    name: str
    sha256: str
    bytes: int


class CopiedPartition(msgspec.Struct, frozen=True):
    """One partition of a copy.

    Attributes:
        partition: its number.
        cut_at: when the round was committed that the copy is of, ISO 8601.
        rows: how many rows each table has.
        messages: how many messages were sent to the partition and not received.
        decided: by input topic, the offset of the first record that the copy does not have the effects of.
        outputs: by published topic, the offset after its last record when the copy was made.
        last_final_state: the number of the partition's last record on topic `transfers` that the copy knows.
        files: of rows and of messages.
    """

    partition: int
    cut_at: str
    rows: dict[str, int]
    messages: int
    decided: dict[str, int]
    outputs: dict[str, int]
    last_final_state: int
    files: tuple[CopiedFile, ...]


class Manifest(msgspec.Struct, frozen=True):
    """What a copy is.

    Attributes:
        format: of the copy's files.
        release: the version of the hub that made it.
        row_format: of the rows, as `clearinghub.rows` has it.
        feature_level: up to which the rows may have forms of later releases; 0 for those of the first.
        hub_name: the hub's name, whose partition coordinates settlement.
        application_id: of the hub that was copied.
        topic_prefix: of the hub that was copied.
        made_at: when the copy was made, ISO 8601.
        balances: by currency, what all accounts hold together beyond what open transfers explain; 0 but for initial
            positions.
        partitions: all of them.
    """

    format: int
    release: str
    row_format: int
    feature_level: int
    hub_name: str
    application_id: str
    topic_prefix: str
    made_at: str
    balances: dict[str, int]
    partitions: tuple[CopiedPartition, ...]

    def rows(self) -> Counter[str]:
        """Return how many rows each table has on all partitions."""
        total: Counter[str] = Counter()
        for one in self.partitions:
            total.update(one.rows)
        return total


class CopyWriter:
    """Writes a copy into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            CopyError: it has something already, or cannot be made.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise CopyError(f"{folder} is not empty: a copy needs a folder of its own")
        except OSError as error:
            raise CopyError(f"{folder} cannot be written: {error.strerror}") from error

    def write_rows(self, partition: int, rows: Iterable[StoredRow]) -> tuple[CopiedFile, Counter[str]]:
        """Write the rows of a partition; return the file and the number of rows by table."""
        counts: Counter[str] = Counter()

        def counted() -> Iterator[StoredRow]:
            for row in rows:
                counts[row.table] += 1
                yield row

        return self._write(f"rows-{partition:04d}.parquet", _ROWS, counted()), counts

    def write_messages(self, partition: int, messages: Iterable[MessageInFlight]) -> CopiedFile:
        """Write the messages to a partition, in the order in which they are to be received."""
        rows = ((one.sender, one.topic, one.number, one.key, one.value) for one in messages)
        return self._write(f"messages-{partition:04d}.parquet", _MESSAGES, rows)

    def discard(self) -> None:
        """Delete all files that were written, so that the folder is empty again."""
        for path in self._folder.iterdir():
            path.unlink()

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest: from here on there is a copy."""
        incoming = self._folder / f".{MANIFEST}"
        incoming.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        _sync(incoming)
        incoming.rename(self._folder / MANIFEST)
        _sync(self._folder)

    def _write(self, name: str, schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> CopiedFile:
        path = self._folder / name
        try:
            with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
                for group in _groups(rows):
                    columns = [
                        pa.array(column, field.type)
                        for column, field in zip(zip(*group, strict=True), schema, strict=True)
                    ]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            _sync(path)
        except OSError as error:
            raise CopyError(f"{path} cannot be written: {error.strerror or error}") from error
        return CopiedFile(name, _digest(path), path.stat().st_size)


class CopyContent(Protocol):
    """What a restore reads of a copy."""

    @property
    def manifest(self) -> Manifest:
        """The copy's release, its partitions, and how many rows each table has."""

    def rows(self, partition: int) -> Iterator[StoredRow]:
        """Yield the rows of a partition, in the order of tables and keys."""

    def rows_of(self, partition: int, table: str) -> Iterator[StoredRow]:
        """Yield the rows of one table of a partition."""

    def keys(self, table: str) -> pa.ChunkedArray:
        """Return the keys of a table's rows on all partitions."""

    def messages(self, partition: int) -> Iterator[MessageInFlight]:
        """Yield the messages to a partition, in the order in which they are to be received."""


class Copy:
    """A copy that was read and checked: its manifest, and its rows and messages by partition."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path) -> Copy:
        """Read the manifest, and compare every file with its digest.

        Raises:
            CopyError: there is no copy, it is damaged, or of a later format.
        """
        path = folder / MANIFEST
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except OSError as error:
            raise CopyError(f"{folder} has no copy: {path.name} cannot be read ({error.strerror})") from error
        except msgspec.MsgspecError as error:
            raise CopyError(f"{path} is no manifest of a copy: {error}") from error
        if manifest.format > FORMAT:
            raise CopyError(
                f"the copy is of format {manifest.format}, made by release {manifest.release}; this release reads "
                f"formats up to {FORMAT}: restore it with that release or a later one"
            )
        for one in (file for partition in manifest.partitions for file in partition.files):
            if not (folder / one.name).is_file() or _digest(folder / one.name) != one.sha256:
                raise CopyError(f"{folder / one.name} is missing or damaged: its digest is not the manifest's")
        return cls(folder, manifest)

    def rows(self, partition: int) -> Iterator[StoredRow]:
        """Yield the rows of a partition, in the order of tables and keys."""
        for table, key, value in self._read(f"rows-{partition:04d}.parquet", _ROWS):
            yield StoredRow(table, key, value)

    def rows_of(self, partition: int, table: str) -> Iterator[StoredRow]:
        """Yield the rows of one table of a partition, in the order of keys."""
        path = self._folder / f"rows-{partition:04d}.parquet"
        found = pq.read_table(path, filters=[("table", "=", table)])
        for key, value in zip(found["key"].to_pylist(), found["value"].to_pylist(), strict=True):
            yield StoredRow(table, key, value)

    def keys(self, table: str) -> pa.ChunkedArray:
        """Return the keys of a table's rows on all partitions."""
        chunks = []
        for one in self.manifest.partitions:
            if one.rows.get(table):
                path = self._folder / f"rows-{one.partition:04d}.parquet"
                chunks += pq.read_table(path, columns=["key"], filters=[("table", "=", table)])["key"].chunks
        return pa.chunked_array(chunks, pa.binary())

    def messages(self, partition: int) -> Iterator[MessageInFlight]:
        """Yield the messages to a partition, in the order in which they are to be received."""
        for sender, topic, number, key, value in self._read(f"messages-{partition:04d}.parquet", _MESSAGES):
            yield MessageInFlight(sender, partition, topic, number, key, value)

    def _read(self, name: str, schema: pa.Schema) -> Iterator[tuple[Any, ...]]:
        with pq.ParquetFile(self._folder / name, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=10_000):
                yield from zip(*(batch.column(field.name).to_pylist() for field in schema), strict=True)


def _groups(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    group: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[-1])
        if len(group) >= GROUP_ROWS_MAX or size >= GROUP_BYTES_MAX:
            yield group
            group, size = [], 0
    if group:
        yield group


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(DIGESTED_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
