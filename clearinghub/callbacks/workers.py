"""The workers of the receiver queues: tasks that send what is ready, as many as a receiver may have in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from clearinghub.callbacks.breaker import BreakerState
from clearinghub.callbacks.receiver_queue import Delivery, ReceiverQueue
from clearinghub.callbacks.shares import Shares


class Workers:
    """Starts workers, lets them end when nothing is ready, and wakes a queue when its breaker may close."""

    def __init__(
        self,
        shares: Shares,
        send: Callable[[ReceiverQueue, Delivery], Awaitable[bool]],
        now_ms: Callable[[], int],
    ) -> None:
        """Call within a running event loop.

        Args:
            shares: how many requests a receiver may have in flight.
            send: makes an attempt at a ready callback; returns False if the queue's breaker does not allow it.
            now_ms: returns the milliseconds of the event loop's clock.
        """
        self._shares = shares
        self._send = send
        self._now_ms = now_ms
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False

    def start(self, queue: ReceiverQueue, count: int) -> None:
        """Start up to `count` workers, if the breaker allows any; otherwise start one when it does."""
        if not queue.ready or self._is_ending:
            return
        count = min(count, len(queue.ready), self._shares.in_flight_max() - queue.workers)
        if count <= 0:
            return
        if not queue.breaker.ready(self._now_ms()):
            self._wake_later(queue)
            return
        for _ in range(count):
            queue.workers += 1
            self._shares.usage.in_flight += 1
            worker = self._loop.create_task(self._work(queue))
            self._tasks.add(worker)
            worker.add_done_callback(self._tasks.discard)

    def start_no_more(self) -> None:
        """Let the workers finish what is ready, and start no others."""
        self._is_ending = True

    async def drain(self) -> None:
        """Return when all workers have ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel the workers; what they send has no answer."""
        for worker in self._tasks:
            worker.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wake_later(self, queue: ReceiverQueue) -> None:
        if queue.wake is None and queue.breaker.state is BreakerState.OPEN:
            delay_ms = max(0, queue.breaker.retry_at_ms - self._now_ms()) + 1
            queue.wake = self._loop.call_later(delay_ms / 1000, self._wake, queue)

    def _wake(self, queue: ReceiverQueue) -> None:
        queue.wake = None
        self.start(queue, 1)  # this one tests the receiver; its success starts the others

    async def _work(self, queue: ReceiverQueue) -> None:
        try:
            # One more than may be started, or the last one started would end at once and be started again.
            while queue.ready and queue.workers <= self._shares.in_flight_max() + 1:
                delivery = queue.ready.popleft()
                delivery.is_waiting = False
                if not await self._send(queue, delivery):
                    delivery.is_waiting = True
                    queue.ready.appendleft(delivery)
                    self._wake_later(queue)
                    return
        finally:
            queue.workers -= 1
            self._shares.usage.in_flight -= 1
