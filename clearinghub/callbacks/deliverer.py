"""Delivers callbacks: a queue per receiver, so that a slow or dead DFSP delays nobody else (design 9).

A queue has as many workers as it has work, up to the limit in flight; a worker is a task that ends when nothing is
ready. A callback that waits for its next attempt, or behind another of its transfer, occupies no worker.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from clearinghub.callbacks.breaker import Breaker, BreakerState
from clearinghub.callbacks.dead_letters import DeadLetters
from clearinghub.callbacks.http_client import Transport
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.receiver_queue import Delivery, ReceiverQueue, ReceiverQueues
from clearinghub.callbacks.sender import (
    CallbackRequest,
    CallbackSender,
    Delivered,
    Failed,
    Reason,
    ReasonCode,
    backoff_ms,
)
from clearinghub.config import Settings
from clearinghub.ports import Participants
from clearinghub.security.signature import Signer

ROOM_POLL_S: Final = 0.02
"""A feeder that waits for room looks this often: seldom enough to cost nothing, often enough that no queue runs dry."""

SHED_BATCH: Final = 500
"""Callbacks given up at a time when the process holds too much; more would hold up the event loop."""

_log = structlog.get_logger()


class Deliverer:
    """Takes notifications and settles each: delivered (any 2xx), or written to the dead letter."""

    def __init__(
        self,
        settings: Settings,
        participants: Participants,
        transport: Transport,
        dead_letter: Callable[[Notification, Reason], Awaitable[None]],
        clock: Callable[[], int],
        *,
        jitter: Callable[[], float] = random.random,
        signer: Signer | None = None,
    ) -> None:
        """Call within a running event loop.

        Args:
            settings: the section "Callbacks", the hub's name and its content version.
            participants: who has which endpoints.
            transport: sends one request; closed by its owner.
            dead_letter: writes a callback that is given up; repeated until it raises nothing.
            clock: milliseconds since the epoch, for the Date header and for callbacks' own ends.
            jitter: gives [0, 1), for the spread of the retries.
            signer: signs what the hub itself says, if that is on.
        """
        self._settings = settings
        self._sender = CallbackSender(settings, participants, transport, clock, signer)
        self._dead_letter = dead_letter
        self._clock = clock
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        breaker = partial(Breaker, settings.callback_breaker_failures, settings.callback_breaker_open_ms)
        self._queues = ReceiverQueues(breaker)
        self._open: set[Delivery] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._burials = DeadLetters()
        self._closing = False

    @property
    def pending(self) -> int:
        """Notifications that are not settled, of all receivers."""
        return len(self._open)

    def submit(self, notification: Notification) -> asyncio.Future[None]:
        """Take one notification. The future is done when it is settled, cancelled if `close` comes first.

        Wait for `room` before: to a receiver whose queue is full it is given up at once.
        """
        delivery = Delivery(notification, self._loop.create_future(), self._now_ms())
        if self._closing:
            delivery.settled.cancel()
            return delivery.settled
        self._open.add(delivery)
        queue, settle = self._queues.of(notification.message.queue), partial(self._settle, delivery)
        if queue.pending >= self._settings.callback_queue_per_receiver_max:
            self._bury(queue, delivery, Reason(ReasonCode.RECEIVER_OVERLOADED), settle)
        elif notification.message.deliver_by_ms is not None and not queue.breaker.ready(self._now_ms()):
            self._bury(queue, delivery, Reason(ReasonCode.RECEIVER_DOWN), settle)  # its sender hears so now
        else:
            queue.add(delivery)
            self._staff(queue, 1)
        return delivery.settled

    def full(self, receiver: str) -> bool:
        """Whether the feeder should wait before it submits for the receiver.

        True when all receivers together hold what the process may hold, or when the receiver's own queue is full and
        moves. When it does not, waiting for it would make the others wait: submit, and it is given up.
        """
        if len(self._open) >= self._settings.callback_pending_max:
            return True
        queue = self._queues.get(receiver)
        if queue is None or queue.pending < self._settings.callback_queue_per_receiver_max:
            return False
        return not self._unhealthy(queue)

    async def room(self, receiver: str) -> None:
        """Wait while `full`. If the process holds too much, what waits for receivers that are down is given up."""
        while self.full(receiver):
            if len(self._open) >= self._settings.callback_pending_max and not self._burials.backlog:
                self._shed()
            await asyncio.sleep(ROOM_POLL_S)

    async def close(self) -> None:
        """Finish what is ready or on its way, within the time to stop; cancel the rest. It will be read again."""
        self._closing = True
        try:
            async with asyncio.timeout(self._settings.stop_timeout_ms / 1000):
                while self._workers:
                    await asyncio.wait(self._workers)
                await self._burials.drain()
        except TimeoutError:
            _log.warning("callbacks-not-drained", pending=len(self._open))
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._burials.close()
        for delivery in self._open:
            delivery.settled.cancel()
        self._open.clear()
        self._queues.close()

    # Workers.

    def _staff(self, queue: ReceiverQueue, wanted: int) -> None:
        """Start up to `wanted` workers, if the breaker lets anybody work; otherwise be back when it does."""
        wanted = min(wanted, len(queue.ready), self._settings.callback_in_flight_per_receiver_max - queue.workers)
        if wanted <= 0 or self._closing:
            return
        if not queue.breaker.ready(self._now_ms()):
            self._wake_later(queue)
            return
        for _ in range(wanted):
            queue.workers += 1
            worker = self._loop.create_task(self._work(queue))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def _wake_later(self, queue: ReceiverQueue) -> None:
        if queue.wake is None and queue.breaker.state is BreakerState.OPEN:
            delay_ms = max(0, queue.breaker.retry_at_ms - self._now_ms()) + 1
            queue.wake = self._loop.call_later(delay_ms / 1000, self._wake, queue)

    def _wake(self, queue: ReceiverQueue) -> None:
        queue.wake = None
        self._staff(queue, 1)  # one finds out; its success calls the others

    async def _work(self, queue: ReceiverQueue) -> None:
        try:
            while queue.ready:
                delivery = queue.ready.popleft()
                request = self._prepare(delivery)
                if isinstance(request, Reason):
                    self._give_up(queue, delivery, request)
                    await asyncio.sleep(0)  # thousands may end here together; the others' answers come in between
                elif queue.breaker.allow(self._now_ms()):
                    await self._attempt(queue, delivery, request)
                else:
                    queue.ready.appendleft(delivery)
                    self._wake_later(queue)
                    return
        finally:
            queue.workers -= 1

    # One callback.

    def _prepare(self, delivery: Delivery) -> CallbackRequest | Reason:
        waited_ms = self._now_ms() - delivery.submitted_ms
        if waited_ms > self._settings.callback_wait_ms_max or self._is_over(delivery.notification):
            return Reason(ReasonCode.WAITED_TOO_LONG)
        return self._sender.prepare(delivery.notification)

    async def _attempt(self, queue: ReceiverQueue, delivery: Delivery, request: CallbackRequest) -> None:
        delivery.attempts += 1
        started_s = self._loop.time()
        outcome = await self._sender.send(delivery.notification, request)
        queue.metrics.attempt_seconds.observe(self._loop.time() - started_s)
        if isinstance(outcome, Failed):
            self._unanswered(queue)
            self._try_again(queue, delivery, outcome)
        elif isinstance(outcome, Delivered):
            self._answered(queue)
            queue.metrics.delivered.inc()
            queue.finish(delivery)
            self._settle(delivery)
        else:
            self._answered(queue)  # a refusal is an answer
            self._give_up(queue, delivery, outcome)

    def _answered(self, queue: ReceiverQueue) -> None:
        was_closed = queue.breaker.state is BreakerState.CLOSED
        queue.breaker.succeeded()
        if not was_closed:
            _log.info("receiver-back", receiver=queue.receiver, pending=queue.pending)
            self._staff(queue, len(queue.ready))

    def _unanswered(self, queue: ReceiverQueue) -> None:
        was_closed = queue.breaker.state is BreakerState.CLOSED
        queue.breaker.failed(self._now_ms())
        if was_closed and queue.breaker.state is BreakerState.OPEN:
            _log.warning("receiver-down", receiver=queue.receiver, pending=queue.pending)

    def _try_again(self, queue: ReceiverQueue, delivery: Delivery, failed: Failed) -> None:
        settings = self._settings
        delay_ms = backoff_ms(
            delivery.attempts,
            first_ms=settings.callback_retry_first_ms,
            longest_ms=settings.callback_retry_longest_ms,
            random=self._jitter,
        )
        if delivery.attempts > settings.callback_retries_max or self._is_over(delivery.notification, delay_ms):
            self._give_up(queue, delivery, Reason(ReasonCode.RETRIES_EXHAUSTED, failed.detail, failed.status))
            return
        queue.metrics.retries.inc()
        _log.warning(
            "callback-failed",
            receiver=queue.receiver,
            transfer_id=delivery.notification.message.id,
            notification_id=delivery.notification.message.notification_id,
            attempt=delivery.attempts,
            status=failed.status,
            error=failed.detail,
            retry_in_ms=delay_ms,
        )
        self._loop.call_later(delay_ms / 1000, self._again, queue, delivery)

    def _again(self, queue: ReceiverQueue, delivery: Delivery) -> None:
        queue.ready.append(delivery)
        self._staff(queue, 1)

    # The end of a callback.

    def _settle(self, delivery: Delivery) -> None:
        self._open.discard(delivery)
        if not delivery.settled.done():
            delivery.settled.set_result(None)

    def _give_up(self, queue: ReceiverQueue, delivery: Delivery, reason: Reason) -> None:
        """The next callback of its transfer waits until it is written: what is overtaken lies on the dead letter."""
        self._bury(queue, delivery, reason, partial(self._given_up, queue, delivery))

    def _given_up(self, queue: ReceiverQueue, delivery: Delivery) -> None:
        queue.finish(delivery)
        self._settle(delivery)
        self._staff(queue, 1)

    def _bury(self, queue: ReceiverQueue, delivery: Delivery, reason: Reason, done: Callable[[], None]) -> None:
        reason = replace(reason, attempts=delivery.attempts)
        queue.metrics.dead_letter(reason.code)
        _log.warning(
            "callback-given-up",
            receiver=queue.receiver,
            transfer_id=delivery.notification.message.id,
            notification_id=delivery.notification.message.notification_id,
            reason=reason.code.value,
            error=reason.detail,
            status=reason.status,
            attempt=reason.attempts,
        )
        self._burials.put(partial(self._dead_letter, delivery.notification, reason), done)

    # Limits.

    def _is_over(self, notification: Notification, in_ms: int = 0) -> bool:
        """Whether the callback will be worth nothing `in_ms` from now."""
        return (
            notification.message.deliver_by_ms is not None
            and self._clock() + in_ms >= notification.message.deliver_by_ms
        )

    def _unhealthy(self, queue: ReceiverQueue) -> bool:
        return queue.unhealthy(self._now_ms(), self._settings.callback_wait_ms_max // 2)

    def _shed(self) -> None:
        """Give up all that is ready for the receiver that is down and for which the most waits."""
        down = [queue for queue in self._queues.all() if queue.ready and queue.breaker.state is not BreakerState.CLOSED]
        if down:
            queue = max(down, key=lambda queue: queue.pending)
            for _ in range(min(SHED_BATCH, len(queue.ready))):  # the next of a chain becomes ready in its turn
                self._give_up(queue, queue.ready.popleft(), Reason(ReasonCode.RECEIVER_OVERLOADED))

    def _now_ms(self) -> int:
        """Milliseconds of the event loop's clock, which never jumps."""
        return int(self._loop.time() * 1000)
