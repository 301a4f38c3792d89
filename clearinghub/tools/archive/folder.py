"""The archive's folder: which hub it belongs to, which offsets it has, and which are missing."""

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from clearinghub.messages.archived import Archived
from clearinghub.tools.archive import FolderError
from clearinghub.tools.archive.batch import Batch, Part
from clearinghub.tools.archive.files import Disk, Span, commit, merged, resume, span_of

VERSION: Final = 1
IDENTITY: Final = "archive.json"
LOCK: Final = ".lock"
_METADATA: Final = b"clearinghub"


class Folder:
    """An archive that is open for writing."""

    def __init__(self, root: Path, disk: Disk) -> None:
        """Repair what a crash has interrupted, and read which offsets are archived.

        Raises:
            FolderError: the folder is damaged.
            OSError: the folder cannot be read or written.
        """
        self._root = root
        self._disk = disk
        self._spans: dict[tuple[str, int], list[Span]] = {}
        self._last_sequences: dict[int, int | None] = {}
        files: dict[tuple[str, int], dict[Span, Path]] = defaultdict(dict)
        for path in resume(root, disk):
            span = span_of(path.name)
            assert span is not None
            files[span.topic, span.partition][span] = path
        for (topic, number), by_span in files.items():
            self._spans[topic, number] = merged(by_span)
            if topic == "transfers":
                self._last_sequences[number] = _last_sequence(by_span[max(by_span)])

    def end(self, topic: str, partition: int) -> int | None:
        """Return the offset after the last archived one; None if nothing is archived."""
        spans = self._spans.get((topic, partition))
        return spans[-1].end if spans else None

    def missing(self, topic: str, partition: int, first: int, end: int) -> list[Span]:
        """Return which of the offsets from `first` to `end` - 1 are still to be archived, oldest first.

        Those before the first file are not: the archive began after them, or somebody has removed old days.
        """
        spans = self._spans.get((topic, partition), [])
        if not spans:
            return [Span(topic, partition, first, end)] if first < end else []
        ends = [span.end for span in spans]
        begins = [*(span.begin for span in spans[1:]), end]
        return [Span(topic, partition, *gap) for gap in zip(ends, begins, strict=True) if gap[0] < gap[1]]

    def last_sequence(self, partition: int, before: int) -> int | None:
        """Return the number of the last archived final state if it is the one just before the offset `before`."""
        return self._last_sequences.get(partition) if self.end("transfers", partition) == before else None

    def progress(self) -> list[Archived]:
        """Return how far each partition is archived; without those of which nothing is."""
        return [
            Archived(topic, number, spans[-1].end, self._last_sequences.get(number) if topic == "transfers" else None)
            for (topic, number), spans in self._spans.items()
        ]

    def commit(self, batch: Batch, end: int | None = None) -> int:
        """Write a batch that has records, all of it or nothing; returns the number of its files.

        `end` is that of `Batch.span`.

        Raises:
            FolderError: the disk is full, or the like; a restart undoes what was begun.
            UnreadableRecordError: a value does not fit its column.
        """
        assert batch.records
        span = batch.span(end)
        about = {**span._asdict(), "v": VERSION, "records": batch.records, "lastSequence": batch.last_sequence}
        try:
            written = commit(self._root, span, batch.parts(), partial(_write, about), self._disk)
        except OSError as error:
            raise FolderError(f"{self._root} cannot be written: {error}") from error
        place = (span.topic, span.partition)
        self._spans[place] = merged([*self._spans.get(place, []), span])
        if span.topic == "transfers" and span.end == self.end(*place):
            self._last_sequences[span.partition] = batch.last_sequence
        return len(written)


@contextmanager
def opened(root: Path, cluster: str, prefix: str, disk: Disk | None = None) -> Iterator[Folder]:
    """Open the archive of a cluster's topics for this process alone; it is made if it is not there.

    Raises:
        FolderError: it is in use, another hub's, damaged, or no folder that can be written.
    """
    disk = disk or Disk()
    try:
        disk.make_folder(root)
        lock = os.open(root / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise FolderError(f"{root} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderError(f"{root} is in use: another archive writes to it") from error
        try:
            _check_identity(root, {"v": VERSION, "cluster": cluster, "topicPrefix": prefix}, disk)
            folder = Folder(root, disk)
        except OSError as error:
            raise FolderError(f"{root} cannot be used: {error}") from error
        yield folder
    finally:
        os.close(lock)


def _check_identity(root: Path, mine: dict[str, Any], disk: Disk) -> None:
    """Check that the archive is of the same topics: on another cluster its offsets would mean nothing."""
    path = root / IDENTITY
    if not path.exists():
        incoming = path.with_suffix(".part")
        disk.write(incoming, lambda part: _write_bytes(part, orjson.dumps(mine)))
        disk.move(incoming, path)
        disk.sync_folder(root)
        return
    try:
        found = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    if found != mine:
        raise FolderError(f"{root} is the archive of other topics ({found}, not {mine}): choose another folder")


def _write(about: dict[str, Any], part: Part, path: Path) -> None:
    table = part.table.replace_schema_metadata({_METADATA: orjson.dumps(about)})
    pq.write_table(table, path, compression="zstd")


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _last_sequence(path: Path) -> int | None:
    """Return the number of the last final state in a file of topic `transfers`, from the file's metadata."""
    try:
        about = orjson.loads(pq.read_schema(path).metadata[_METADATA])
        sequence: int | None = about["lastSequence"]
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    return sequence
