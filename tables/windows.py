"""Table `windows`: which settlement window a partition's commits belong to now, and the last one that had any."""

from __future__ import annotations

import orjson

from clearinghub.engine.record import TableSpec, View

WINDOWS: TableSpec[int] = TableSpec("windows", orjson.dumps, orjson.loads)
OPEN = "open"
USED = "used"  # the last window of which the coordinator was told that it has a transfer
FIRST_WINDOW = 1  # open from the start (protocol 9.2)


def open_window(view: View) -> int:
    """The number of the partition's open window."""
    number = view.get(WINDOWS, OPEN)
    return FIRST_WINDOW if number is None else number
