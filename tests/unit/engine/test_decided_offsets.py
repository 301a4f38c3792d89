"""The row that says how far a partition is decided, and in which format its rows are."""

from __future__ import annotations

import pytest

from clearinghub.engine.errors import StoredFormatError
from clearinghub.engine.offsets import PartitionOffsets, PartitionPlace
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets, LastRecord, read_decided_offsets
from clearinghub.engine.store import TableChanges
from clearinghub.rows import ROW_FORMAT


def test_a_row_of_this_format_is_read() -> None:
    last = {"prepare": LastRecord(11, 1_800_000_000_000, 7)}
    row = DecidedOffsets(row_format=ROW_FORMAT, next_offsets={"prepare": 12}, last_records=last, committed_ms=1)

    assert b'[5,1,{"prepare":12},{"prepare":[11,1800000000000,7]},{},1]' == OFFSETS.encode(row)
    assert row == read_decided_offsets(0, OFFSETS.encode(row))


@pytest.mark.parametrize(
    "data",
    [b'{"credit":2,"prepare":12}', b"{}", b"", b"null", b"[2,1]", b'[2,1,{"prepare":"12"}]', b'[2,2,{"prepare":12}]'],
)
def test_a_row_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(StoredFormatError, match="partition 3: "):
        read_decided_offsets(3, data)


def test_fields_of_a_later_release_are_written_again_in_every_round() -> None:
    stored = OFFSETS.decode(b'[7,1,{"prepare":5},{},{},1,"added",[2]]')
    place = PartitionPlace(stored.next_offsets, stored.last_records, {}, {"offsets": 0}, stored.later)
    offsets = PartitionOffsets(0, place, lambda _topic, _number, offset: offset)

    for now_ms in (2, 3):
        changes: dict[str, TableChanges] = {}
        offsets.note(changes, now_ms)
        written = b'[7,1,{"prepare":5},{},{"offsets":0},%d,"added",[2]]' % now_ms
        assert written == changes[OFFSETS.name].rows[INPUTS.encode()]


def offsets_at(next_offsets: dict[str, int], markers: dict[str, int]) -> PartitionOffsets:
    """The offsets of a partition; `markers` says how many markers follow the last record of a topic."""
    place = PartitionPlace(next_offsets, {}, {}, {"offsets": 0})
    return PartitionOffsets(0, place, lambda topic, _number, offset: offset + markers.get(topic, 0))


def test_the_markers_at_a_quiet_end_are_decided_too() -> None:
    """Retention deletes them one day: a worker that begins before them would find its place gone."""
    offsets = offsets_at({"prepare": 5, "credit": 7}, markers={"credit": 2})

    assert offsets.pass_markers(["prepare", "credit"])
    assert {"prepare": 5, "credit": 9} == offsets.next


def test_markers_before_records_that_wait_are_not_stepped_over() -> None:
    offsets = offsets_at({"prepare": 5, "credit": 7}, markers={"credit": 2})

    assert not offsets.pass_markers(["prepare"])
    assert {"prepare": 5, "credit": 7} == offsets.next
