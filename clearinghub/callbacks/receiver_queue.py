"""The callbacks that wait for one receiver: which are ready to send, in which order, and the receiver's breaker.

The callbacks about one subject, e.g. one transfer, form a chain: only the first is ready, and the next becomes ready
when that one is settled. Chains are served side by side, in the order in which they became ready.

Of a chain, what was parked and read back comes first, and what came straight from topic `notification` after it: while
an earlier callback of its subject is parked, a callback is parked after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from clearinghub.callbacks.breaker import Breaker
from clearinghub.callbacks.metrics import ReceiverMetrics
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.shares import Shares, Usage

IDLE_MS: Final = 60_000
"""A receiver that has had no callbacks for this time is forgotten, and created anew with its next callback."""


class Home(Protocol):
    """Where a callback is parked when its receiver cannot take it: its partition of topic `parked`."""

    @property
    def is_open(self) -> bool:
        """Whether the partition is still assigned to this worker. If not, its callbacks are read again elsewhere."""

    def must_park(self, queue: str, subject: str) -> bool:
        """Return whether the queue's next callback of the subject must be parked: earlier ones are, unread."""

    def has_room(self, queue: str, size: int) -> bool:
        """Return whether `size` bytes more may be parked for the queue."""

    def park(self, delivery: Delivery, not_before_ms: int, done: Callable[[], None]) -> None:
        """Write the delivery's callback to the topic, and call `done` once it is durable; in order for a subject."""


class Nowhere:
    """No place to park: what has no room in memory is given up."""

    is_open: Final = True

    def must_park(self, queue: str, subject: str) -> bool:
        del queue, subject
        return False

    def has_room(self, queue: str, size: int) -> bool:
        del queue, size
        return False

    def park(self, delivery: Delivery, not_before_ms: int, done: Callable[[], None]) -> None:
        """Raise AssertionError: there is never room."""
        del delivery, not_before_ms, done
        raise AssertionError("there is no place to park")


NOWHERE: Final = Nowhere()


@dataclass(slots=True, eq=False)
class Delivery:
    """A callback that is not settled. `submitted_ms` is in milliseconds of the event loop's clock.

    `parked_since_ms` says, in milliseconds since 1970, since when a callback that was read back counts as parked; None
    if it came from topic `notification`. `is_waiting` is False while an attempt is under way, between two attempts, and
    while it is written to the dead letter.
    """

    notification: Notification
    settled: asyncio.Future[None]
    submitted_ms: int
    size: int
    home: Home
    attempts: int = 0
    parked_since_ms: int | None = None
    is_waiting: bool = True
    before: Delivery | None = None  # the callback of the same subject before this one
    after: Delivery | None = None  # and the one after it

    @property
    def subject(self) -> str:
        """The id of what the callback is about, whose callbacks stay in order."""
        return self.notification.message.id

    @property
    def was_parked(self) -> bool:
        return self.parked_since_ms is not None


def chain_of(last: Delivery) -> Iterator[Delivery]:
    """Return the callbacks of a chain, from its last to its first."""
    one: Delivery | None = last
    while one is not None:
        yield one
        one = one.before


class ReceiverQueue:
    """A receiver's queue. `usage` counts every delivery from `add` to `finish` or `detach`, wherever it waits."""

    def __init__(self, receiver: str, breaker: Breaker, now_ms: int, total: Usage) -> None:
        """`total` is what all queues take together."""
        self.receiver = receiver
        self.breaker = breaker
        self.usage = Usage()
        self.workers = 0
        self.used_ms = now_ms
        self.wake: asyncio.TimerHandle | None = None  # set while the breaker is open and something is ready
        self.ready: deque[Delivery] = deque()
        self._total = total
        self._last: dict[str, Delivery] = {}  # the end of each subject's chain
        self._direct: dict[Delivery, None] = {}  # those that were never parked, in the order of their coming
        self.metrics = ReceiverMetrics(receiver, lambda: self.pending, lambda: int(breaker.state))

    @property
    def pending(self) -> int:
        """How many callbacks wait or are in flight."""
        return self.usage.count

    def last(self, subject: str) -> Delivery | None:
        """Return the last callback of a subject, or None."""
        return self._last.get(subject)

    def add(self, delivery: Delivery) -> None:
        """Add a delivery at the end of its subject's chain."""
        self._take(1, delivery.size)
        self.used_ms = delivery.submitted_ms
        subject = delivery.subject
        last = self._last.get(subject)
        self._last[subject] = delivery
        if delivery.parked_since_ms is None:
            self._direct[delivery] = None
        if last is None:
            self.ready.append(delivery)
        else:
            last.after, delivery.before = delivery, last

    def detain(self, delivery: Delivery) -> None:
        """Take a delivery that was added last, and is ready, out of the ready ones: its next attempt is not due."""
        assert self.ready[-1] is delivery
        self.ready.pop()
        delivery.is_waiting = False

    def finish(self, delivery: Delivery) -> None:
        """Remove a delivery that is settled, the first of its chain, and make the next of the chain ready."""
        self._take(-1, -delivery.size)
        self._direct.pop(delivery, None)
        after = delivery.after
        if after is None:
            del self._last[delivery.subject]
        else:
            after.before = None
            self.ready.append(after)

    def closed(self) -> list[Delivery]:
        """Return what waits and belongs to a partition that is not this worker's any more, as `held` does."""
        return [
            one
            for last in self._last.values()
            for one in chain_of(last)
            if one.is_waiting and not one.home.is_open and (one.before is None or not one.before.is_waiting)
        ]

    def held(self, since_ms: int) -> list[Delivery]:
        """Return what waits since `since_ms` or longer and may be parked: each with what follows it in its chain.

        Never parked are callbacks whose earlier one, not parked itself, is in flight: they would overtake it.
        """
        found = []
        for delivery in self._direct:
            if delivery.submitted_ms > since_ms:
                break
            if delivery.is_waiting and (delivery.before is None or delivery.before.was_parked):
                found.append(delivery)
        return found

    def detach(self, firsts: Iterable[Delivery]) -> list[Delivery]:
        """Remove deliveries, each with what follows it in its chain, and return all of them in the order of chains."""
        removed: dict[Delivery, None] = {}
        for first in firsts:
            if first.before is None:
                del self._last[first.subject]
            else:
                first.before.after = None
                self._last[first.subject] = first.before
            one: Delivery | None = first
            while one is not None:
                removed[one] = None
                self._take(-1, -one.size)
                self._direct.pop(one, None)
                following = one.after
                one.before = one.after = None
                one = following
        if any(one in removed for one in self.ready):
            self.ready = deque(one for one in self.ready if one not in removed)
        return list(removed)

    def _take(self, count: int, size: int) -> None:
        for usage in (self.usage, self._total):
            usage.count += count
            usage.bytes += size
            assert usage.count >= 0


class ReceiverQueues:
    """The queues of all receivers that have callbacks, or had some within `IDLE_MS`."""

    def __init__(self, new_breaker: Callable[[], Breaker], shares: Shares) -> None:
        """Call within a running event loop."""
        self._new_breaker = new_breaker
        self._shares = shares
        self._loop = asyncio.get_running_loop()
        self._queues: dict[str, ReceiverQueue] = {}
        self._idle_timer: asyncio.TimerHandle | None = None

    def get(self, receiver: str) -> ReceiverQueue | None:
        """Return the receiver's queue, or None."""
        return self._queues.get(receiver)

    def of(self, receiver: str) -> ReceiverQueue:
        """Return the receiver's queue, created if there is none."""
        queue = self._queues.get(receiver)
        if queue is None:
            queue = ReceiverQueue(receiver, self._new_breaker(), self._now_ms(), self._shares.usage)
            self._queues[receiver] = queue
            if self._idle_timer is None:
                self._idle_timer = self._loop.call_later(IDLE_MS / 1000, self._remove_idle)
        return queue

    def all(self) -> list[ReceiverQueue]:
        return list(self._queues.values())

    def forget_idle(self, now_ms: int) -> None:
        """Remove the queues that have been empty for `IDLE_MS`."""
        for queue in self.all():
            if not queue.pending and not queue.workers and now_ms - queue.used_ms >= IDLE_MS:
                self._forget(queue)

    def close(self) -> None:
        """Remove all queues and stop all timers."""
        for queue in self.all():
            self._forget(queue)
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    def _remove_idle(self) -> None:
        self.forget_idle(self._now_ms())
        self._idle_timer = self._loop.call_later(IDLE_MS / 1000, self._remove_idle) if self._queues else None

    def _forget(self, queue: ReceiverQueue) -> None:
        if queue.wake is not None:
            queue.wake.cancel()
        queue.metrics.forget()
        del self._queues[queue.receiver]

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)
