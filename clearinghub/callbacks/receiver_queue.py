"""One receiver's callbacks: what is ready to go, in which order, and what its breaker says.

Callbacks of one transfer form a chain: only its first is ready, the next becomes so when that one is settled. Chains go
in the order in which they became ready, side by side.
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
"""A receiver without callbacks for so long is forgotten; it is made anew when the next one comes."""


@dataclass(slots=True, eq=False)
class Delivery:
    """A notification on its way. Times are those of the event loop's clock."""

    notification: Notification
    settled: asyncio.Future[None]
    submitted_ms: int
    attempts: int = 0
    after: Delivery | None = None  # the next callback of the same transfer


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
        self._last: dict[str, Delivery] = {}  # the end of each transfer's chain
        self.metrics = ReceiverMetrics(receiver, lambda: self.pending, lambda: int(breaker.state))

    def add(self, delivery: Delivery) -> None:
        """Take a delivery in, behind those of its transfer."""
        self.pending += 1
        self.used_ms = delivery.submitted_ms
        transfer_id = delivery.notification.transfer_id
        last = self._last.get(transfer_id)
        self._last[transfer_id] = delivery
        if last is None:
            self.ready.append(delivery)
        else:
            last.after = delivery

    def finish(self, delivery: Delivery) -> None:
        """The delivery, first of its chain, is delivered or given up: the next of its transfer is ready."""
        self.pending -= 1
        if delivery.after is None:
            del self._last[delivery.notification.transfer_id]
        else:
            self.ready.append(delivery.after)

    def unhealthy(self, now_ms: int, lag_ms_max: int) -> bool:
        """Whether the receiver does not keep up: nobody else may be made to wait until its queue has room."""
        if self.breaker.state is not BreakerState.CLOSED:
            return True
        if not self.ready:
            return self.workers == 0  # everything waits to be repeated
        return now_ms - self.ready[0].submitted_ms > lag_ms_max


class ReceiverQueues:
    """The receiver queues of all receivers that have callbacks, or had until a moment ago."""

    def __init__(self, new_breaker: Callable[[], Breaker]) -> None:
        """Call within a running event loop."""
        self._new_breaker = new_breaker
        self._loop = asyncio.get_running_loop()
        self._queues: dict[str, ReceiverQueue] = {}
        self._punctuate: asyncio.TimerHandle | None = None

    def get(self, receiver: str) -> ReceiverQueue | None:
        """The receiver's queue, or None."""
        return self._queues.get(receiver)

    def of(self, receiver: str) -> ReceiverQueue:
        """The receiver's queue, made if there is none."""
        queue = self._queues.get(receiver)
        if queue is None:
            queue = self._queues[receiver] = ReceiverQueue(receiver, self._new_breaker(), self._now_ms())
            if self._punctuate is None:
                self._punctuate = self._loop.call_later(IDLE_MS / 1000, self._punctuate_idle)
        return queue

    def all(self) -> list[ReceiverQueue]:
        """All of them."""
        return list(self._queues.values())

    def forget_idle(self, now_ms: int) -> None:
        """Forget who has had nothing for `IDLE_MS`."""
        for queue in self.all():
            if not queue.pending and not queue.workers and now_ms - queue.used_ms >= IDLE_MS:
                self._forget(queue)

    def close(self) -> None:
        """Forget all, and stop all timers."""
        for queue in self.all():
            self._forget(queue)
        if self._punctuate is not None:
            self._punctuate.cancel()

    def _punctuate_idle(self) -> None:
        self.forget_idle(self._now_ms())
        self._punctuate = self._loop.call_later(IDLE_MS / 1000, self._punctuate_idle) if self._queues else None

    def _forget(self, queue: ReceiverQueue) -> None:
        if queue.wake is not None:
            queue.wake.cancel()
        queue.metrics.forget()
        del self._queues[queue.receiver]

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)
