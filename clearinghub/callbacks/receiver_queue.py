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


class Lane:
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


class Lanes:
    """The lanes of all receivers that have callbacks, or had until a moment ago."""

    def __init__(self, new_breaker: Callable[[], Breaker]) -> None:
        """Call within a running event loop."""
        self._new_breaker = new_breaker
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, Lane] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def get(self, receiver: str) -> Lane | None:
        """The receiver's lane, or None."""
        return self._lanes.get(receiver)

    def of(self, receiver: str) -> Lane:
        """The receiver's lane, made if there is none."""
        lane = self._lanes.get(receiver)
        if lane is None:
            lane = self._lanes[receiver] = Lane(receiver, self._new_breaker(), self._now_ms())
            if self._sweep is None:
                self._sweep = self._loop.call_later(IDLE_MS / 1000, self._sweep_idle)
        return lane

    def all(self) -> list[Lane]:
        """All of them."""
        return list(self._lanes.values())

    def forget_idle(self, now_ms: int) -> None:
        """Forget who has had nothing for `IDLE_MS`."""
        for lane in self.all():
            if not lane.pending and not lane.workers and now_ms - lane.used_ms >= IDLE_MS:
                self._forget(lane)

    def close(self) -> None:
        """Forget all, and stop all timers."""
        for lane in self.all():
            self._forget(lane)
        if self._sweep is not None:
            self._sweep.cancel()

    def _sweep_idle(self) -> None:
        self.forget_idle(self._now_ms())
        self._sweep = self._loop.call_later(IDLE_MS / 1000, self._sweep_idle) if self._lanes else None

    def _forget(self, lane: Lane) -> None:
        if lane.wake is not None:
            lane.wake.cancel()
        lane.metrics.forget()
        del self._lanes[lane.receiver]

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)
