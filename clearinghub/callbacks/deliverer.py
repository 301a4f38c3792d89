"""Deliver callbacks: each receiver has a queue, so that a slow or dead DFSP delays no other (design 9).

A queue has as many workers as it has ready callbacks, up to the limit in flight; a worker is a task that ends when
nothing is ready. A callback that waits for its next attempt, or for another callback of its subject, has no worker.

What happens to a callback whose receiver is dead, with the times that are the defaults of clearinghub/config.py:

1. An attempt fails: the connection is refused at once, or no answer comes within 20 s, or the answer is a 5xx.
2. It is tried again after a random pause of up to 0.2 s, then up to 0.4 s, and so on, doubled up to 30 s. After the
   sixth retry it is given up: within 13 s if every connection is refused.
3. After ten failures in a row, of all callbacks to the receiver, its breaker opens. Nothing is sent to the receiver for
   5 s; then one attempt tests it. A failure opens the breaker for 5 s more, an answer closes it.
4. A callback that has waited for more than 60 s in all is given up when its next attempt would begin.
5. A new callback that is worthless later (`deliver_by_ms`) is given up at once while the breaker is open.
6. A callback that is given up is written to topic `dead-letter`, unless it is worthless later. If its message has a
   `failure` that covers the reason, an error callback is written to topic `notification` (dead_letters.py). Only then
   is the callback settled, and its offset may be committed.

The `failure` of a POST /transfers covers a missing endpoint only. If the payee's DFSP is dead, the payer is notified
when the transfer expires.
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
from clearinghub.callbacks.dead_letters import DeadLetterQueue
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
from clearinghub.messages import NotificationMessage
from clearinghub.ports import Participants
from clearinghub.security.signature import Signer

ROOM_POLL_S: Final = 0.02
"""How often a feeder that waits for room looks: rarely enough to cost nothing, and before a queue runs empty."""

SHED_BATCH: Final = 500
"""How many callbacks are dead-lettered at a time when the process holds too many; more would block the event loop."""

_log = structlog.get_logger()


class Deliverer:
    """Settles every notification: it is delivered (any 2xx status), or written to the dead letter."""

    def __init__(
        self,
        settings: Settings,
        participants: Participants,
        transport: Transport,
        write_dead_letter: Callable[[Notification, Reason], Awaitable[None]],
        clock: Callable[[], int],
        *,
        jitter: Callable[[], float] = random.random,
        signer: Signer | None = None,
    ) -> None:
        """Call within a running event loop.

        Args:
            settings: the section "Callbacks", the hub's name and its content version.
            participants: the participants with their endpoints.
            transport: sends one request; closed by its owner.
            write_dead_letter: writes an undelivered callback; repeated until it raises nothing.
            clock: returns milliseconds since 1970, for the Date header and for callbacks that are worthless later.
            jitter: returns a number in [0, 1), which spreads the retries.
            signer: signs the hub's own callbacks; None to send them unsigned.
        """
        self._settings = settings
        self._sender = CallbackSender(settings, participants, transport, clock, signer)
        self._write_dead_letter = write_dead_letter
        self._clock = clock
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        breaker = partial(Breaker, settings.callback_breaker_failures, settings.callback_breaker_open_ms)
        self._queues = ReceiverQueues(breaker)
        self._open: set[Delivery] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._dead_letters = DeadLetterQueue()
        self._closing = False

    @property
    def pending(self) -> int:
        """How many notifications are not settled, of all receivers."""
        return len(self._open)

    def submit(self, notification: Notification) -> asyncio.Future[None]:
        """Begin a delivery and return its future, which is done when the notification is settled.

        `close` cancels the future of a notification that is not settled by then. Wait for `room` before: if the queue
        of the receiver is full, the notification goes to the dead letter at once.
        """
        message = notification.message
        delivery = Delivery(notification, self._loop.create_future(), self._now_ms())
        if self._closing:
            delivery.settled.cancel()
            return delivery.settled
        self._open.add(delivery)
        queue, settle = self._queues.of(message.queue), partial(self._settle, delivery)
        if queue.pending >= self._settings.callback_queue_per_receiver_max:
            self._dead_letter(queue, delivery, Reason(ReasonCode.RECEIVER_OVERLOADED), settle)
        elif message.deliver_by_ms is not None and not queue.breaker.ready(self._now_ms()):
            self._dead_letter(queue, delivery, Reason(ReasonCode.RECEIVER_DOWN), settle)  # notifies its sender now
        else:
            queue.add(delivery)
            self._start_workers(queue, 1)
        return delivery.settled

    def full(self, receiver: str) -> bool:
        """Return whether the feeder should wait before it submits for the receiver.

        That is so if all queues together hold as many as the process may hold, or if the receiver's own queue is full
        and the receiver is healthy. To wait for an unhealthy receiver would delay the others: then submit, and the
        notification goes to the dead letter.
        """
        if len(self._open) >= self._settings.callback_pending_max:
            return True
        queue = self._queues.get(receiver)
        if queue is None or queue.pending < self._settings.callback_queue_per_receiver_max:
            return False
        return not self._unhealthy(queue)

    async def room(self, receiver: str) -> None:
        """Wait while `full`. If the process holds too much, dead-letter what waits for receivers that are down."""
        while self.full(receiver):
            if len(self._open) >= self._settings.callback_pending_max and not self._dead_letters.backlog:
                self._shed()
            await asyncio.sleep(ROOM_POLL_S)

    async def close(self) -> None:
        """Finish what is ready or in flight, within the time to stop, and cancel the rest, which is read again."""
        self._closing = True
        try:
            async with asyncio.timeout(self._settings.stop_timeout_ms / 1000):
                while self._workers:
                    await asyncio.wait(self._workers)
                await self._dead_letters.drain()
        except TimeoutError:
            _log.warning("callbacks-not-drained", pending=len(self._open))
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._dead_letters.close()
        for delivery in self._open:
            delivery.settled.cancel()
        self._open.clear()
        self._queues.close()

    # Workers.

    def _start_workers(self, queue: ReceiverQueue, count: int) -> None:
        """Start up to `count` workers, if the breaker allows any; otherwise start one when it does."""
        count = min(count, len(queue.ready), self._settings.callback_in_flight_per_receiver_max - queue.workers)
        if count <= 0 or self._closing:
            return
        if not queue.breaker.ready(self._now_ms()):
            self._wake_later(queue)
            return
        for _ in range(count):
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
        self._start_workers(queue, 1)  # this one tests the receiver; its success starts the others

    async def _work(self, queue: ReceiverQueue) -> None:
        try:
            while queue.ready:
                delivery = queue.ready.popleft()
                request = self._prepare(delivery)
                if isinstance(request, Reason):
                    self._abandon(queue, delivery, request)
                    await asyncio.sleep(0)  # thousands may end here together; lets the answers of others come between
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
        if waited_ms > self._settings.callback_wait_ms_max or self._is_worthless(delivery.notification.message):
            return Reason(ReasonCode.WAITED_TOO_LONG)
        return self._sender.prepare(delivery.notification)

    async def _attempt(self, queue: ReceiverQueue, delivery: Delivery, request: CallbackRequest) -> None:
        delivery.attempts += 1
        started_s = self._loop.time()
        outcome = await self._sender.send(delivery.notification, request)
        queue.metrics.attempt_seconds.observe(self._loop.time() - started_s)
        if isinstance(outcome, Failed):
            self._note_failure(queue)
            self._try_again(queue, delivery, outcome)
        elif isinstance(outcome, Delivered):
            self._note_answer(queue)
            queue.metrics.delivered.inc()
            queue.finish(delivery)
            self._settle(delivery)
        else:
            self._note_answer(queue)  # a refusal is an answer
            self._abandon(queue, delivery, outcome)

    def _note_answer(self, queue: ReceiverQueue) -> None:
        was_closed = queue.breaker.state is BreakerState.CLOSED
        queue.breaker.succeeded()
        if not was_closed:
            _log.info("receiver-back", receiver=queue.receiver, pending=queue.pending)
            self._start_workers(queue, len(queue.ready))

    def _note_failure(self, queue: ReceiverQueue) -> None:
        was_closed = queue.breaker.state is BreakerState.CLOSED
        queue.breaker.failed(self._now_ms())
        if was_closed and queue.breaker.state is BreakerState.OPEN:
            _log.warning("receiver-down", receiver=queue.receiver, pending=queue.pending)

    def _try_again(self, queue: ReceiverQueue, delivery: Delivery, failed: Failed) -> None:
        settings, message = self._settings, delivery.notification.message
        delay_ms = backoff_ms(
            delivery.attempts,
            first_ms=settings.callback_retry_first_ms,
            longest_ms=settings.callback_retry_longest_ms,
            random=self._jitter,
        )
        if delivery.attempts > settings.callback_retries_max or self._is_worthless(message, delay_ms):
            self._abandon(queue, delivery, Reason(ReasonCode.RETRIES_EXHAUSTED, failed.detail, failed.status))
            return
        queue.metrics.retries.inc()
        _log.warning(
            "callback-failed",
            receiver=queue.receiver,
            transfer_id=message.id,
            notification_id=message.notification_id,
            attempt=delivery.attempts,
            status=failed.status,
            error=failed.detail,
            retry_in_ms=delay_ms,
        )
        self._loop.call_later(delay_ms / 1000, self._again, queue, delivery)

    def _again(self, queue: ReceiverQueue, delivery: Delivery) -> None:
        queue.ready.append(delivery)
        self._start_workers(queue, 1)

    # The end of a callback.

    def _settle(self, delivery: Delivery) -> None:
        self._open.discard(delivery)
        if not delivery.settled.done():
            delivery.settled.set_result(None)

    def _abandon(self, queue: ReceiverQueue, delivery: Delivery, reason: Reason) -> None:
        """Dead-letter the first callback of its subject. The next one waits until it is written, so none gets lost."""
        self._dead_letter(queue, delivery, reason, partial(self._abandoned, queue, delivery))

    def _abandoned(self, queue: ReceiverQueue, delivery: Delivery) -> None:
        queue.finish(delivery)
        self._settle(delivery)
        self._start_workers(queue, 1)

    def _dead_letter(self, queue: ReceiverQueue, delivery: Delivery, reason: Reason, done: Callable[[], None]) -> None:
        reason = replace(reason, attempts=delivery.attempts)
        queue.metrics.count_dead_letter(reason.code)
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
        self._dead_letters.put(partial(self._write_dead_letter, delivery.notification, reason), done)

    # Limits.

    def _is_worthless(self, message: NotificationMessage, in_ms: int = 0) -> bool:
        """Return whether the callback will be worthless `in_ms` milliseconds from now."""
        return message.deliver_by_ms is not None and self._clock() + in_ms >= message.deliver_by_ms

    def _unhealthy(self, queue: ReceiverQueue) -> bool:
        return queue.unhealthy(self._now_ms(), self._settings.callback_wait_ms_max // 2)

    def _shed(self) -> None:
        """Dead-letter ready callbacks of a receiver that is down: of the one for which the most callbacks wait."""
        down = [queue for queue in self._queues.all() if queue.ready and queue.breaker.state is not BreakerState.CLOSED]
        if down:
            queue = max(down, key=lambda queue: queue.pending)
            for _ in range(min(SHED_BATCH, len(queue.ready))):  # the next of a chain becomes ready after this
                self._abandon(queue, queue.ready.popleft(), Reason(ReasonCode.RECEIVER_OVERLOADED))

    def _now_ms(self) -> int:
        """Return the milliseconds of the event loop's clock, which never jumps."""
        return int(self._loop.time() * 1000)
