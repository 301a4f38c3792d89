"""A crash between any two steps on the disk, or within one, leaves neither gaps nor duplicates."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from clearinghub.tools.archive import FolderError
from clearinghub.tools.archive.batch import Batch
from clearinghub.tools.archive.files import INCOMING, Disk
from clearinghub.tools.archive.folder import opened
from tests.archived import final, places_in, record, rows_in

PARTITIONS = (0, 7)
RECORDS = 8
AT_ONCE = 5  # so that a partition becomes two batches of several files
PAIRS = 60
FINALS = [final(offset + 1) for offset in range(RECORDS)]


class Crash(BaseException):
    """The process ends here; nothing after this step happens."""


class CrashingDisk(Disk):
    """Ends the process at the step of that number, counted from 1; a file that is being written is half there."""

    def __init__(self, crashes_at: int | None = None) -> None:
        self.steps = 0
        self._crashes_at = crashes_at

    def write(self, path: Path, write: Callable[[Path], None]) -> None:
        def torn(path: Path) -> None:
            write(path)
            if self._is_over():
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
                raise Crash

        self._step()
        super().write(path, torn)

    def move(self, source: Path, target: Path) -> None:
        self._step()
        super().move(source, target)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)

    def sync_all(self) -> None:
        """Leave the machine's other disks alone: no power is lost here."""

    @staticmethod
    def _sync(path: Path) -> None:
        """Not this machine's disk either: no power is lost here."""

    def _step(self) -> None:
        if self._is_over():
            raise Crash

    def _is_over(self) -> bool:
        self.steps += 1
        return self.steps == self._crashes_at


def archive(root: Path, disk: Disk) -> None:
    """Copy what the archive lacks of the two partitions, as the command does."""
    with opened(root, "c", "", disk) as folder:
        for partition in PARTITIONS:
            for span in folder.missing("transfers", partition, 0, RECORDS + 1):  # the last offset is a marker
                batch = Batch(*span[:3], folder.last_sequence(partition, span.begin))
                for offset in range(span.begin, RECORDS):
                    batch.add(offset, FINALS[offset])
                    if batch.records == AT_ONCE:
                        folder.commit(batch)
                        batch = Batch("transfers", partition, offset + 1, folder.last_sequence(partition, offset + 1))
                folder.commit(batch, span.end)


def crashed(root: Path, at: int | None) -> int:
    """Archive until the crash; returns how many steps were made."""
    disk = CrashingDisk(at)
    if at is None:
        archive(root, disk)
    else:
        with pytest.raises(Crash):
            archive(root, disk)
    return disk.steps


def check_whole(root: Path) -> None:
    everything = {(partition, offset): 1 for partition in PARTITIONS for offset in range(RECORDS)}
    assert everything == places_in(root, "transfers")
    assert [] == list((root / INCOMING).iterdir())
    for row in rows_in(root, "transfers"):
        assert row["kafka_offset"] + 1 == row["sequence"]


def check_no_double(root: Path) -> None:
    assert set(places_in(root, "transfers").values()) <= {1}


def test_a_crash_at_any_step(tmp_path: Path) -> None:
    steps = crashed(tmp_path / "whole", None)
    check_whole(tmp_path / "whole")
    assert steps > 40

    outcomes: Counter[int] = Counter()
    for at in range(1, steps + 1):
        root = tmp_path / str(at)
        crashed(root, at)
        check_no_double(root)
        outcomes[places_in(root, "transfers").total()] += 1
        before = {path: path.read_bytes() for path in root.glob("transfers/**/*.parquet")}
        archive(root, CrashingDisk())
        check_whole(root)
        assert before == {path: path.read_bytes() for path in before}, "what is in its place may be being read"
    assert len(outcomes) > 10, "crashes in the midst of batches were meant"


def test_a_crash_while_repairing_after_a_crash(tmp_path: Path) -> None:
    steps = crashed(tmp_path / "whole", None)
    chance = random.Random(20_260_303)
    twice = 0
    for number in range(PAIRS):
        root = tmp_path / str(number)
        crashed(root, chance.randint(1, steps))
        disk = CrashingDisk(chance.randint(1, 12))
        try:
            archive(root, disk)
        except Crash:
            twice += 1
        check_no_double(root)
        archive(root, CrashingDisk())
        check_whole(root)
    assert twice > PAIRS // 3


def test_a_full_disk_is_an_error_and_undone(tmp_path: Path) -> None:
    class FullDisk(Disk):
        def write(self, path: Path, write: Callable[[Path], None]) -> None:
            if path.parent.name == INCOMING and "2of2" in path.name:
                raise OSError(28, "No space left on device")
            super().write(path, write)

    with opened(tmp_path, "c", "", FullDisk()) as folder:
        batch = Batch("positions", 0, 0, None)
        for offset, currency in enumerate(("USD", "EUR")):
            batch.add(offset, record("positions", currency=currency))
        with pytest.raises(FolderError, match="No space"):
            folder.commit(batch)

    assert Counter() == places_in(tmp_path, "positions")
    with opened(tmp_path, "c", "") as folder:
        assert folder.end("positions", 0) is None
    assert [] == list((tmp_path / INCOMING).iterdir())
