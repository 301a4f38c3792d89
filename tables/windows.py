"""Table `windows`: the settlement window to which a partition's commits belong, and the last one announced.

A window is announced to the coordinator when the partition commits its first transfer in the window.
"""

from __future__ import annotations

from typing import Final

from clearinghub.engine.record import View, number_table

WINDOWS: Final = number_table("windows")
OPEN: Final = "open"
ANNOUNCED: Final = "used"
FIRST_WINDOW: Final = 1  # open from the start (protocol 9.2)


def open_window(view: View) -> int:
    """Return the number of the partition's open window."""
    number = view.get(WINDOWS, OPEN)
    return FIRST_WINDOW if number is None else number
