"""What an archive has of the time after a copy's cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghub.copies import CopyError
from clearinghub.copies.folder import FORMAT, CopiedPartition, Manifest
from clearinghub.copies.missing import finished_in_archive
from clearinghub.tools.archive.batch import Batch
from clearinghub.tools.archive.folder import opened
from tests.archived import final


def manifest(**last_final_states: int) -> Manifest:
    partitions = tuple(
        CopiedPartition(int(name[1:]), "2026-03-03T12:00:00Z", {}, 0, {}, {}, last, ())
        for name, last in last_final_states.items()
    )
    return Manifest(FORMAT, "1.0.0", 1, 0, "Hub", "hub", "", "2026-03-03T12:00:00Z", {}, partitions)


def archived(root: Path, partition: int, count: int) -> None:
    with opened(root, "cluster", "") as folder:
        batch = Batch("transfers", partition, 0, None)
        for sequence in range(1, count + 1):
            batch.add(sequence, final(sequence, amount=sequence * 10_000))
        folder.commit(batch)


def test_what_was_finished_after_the_copy_is_found_with_its_amount(tmp_path: Path) -> None:
    archived(tmp_path, 0, 6)
    archived(tmp_path, 1, 3)
    found = list(finished_in_archive(manifest(p0=4, p1=3), tmp_path))

    assert [(0, 5, "t-5", 50_000, "EUR"), (0, 6, "t-6", 60_000, "USD")] == [
        (one.partition, one.sequence, one.transfer_id, one.amount, one.currency) for one in found
    ]
    assert "2026-03-04T12:00:00.000Z" == found[1].finished_at


def test_a_folder_without_an_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CopyError, match="--archive needs the folder"):
        list(finished_in_archive(manifest(p0=1), tmp_path))
