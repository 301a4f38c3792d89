"""What is parked on one partition of topic `parked`: an index in memory, without the callbacks themselves.

The topic has the callbacks of all receivers in the order in which they were parked. The index says of each receiver
which of them are not settled, and which of those are not read back yet. It is built by reading the topic, from the
committed offset on: the same way while the worker runs and after it has read the partition over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from clearinghub.messages import ParkedMessage


@dataclass(slots=True, eq=False)
class Parked:
    """A callback on the topic. `size` is its record's, in bytes; `since_ms` is in milliseconds since 1970."""

    offset: int
    size: int
    since_ms: int
    subject: str
    is_settled: bool = False


@dataclass(slots=True)
class Amount:
    """How many callbacks, their size in bytes, and how many of them are not read back."""

    count: int = 0
    bytes: int = 0
    unread: int = 0

    def add(self, count: int, size: int) -> None:
        self.count += count
        self.bytes += size
        assert self.count >= 0


@dataclass(slots=True)
class ParkedQueue:
    """One receiver's callbacks on one partition.

    `open` has those that are not settled, in the topic's order; the oldest is never a settled one. `unread` has those
    of them that are not read back. `unseen` has what was written, or is being written, and was not read by this worker
    yet, by its number, with subject and size. `subjects` counts, by subject, what is in `unread` or `unseen`.
    """

    open: deque[Parked] = field(default_factory=deque)
    unread: deque[Parked] = field(default_factory=deque)
    unseen: dict[int, tuple[str, int]] = field(default_factory=dict)
    subjects: dict[str, int] = field(default_factory=dict)
    last_settled: int = -1  # the highest offset of its callbacks that was removed from `open`
    reported: int = -1  # how far its last progress record goes

    @property
    def is_empty(self) -> bool:
        return not self.open and not self.unseen

    def count_subject(self, subject: str, change: int) -> None:
        left = self.subjects.get(subject, 0) + change
        assert left >= 0
        if left:
            self.subjects[subject] = left
        else:
            self.subjects.pop(subject, None)


class ParkedIndex:
    """The index of one partition. `totals` counts, by queue, what is parked on all partitions of the worker."""

    def __init__(self, writer: str, totals: dict[str, Amount]) -> None:
        """`writer` identifies what this worker parks during this assignment."""
        self.queues: dict[str, ParkedQueue] = {}
        self.position = -1  # up to where the topic was read, exclusive; -1 before the first record
        self._writer = writer
        self._totals = totals

    def must_park(self, queue: str, subject: str) -> bool:
        """Return whether the queue's next callback of this subject must be parked after others.

        It must if others of the queue wait to be read back, on any partition of the worker: they have come first. And
        it must if an earlier one of its subject is on its way to the topic.
        """
        total = self._totals.get(queue)
        if total is None:
            return False
        found = self.queues.get(queue)
        return total.unread > 0 or (found is not None and subject in found.subjects)

    def begin(self, queue: str, number: int, subject: str, size: int) -> None:
        """Note that this worker begins to park a callback under a number."""
        found = self._queue(queue)
        found.unseen[number] = (subject, size)
        found.count_subject(subject, 1)
        self._total(queue).add(1, size)

    def see(self, message: ParkedMessage, offset: int, size: int) -> Parked | None:
        """Add a record that was read to the queue's open and unread ones; None if it was written twice."""
        found = self._queue(message.queue)
        parked = Parked(offset, size, message.since_ms, message.subject)
        if message.writer == self._writer:
            begun = found.unseen.pop(message.number, None)
            if begun is None:
                return None
            self._total(message.queue).add(0, size - begun[1])
        else:
            found.count_subject(message.subject, 1)
            self._total(message.queue).add(1, size)
        found.open.append(parked)
        found.unread.append(parked)
        self._total(message.queue).unread += 1
        return parked

    def hold(self, queue: str, offset: int, size: int, now_ms: int) -> Parked:
        """Add a record that cannot be read: it is open until it is on the dead letter."""
        parked = Parked(offset, size, now_ms, "")
        self._total(queue).add(1, size)
        self._queue(queue).open.append(parked)
        return parked

    def read_back(self, queue: str) -> Parked:
        """Take the oldest unread callback of a queue: its order is kept by the receiver's queue from here on."""
        found = self.queues[queue]
        parked = found.unread.popleft()
        self._total(queue).unread -= 1
        found.count_subject(parked.subject, -1)
        return parked

    def settle(self, queue: str, parked: Parked) -> None:
        """Note that a callback is delivered or dead-lettered."""
        if parked.is_settled:
            return
        parked.is_settled = True
        self._total(queue).add(-1, -parked.size)
        found = self.queues[queue]
        while found.open and found.open[0].is_settled:
            found.last_settled = found.open.popleft().offset
        if not self._total(queue).count:
            self._totals.pop(queue)

    def settle_before(self, queue: str, offset: int) -> None:
        """Take over what a former owner of the partition has settled; before anything is read back."""
        found = self.queues.get(queue)
        while found is not None and found.unread and found.unread[0].offset < offset:
            self.settle(queue, self.read_back(queue))

    def low(self) -> int:
        """Return the offset that may be committed: before it everything is settled. -1 while nothing was read."""
        return min((queue.open[0].offset for queue in self.queues.values() if queue.open), default=self.position)

    def progress(self) -> Iterator[tuple[str, int]]:
        """Yield the queues that have settled more than the committed offset can say, and up to where, exclusive."""
        low = self.low()
        for name, queue in self.queues.items():
            before = queue.last_settled + 1
            if low < before and queue.reported < before:
                queue.reported = before
                yield name, before

    def forget_empty(self) -> None:
        """Remove the queues of which nothing is parked, and whose progress the committed offset says."""
        low = self.low()
        for name, queue in list(self.queues.items()):
            if queue.is_empty and queue.last_settled < low:
                del self.queues[name]

    def forget_all(self) -> None:
        """Take everything off the totals: the partition belongs to another worker."""
        for name, queue in self.queues.items():
            total = self._total(name)
            for parked in queue.open:
                if not parked.is_settled:
                    parked.is_settled = True
                    total.add(-1, -parked.size)
            total.unread -= len(queue.unread)
            for _subject, size in queue.unseen.values():
                total.add(-1, -size)
            if not total.count:
                self._totals.pop(name, None)
        self.queues.clear()

    def _queue(self, name: str) -> ParkedQueue:
        found = self.queues.get(name)
        if found is None:
            found = self.queues[name] = ParkedQueue()
        return found

    def _total(self, queue: str) -> Amount:
        total = self._totals.get(queue)
        if total is None:
            total = self._totals[queue] = Amount()
        return total
