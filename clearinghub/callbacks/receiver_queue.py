"""The callbacks that wait for one receiver: which are ready to send, in which order, and the receiver's breaker.

The callbacks about one subject, e.g. one transfer, form a chain: only the first is ready, and the next becomes ready
when that one is settled. Chains are served side by side, in the order in which they became ready.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from clearinghub.callbacks.breaker import Breaker, BreakerState
from clearinghub.callbacks.metrics import ReceiverMetrics
from clearinghub.callbacks.notification import Notification

IDLE_MS: Final = 60_000
"""A receiver that has had no callbacks for this time is forgotten, and created anew with its next callback."""


@dataclass(slots=True, eq=False)
class Delivery:
    """A callback that is not settled. `submitted_ms` is in milliseconds of the event loop's clock."""

    notification: Notification
    settled: asyncio.Future[None]
    submitted_ms: int
    attempts: int = 0
    after: Delivery | None = None  # the next callback of the same subject

    @property
    def subject(self) -> str:
        """The id of what the callback is about, whose callbacks stay in order."""
        return self.notification.message.id


class ReceiverQueue:
    """A receiver's queue. `pending` counts every delivery from `add` to `finish`, wherever it waits."""

    def __init__(self, receiver: str, breaker: Breaker, now_ms: int) -> None:
        self.receiver = receiver
        self.breaker = breaker
        self.pending = 0
        self.workers = 0
        self.used_ms = now_ms
        self.wake: asyncio.TimerHandle | None = None  # set while the breaker is open and something is ready
        self.ready: deque[Delivery] = deque()
        self._last: dict[str, Delivery] = {}  # the end of each subject's chain
        self.metrics = ReceiverMetrics(receiver, lambda: self.pending, lambda: int(breaker.state))

    def add(self, delivery: Delivery) -> None:
        """Add a delivery at the end of its subject's chain."""
        self.pending += 1
        self.used_ms = delivery.submitted_ms
        subject = delivery.subject
        last = self._last.get(subject)
        self._last[subject] = delivery
        if last is None:
            self.ready.append(delivery)
        else:
            last.after = delivery

    def finish(self, delivery: Delivery) -> None:
        """Remove a delivery that is settled, the first of its chain, and make the next of the chain ready."""
        self.pending -= 1
        assert self.pending >= 0
        if delivery.after is None:
            del self._last[delivery.subject]
        else:
            self.ready.append(delivery.after)

    def unhealthy(self, now_ms: int, lag_ms_max: int) -> bool:
        """Return whether the receiver does not keep up; then nobody may wait for room in its queue."""
        if self.breaker.state is not BreakerState.CLOSED:
            return True
        if not self.ready:
            return self.workers == 0  # all of its callbacks wait for their next attempt
        return now_ms - self.ready[0].submitted_ms > lag_ms_max


class ReceiverQueues:
    """The queues of all receivers that have callbacks, or had some within `IDLE_MS`."""

    def __init__(self, new_breaker: Callable[[], Breaker]) -> None:
        """Call within a running event loop."""
        self._new_breaker = new_breaker
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
            queue = self._queues[receiver] = ReceiverQueue(receiver, self._new_breaker(), self._now_ms())
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
