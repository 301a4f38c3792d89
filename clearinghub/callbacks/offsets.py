"""The offsets that may be committed while records are settled out of order: all before the oldest open record."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

Partition = tuple[str, int]
"""A topic's name and a partition's number."""

CAPACITY: Final = 100_000
"""How many records of one partition may be open, or wait for an open one to be committed; about 100 bytes each."""


class _Window:
    """One partition's records from the oldest open one on."""

    __slots__ = ("committed", "last", "open", "position", "settled")

    def __init__(self) -> None:
        self.open: deque[tuple[int, int]] = deque()  # each offset, and the offset to commit when it is done; in order
        self.settled: set[int] = set()  # the offsets in `open` that are done
        self.last = -1
        self.position = -1  # what may be committed; -1 for nothing
        self.committed = -1


class OffsetTracker:
    """Finds the offset to commit for every partition of one assignment; each call takes constant time, amortised.

    With the next assignment begins a new tracker: what is open now is then read again, perhaps by another worker.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._windows: dict[Partition, _Window] = {}
        self._followed: dict[Partition, Callable[[], int]] = {}
        self._followed_committed: dict[Partition, int] = {}

    def full(self, partition: Partition) -> bool:
        """Return whether the partition holds as many records as it may, so that its reader must wait."""
        window = self._windows.get(partition)
        return window is not None and len(window.open) >= self._capacity

    def add(self, partition: Partition, offset: int, next_offset: int) -> None:
        """Add a record that was read. When it and all before it are done, `next_offset` may be committed.

        Raises:
            ValueError: the offset is not after the last one of the partition, or the partition is full.
        """
        window = self._windows.setdefault(partition, _Window())
        if offset <= window.last or next_offset <= offset:
            raise ValueError(f"offset {offset} after {window.last} of {partition}")
        if len(window.open) >= self._capacity:
            raise ValueError(f"more than {self._capacity} open records of {partition}")
        window.open.append((offset, next_offset))
        window.last = offset

    def done(self, partition: Partition, offset: int) -> None:
        """Mark a record as settled. A record that is not open, e.g. settled before, is ignored."""
        window = self._windows.get(partition)
        if window is None or not window.open:
            return
        pending = window.open
        if pending[0][0] < offset <= window.last:
            window.settled.add(offset)
        elif pending[0][0] == offset:
            before = window.position
            window.position = pending.popleft()[1]
            while pending and pending[0][0] in window.settled:
                settled, window.position = pending.popleft()
                window.settled.remove(settled)
            assert before < window.position, "an offset to commit never goes back"
            assert not pending or window.position <= pending[0][0], "an open record is not committed"

    def follow(self, partition: Partition, offset: Callable[[], int]) -> None:
        """Let `offset` say what may be committed of a partition whose records are not added here; -1 for nothing."""
        self._followed[partition] = offset

    def committable(self) -> dict[Partition, int]:
        """Return the offset to commit of each partition that has moved since its last `committed`."""
        offsets = {
            partition: window.position
            for partition, window in self._windows.items()
            if window.position > window.committed
        }
        for partition, offset in self._followed.items():
            position = offset()
            if position > self._followed_committed.get(partition, -1):
                offsets[partition] = position
        return offsets

    def committed(self, offsets: dict[Partition, int]) -> None:
        """Note that the broker has these offsets."""
        for partition, offset in offsets.items():
            if partition in self._followed:
                self._followed_committed[partition] = offset
                continue
            window = self._windows[partition]
            assert offset <= window.position, "only what is settled is committed"
            window.committed = max(window.committed, offset)
