"""Table `counters`: what a partition has counted so far; ids are made from it, so that a replay gives the same."""

from __future__ import annotations

import orjson

from clearinghub.engine.record import TableSpec, View

COUNTERS: TableSpec[int] = TableSpec("counters", orjson.dumps, orjson.loads)
IDS = "id"
FINAL = "final"


def next_id(view: View) -> int:
    """An id that no other partition gives, nor this one again: participants', accounts' and models'."""
    count = view.get(COUNTERS, IDS) or 0
    view.put(COUNTERS, IDS, count + 1)
    return count * view.partitions + view.partition + 1


def next_sequence(view: View) -> int:
    """The number of the partition's next final state, from 1 without a gap: by it the archive says how far it is."""
    sequence = (view.get(COUNTERS, FINAL) or 0) + 1
    view.put(COUNTERS, FINAL, sequence)
    return sequence
