"""Finished transfers leave the ledger after their time, and with an archive only once it has them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agents.posting import store_transfer
from agents.transfers.retention import make_bulk_retention_punctuator, make_retention_punctuator
from clearinghub.domain.bulk.bulk import Bulk, BulkState, Tally
from clearinghub.domain.transfers.transfer import State
from tables.bulks import BULKS
from tables.transfers import TRANSFERS
from tests.fakes import MemoryView
from tests.unit.domain.samples import EXPIRES_AT_MS, RECEIVED_AT_MS, transfer

RETENTION_MS = 60_000
LATE_MS = RECEIVED_AT_MS + 3_600_000


@dataclass
class FakeArchive:
    """Has as many transfers of each partition as a test says."""

    sequences: dict[int, int] = field(default_factory=dict)
    reported: list[tuple[int, str, int]] = field(default_factory=list)

    def sequence(self, partition: int) -> int:
        return self.sequences.get(partition, 0)

    def overdue(self, partition: int, table: str, overdue_ms: int) -> None:
        self.reported.append((partition, table, overdue_ms))


def a_partition(count: int, number: int = 3) -> MemoryView:
    """With so many transfers that are committed, one that is aborted, and one that is not finished."""
    view = MemoryView(number, 4)
    for place in range(count):
        store_transfer(view, transfer(State.COMMITTED, transfer_id=f"t{place}"))
    store_transfer(view, transfer(State.ABORTED_ERROR, transfer_id="aborted"))
    store_transfer(view, transfer(State.RESERVED, transfer_id="open"))
    return view


def kept(view: MemoryView) -> set[str]:
    return set(view.rows(TRANSFERS))


def test_final_states_are_numbered_by_partition_and_others_are_not() -> None:
    view = a_partition(2)
    numbers = {key: row.sequence for key, row in view.rows(TRANSFERS).items()}

    assert {"t0": 1, "t1": 2, "aborted": 3, "open": None} == numbers
    assert [1, 2, 3] == [int(one.value.split(b'"sequence":')[1].split(b",")[0]) for one in view.on("transfers")]


def test_without_an_archive_they_leave_after_their_time() -> None:
    view = a_partition(2)
    end_ms = EXPIRES_AT_MS + RETENTION_MS
    make_retention_punctuator(RETENTION_MS)(view, end_ms)
    assert {"t0", "t1", "aborted", "open"} == kept(view)

    make_retention_punctuator(RETENTION_MS)(view, end_ms + 1)
    assert {"open"} == kept(view)


def test_with_an_archive_they_leave_only_once_it_has_them() -> None:
    view, archive = a_partition(3), FakeArchive()
    punctuate = make_retention_punctuator(RETENTION_MS, archive)
    punctuate(view, LATE_MS)
    assert {"t0", "t1", "t2", "aborted", "open"} == kept(view)
    overdue_ms = LATE_MS - RETENTION_MS - EXPIRES_AT_MS
    assert [(3, "transfers", overdue_ms)] == archive.reported

    archive.sequences[2] = 4  # another partition's
    punctuate(view, LATE_MS)
    assert {"t0", "t1", "t2", "aborted", "open"} == kept(view)

    archive.sequences[3] = 2
    punctuate(view, LATE_MS)
    assert kept(view) >= {"t2", "open"}
    archive.sequences[3] = 4
    punctuate(view, LATE_MS)
    assert {"open"} == kept(view)
    assert (3, "transfers", 0) == archive.reported[-1]


def test_what_is_archived_still_stays_for_its_time() -> None:
    view, archive = a_partition(1), FakeArchive({3: 99})
    make_retention_punctuator(RETENTION_MS, archive)(view, EXPIRES_AT_MS + RETENTION_MS)

    assert {"t0", "aborted", "open"} == kept(view)
    assert [(3, "transfers", 0)] == archive.reported


def test_an_archive_that_must_begin_anew_is_believed() -> None:
    """An archive that has lost its files reports less than before: what it has not archived again stays."""
    view, archive = a_partition(3), FakeArchive({3: 3})
    archive.sequences[3] = 1
    make_retention_punctuator(RETENTION_MS, archive)(view, LATE_MS)

    assert kept(view) >= {"t1", "t2", "open"}


def test_a_bulk_leaves_with_its_lines_once_all_of_them_are_archived() -> None:
    view, archive = MemoryView(3, 4), FakeArchive({3: 1})
    ids = ("l1", "l2")
    for transfer_id in ids:
        store_transfer(view, transfer(State.COMMITTED, transfer_id=transfer_id, bulk_id="b"))
    history = ((BulkState.RECEIVED, RECEIVED_AT_MS), (BulkState.COMPLETED, RECEIVED_AT_MS + 1))
    view.put(BULKS, "b", Bulk("b", "payerfsp", "payeefsp", EXPIRES_AT_MS, history, "hash", ids, tally=Tally()))
    punctuate = make_bulk_retention_punctuator(RETENTION_MS, archive)

    punctuate(view, LATE_MS)
    assert ({"l1", "l2"}, {"b"}) == (kept(view), set(view.rows(BULKS)))
    assert [(3, "bulks", LATE_MS - RETENTION_MS - EXPIRES_AT_MS)] == archive.reported

    archive.sequences[3] = 2
    punctuate(view, LATE_MS)
    assert (set(), set()) == (kept(view), set(view.rows(BULKS)))
    assert (3, "bulks", 0) == archive.reported[-1]


@pytest.mark.parametrize(("bulks", "lines", "left"), [(10, 1, 0), (5, 1_000, 1), (10, 0, 0)])
def test_how_many_bulks_leave_at_once_is_a_matter_of_their_lines(bulks: int, lines: int, left: int) -> None:
    view = MemoryView(3, 4)
    history = ((BulkState.RECEIVED, RECEIVED_AT_MS), (BulkState.COMPLETED, RECEIVED_AT_MS + 1))
    for bulk_id in map(str, range(bulks)):
        ids = tuple(f"{bulk_id}-{place}" for place in range(lines))
        for transfer_id in ids:
            view.put(TRANSFERS, transfer_id, transfer(State.COMMITTED, transfer_id=transfer_id, bulk_id=bulk_id))
        view.put(BULKS, bulk_id, Bulk(bulk_id, "payerfsp", "payeefsp", EXPIRES_AT_MS, history, "h", ids, tally=Tally()))
    punctuate = make_bulk_retention_punctuator(RETENTION_MS)

    punctuate(view, LATE_MS)
    assert (left, left * lines) == (len(view.rows(BULKS)), len(kept(view)))
    punctuate(view, LATE_MS)
    assert {} == view.rows(BULKS)


def test_rows_from_before_there_were_numbers_leave_after_their_time() -> None:
    view = MemoryView(3, 4)
    view.put(TRANSFERS, "old", transfer(State.COMMITTED, transfer_id="old"))
    make_retention_punctuator(RETENTION_MS, FakeArchive())(view, LATE_MS)

    assert set() == kept(view)


def test_what_ended_late_stays_for_its_time_after_its_end() -> None:
    view = MemoryView(3, 4)
    view.put(TRANSFERS, "t", transfer(State.COMMITTED, transfer_id="t", expires_at_ms=RECEIVED_AT_MS - 1))
    end_ms = transfer(State.COMMITTED).changed_at_ms + RETENTION_MS
    make_retention_punctuator(RETENTION_MS)(view, end_ms)
    assert {"t"} == kept(view)

    make_retention_punctuator(RETENTION_MS)(view, end_ms + 1)
    assert set() == kept(view)
