"""Which offsets may be committed while records are settled out of order: everything behind the oldest open one."""

from __future__ import annotations

from collections import deque
from typing import Final

Partition = tuple[str, int]
"""A topic's name and a partition's number."""

CAPACITY: Final = 100_000
"""Records of one partition that may be open or stuck behind an open one, some 100 bytes each."""


class _Window:
    """One partition's records from the oldest open one on."""

    __slots__ = ("committed", "last", "open", "position", "settled")

    def __init__(self) -> None:
        self.open: deque[tuple[int, int]] = deque()  # offset and the one to commit behind it, in order
        self.settled: set[int] = set()  # those of `open` that are done
        self.last = -1
        self.position = -1  # what may be committed; -1 for nothing yet
        self.committed = -1


class OffsetTracker:
    """The low watermark of every partition; each call costs O(1), amortised."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._windows: dict[Partition, _Window] = {}

    def full(self, partition: Partition) -> bool:
        """Whether the partition holds as many records as it may; the reader should pause."""
        window = self._windows.get(partition)
        return window is not None and len(window.open) >= self._capacity

    def add(self, partition: Partition, offset: int, next_offset: int) -> None:
        """A record was read; once it and all before it are done, `next_offset` may be committed.

        Raises:
            ValueError: the offset is not behind the last one of the partition, or the partition is full.
        """
        window = self._windows.setdefault(partition, _Window())
        if offset <= window.last or next_offset <= offset:
            raise ValueError(f"offset {offset} after {window.last} of {partition}")
        if len(window.open) >= self._capacity:
            raise ValueError(f"more than {self._capacity} open records of {partition}")
        window.open.append((offset, next_offset))
        window.last = offset

    def done(self, partition: Partition, offset: int) -> None:
        """The record is settled. One that is not open (partition lost, record settled twice) is ignored."""
        window = self._windows.get(partition)
        if window is None or not window.open:
            return
        pending = window.open
        if pending[0][0] < offset <= window.last:
            window.settled.add(offset)
        elif pending[0][0] == offset:
            window.position = pending.popleft()[1]
            while pending and pending[0][0] in window.settled:
                settled, window.position = pending.popleft()
                window.settled.remove(settled)

    def committable(self) -> dict[Partition, int]:
        """For each partition that moved since its last `committed`: the offset from which a restart should read."""
        return {
            partition: window.position
            for partition, window in self._windows.items()
            if window.position > window.committed
        }

    def committed(self, offsets: dict[Partition, int]) -> None:
        """The broker has these offsets."""
        for partition, offset in offsets.items():
            window = self._windows.get(partition)
            if window is not None:
                window.committed = max(window.committed, offset)

    def forget(self, partition: Partition) -> None:
        """The partition belongs to another worker now; what is still open of it counts no more."""
        self._windows.pop(partition, None)
