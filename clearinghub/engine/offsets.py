"""What the row of offsets says: how far the inputs are decided, and where the changelogs end (ADR 7, 28)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from clearinghub.engine.batch import Batch
from clearinghub.engine.loss import TRANSACTION_MARKERS, checksum
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets, LastRecord
from clearinghub.engine.store import TableChanges
from clearinghub.rows import ROW_FORMAT

# Returns, for a topic, a partition and the offset that comes next, the offset that comes next when markers of
# transactions at the end of the log are stepped over.
StepOverMarkers = Callable[[str, int, int], int]


class PartitionPlace(NamedTuple):
    """Where a partition begins to work: in its inputs, by topic, and in its changelogs, by table.

    `changelog_offsets` are the offsets of the last records that are known, `changelog_ends` those of the next ones.
    `later` has the fields of the row of offsets that a later release has added (ADR 26).
    """

    next_offsets: Mapping[str, int]
    last_records: Mapping[str, LastRecord]
    changelog_offsets: Mapping[str, int]
    changelog_ends: Mapping[str, int]
    later: tuple[msgspec.Raw, ...] = ()


class PartitionOffsets:
    """Keeps a partition's place while it works, and writes it into each round."""

    def __init__(self, number: int, place: PartitionPlace, step_over_markers: StepOverMarkers) -> None:
        self.next = dict(place.next_offsets)
        self._number = number
        self._last_records = dict(place.last_records)
        self._changelog_offsets = dict(place.changelog_offsets)
        self._changelog_ends = dict(place.changelog_ends)
        self._later = place.later
        self._step_over_markers = step_over_markers

    def is_next(self, topic: str, batch: Batch) -> bool:
        """Return whether a batch begins where its input is decided, so that no record is missing between."""
        return batch.begin == self.next[topic]

    def decided(self, topic: str, batch: Batch) -> None:
        """Move an input past a batch that is decided."""
        assert self.is_next(topic, batch)
        assert self.next[topic] < batch.end
        last = batch.records[-1]
        self.next[topic] = batch.end
        self._last_records[topic] = LastRecord(last.offset, last.timestamp, checksum(last.key, last.value))

    def pass_markers(self, quiet: Iterable[str]) -> bool:
        """Step over the markers at the ends of quiet inputs, where nothing waits. Return whether there were any.

        Otherwise retention would one day delete the markers, and a worker that starts later would miss their offsets.
        """
        before = dict(self.next)
        for topic in quiet:
            self.next[topic] = self._step_over_markers(topic, self._number, before[topic])
        return before != self.next

    def note(self, changes: dict[str, TableChanges], now_ms: int) -> dict[str, int]:
        """Add the row of offsets to a round's changes. Return the offset of each changed table's last record.

        Nobody else writes the changelogs, so the offsets are known before the records are sent.
        """
        changed = changes.setdefault(OFFSETS.name, TableChanges({}, []))
        changed.rows[INPUTS.encode()] = None  # counts as a record of its changelog; its value follows
        foreseen = {table: self._changelog_ends[table] + len(one.rows) - 1 for table, one in changes.items()}
        self._changelog_offsets |= foreseen
        row = DecidedOffsets(
            row_format=ROW_FORMAT,
            next_offsets=self.next,
            last_records=self._last_records,
            changelog_offsets=self._changelog_offsets,
            committed_ms=now_ms,
            later=self._later,
        )
        changed.rows[INPUTS.encode()] = OFFSETS.encode(row)
        return foreseen

    def committed(self, foreseen: Mapping[str, int]) -> None:
        """Move the changelogs past a round's records and their markers."""
        for table, offset in foreseen.items():
            self._changelog_ends[table] = offset + 1 + TRANSACTION_MARKERS
