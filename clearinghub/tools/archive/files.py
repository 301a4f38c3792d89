"""The archive's files: their names, which of the topics' offsets they hold, and how a batch is written as a whole.

    <folder>/<data set>/day=2026-03-03/currency=USD/transfers-0003-<begin>-<end>-1of2.parquet

A name has the topic, the partition and the batch's offsets, `begin` to `end` - 1; the file is one of the batch's two
here. So the names alone say how far the archive is, and nothing else has to be kept in step with them.

A batch is written to `.incoming` and synced there before its first file is moved to its place. A restart deletes the
files of a batch of which none is in place, and moves the remaining files of any other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote

from clearinghub.tools.archive import FolderError

if TYPE_CHECKING:
    from clearinghub.tools.archive.batch import Part

INCOMING: Final = ".incoming"
NO_CURRENCY: Final = "__HIVE_DEFAULT_PARTITION__"  # how partitioned data sets write NULL
_NAME: Final = re.compile(r"([a-z-]+)-(\d{4,})-(\d{19})-(\d{19})-(\d+)of(\d+)\.parquet")


class Span(NamedTuple):
    """The offsets of a partition from `begin` to `end` - 1."""

    topic: str
    partition: int
    begin: int
    end: int

    def file_name(self, number: int, count: int) -> str:
        """Return the name of the `number`th of the `count` files of a batch."""
        return f"{self.topic}-{self.partition:04d}-{self.begin:019d}-{self.end:019d}-{number}of{count}.parquet"


def span_of(name: str) -> Span | None:
    """Return the offsets in a file's name; None for a file that is not the archive's."""
    matched = _NAME.fullmatch(name)
    if matched is None:
        return None
    return Span(matched[1], int(matched[2]), int(matched[3]), int(matched[4]))


def place_of(part: Part) -> Path:
    """Return the folder of a part; no text of a record can lead out of the archive."""
    currency = NO_CURRENCY if part.currency is None else quote(part.currency, safe="")
    return Path(part.dataset, f"day={part.day}", f"currency={currency}")


class Disk:
    """The steps on the disk, one call each: a crash may come between any two of them."""

    def write(self, path: Path, write: Callable[[Path], None]) -> None:
        """Let `write` write a file, and wait until it is on the disk."""
        write(path)
        self._sync(path)

    def make_folder(self, path: Path) -> None:
        """Make a folder and its missing parents, and wait until they are on the disk."""
        if path.is_dir():
            return
        self.make_folder(path.parent)
        path.mkdir(exist_ok=True)
        self._sync(path.parent)

    def move(self, source: Path, target: Path) -> None:
        """Move a file to its place, atomically."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        self._sync(path)

    def sync_all(self) -> None:
        """Wait until everything is on the disk."""
        os.sync()

    @staticmethod
    def _sync(path: Path) -> None:
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def commit(
    root: Path, span: Span, parts: Iterable[Part], write: Callable[[Part, Path], None], disk: Disk
) -> list[Path]:
    """Write a batch: all of it, or nothing that a restart would not undo; returns the paths of its files.

    Raises:
        OSError: the disk is full, or the like.
    """
    parts = list(parts)
    incoming = root / INCOMING
    places = [place_of(part) / span.file_name(number, len(parts)) for number, part in enumerate(parts, start=1)]
    for part, place in zip(parts, places, strict=True):
        disk.make_folder(root / place.parent)
        disk.write(incoming / _flat(place), lambda path, part=part: write(part, path))  # type: ignore[misc]
    disk.sync_folder(incoming)
    # From here the batch counts: a restart moves the files that are not yet in their place.
    _move_in(root, places, disk)
    return [root / place for place in places]


def resume(root: Path, disk: Disk) -> list[Path]:
    """Finish or undo what a crash has interrupted; returns the paths of all the archive's files."""
    incoming = root / INCOMING
    disk.make_folder(incoming)
    files = list(_files(root))
    begun = {span_of(path.name) for path in files}
    left = sorted(incoming.iterdir())
    places = [_place(path.name) for path in left]
    onward = [place for place in places if place is not None and span_of(place.name) in begun]
    for path, place in zip(left, places, strict=True):
        if place not in onward:
            disk.remove(path)
    for folder in {place.parent for place in onward}:
        disk.make_folder(root / folder)
    _move_in(root, onward, disk)
    disk.sync_all()  # a process that was killed may have moved files without waiting for the disk
    return [*files, *(root / place for place in onward)]


def _move_in(root: Path, places: list[Path], disk: Disk) -> None:
    for place in places:
        disk.move(root / INCOMING / _flat(place), root / place)
    for folder in sorted({place.parent for place in places}):
        disk.sync_folder(root / folder)


def _flat(place: Path) -> str:
    """Return the name that a file has in `.incoming`."""
    return quote(place.as_posix(), safe="")


def _place(flat: str) -> Path | None:
    place = Path(unquote(flat))
    is_ours = span_of(place.name) is not None and not place.is_absolute() and ".." not in place.parts
    return place if is_ours else None


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if span_of(name) is not None)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the offsets that the files of one partition have, oldest first, in as few spans as possible.

    Raises:
        FolderError: two of them overlap: records would be there twice.
    """
    found: list[Span] = []
    for span in sorted(set(spans)):
        last = found[-1] if found else None
        if span.end <= span.begin or (last is not None and span.begin < last.end):
            raise FolderError(f"the archive has offsets of {span.topic}-{span.partition} twice, at {span.begin}")
        if last is not None and span.begin == last.end:
            found[-1] = last._replace(end=span.end)
        else:
            found.append(span)
    return found
