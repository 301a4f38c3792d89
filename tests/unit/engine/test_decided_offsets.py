"""The row that says how far a partition is decided, and in which format its rows are."""

from __future__ import annotations

import pytest

from clearinghub.engine.errors import StoredFormatError
from clearinghub.engine.record import OFFSETS, DecidedOffsets, LastRecord, read_decided_offsets
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
