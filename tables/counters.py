"""Table `counters`: a partition's own counts, by name. Ids are made from them, so that a replay makes the same ids."""

from __future__ import annotations

from typing import Final

from clearinghub.engine.record import View, number_table

COUNTERS: Final = number_table("counters")
IDS: Final = "id"
FINAL: Final = "final"
STORED: Final = "stored"
REPORTED: Final = "reported"  # the number of the last transfer whose id was reported to its home


def next_id(view: View) -> int:
    """Return an id that no partition has returned before: of a participant, an account or a settlement model."""
    count = view.get(COUNTERS, IDS) or 0
    view.put(COUNTERS, IDS, count + 1)
    return count * view.partitions + view.partition + 1


def next_sequence(view: View) -> int:
    """Return the number of the partition's next final state, from 1 without a gap; the archive counts by it."""
    sequence = (view.get(COUNTERS, FINAL) or 0) + 1
    view.put(COUNTERS, FINAL, sequence)
    return sequence


def next_number(view: View) -> int:
    """Return the number of the partition's next transfer, from 1 without a gap; their ids are reported in its order."""
    number = (view.get(COUNTERS, STORED) or 0) + 1
    view.put(COUNTERS, STORED, number)
    return number
