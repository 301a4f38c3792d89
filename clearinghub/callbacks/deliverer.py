"""Deliver callbacks: each receiver has a queue, so that a slow or dead DFSP delays no other (design 9, ADR 29).

A queue has as many workers as it has ready callbacks, up to the limit in flight; a worker is a task that ends when
nothing is ready. A callback that waits for its next attempt, or for another callback of its subject, has no worker.

What happens to a callback whose receiver is dead, with the times that are the defaults of clearinghub/config.py:

1. An attempt fails: the connection is refused at once, or no answer comes within 20 s, or the answer is a 5xx.
2. It is tried again after a random pause of up to 0.2 s, then up to 0.4 s, and so on, doubled up to 30 s. After the
   sixth retry it is given up: within 13 s if every connection is refused.
3. After ten failures in a row, of all callbacks to the receiver, its breaker opens. Nothing is sent to the receiver for
   5 s; then one attempt tests it. A failure opens the breaker for 5 s more, an answer closes it.
4. A callback that has waited for 5 s, and one for which the receiver's queue has no room, is parked: written to topic
   `parked`, which frees its memory and its offset. It is read back when the receiver has room (read_back.py).
5. A callback that has been parked for 15 minutes, one for which no more may be parked, and one that could not be parked
   and has waited for 60 s, is given up.
6. A new callback that is worthless later (`deliver_by_ms`) is given up at once while the breaker is open or the queue
   has no room. It is never parked.
7. A callback that is given up is written to topic `dead-letter`, unless it is worthless later. If its message has a
   `failure` that covers the reason, an error callback is written to topic `notification` (dead_letters.py). Only then
   is it settled, and its offset may be committed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from clearinghub.callbacks.breaker import Breaker, BreakerState
from clearinghub.callbacks.dead_letters import DeadLetterQueue
from clearinghub.callbacks.http_client import Transport
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.receiver_queue import NOWHERE, Delivery, Home, ReceiverQueue, ReceiverQueues
from clearinghub.callbacks.sender import (
    CallbackRequest,
    CallbackSender,
    Delivered,
    Failed,
    Reason,
    ReasonCode,
    backoff_ms,
)
from clearinghub.callbacks.shares import Shares, Usage
from clearinghub.callbacks.workers import Workers
from clearinghub.config import Settings
from clearinghub.messages import NotificationMessage
from clearinghub.ports import Participants
from clearinghub.security.signature import Signer

HOLD_CHECK_S: Final = 0.5  # how often to look for callbacks that have waited so long that they are parked

HEADER_BYTES: Final = 1_000  # about what a callback takes beside its body, where the record's size is not given

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
            signer: signs the hub's own callbacks; None for none.
        """
        self._settings = settings
        self._sender = CallbackSender(settings, participants, transport, clock, signer)
        self._write_dead_letter = write_dead_letter
        self._clock = clock
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._shares = Shares(settings)
        self._queues = ReceiverQueues(
            partial(Breaker, settings.callback_breaker_failures, settings.callback_breaker_open_ms), self._shares
        )
        self._open: set[Delivery] = set()
        self._workers = Workers(self._shares, self._send_next, self._now_ms)
        self._dead_letters = DeadLetterQueue()
        self._closing = False
        self._hold_timer = self._loop.call_later(HOLD_CHECK_S, self._park_held)

    @property
    def pending(self) -> int:
        """How many notifications are not settled, of all receivers."""
        return len(self._open)

    @property
    def backlog(self) -> int:
        """How many callbacks wait to be written to the dead letter."""
        return self._dead_letters.backlog

    def queues(self) -> list[ReceiverQueue]:
        return self._queues.all()

    def submit(self, notification: Notification, home: Home = NOWHERE, size: int | None = None) -> asyncio.Future[None]:
        """Begin a delivery and return its future, which is done when the notification is settled.

        What the receiver cannot take now is parked at its `home`, which settles it too. `close` and `drop_closed`
        cancel the future of what is not settled by then; it is read again. `size` is the record's, in bytes.
        """
        size = len(notification.body) + HEADER_BYTES if size is None else size
        delivery = Delivery(notification, self._loop.create_future(), self._now_ms(), size, home)
        if not self._opens(delivery):
            return delivery.settled
        message = notification.message
        queue = self._queues.of(message.queue)
        if message.deliver_by_ms is not None and not queue.breaker.ready(self._now_ms()):
            self._dead_letter(queue, delivery, ReasonCode.RECEIVER_DOWN)  # notifies its sender now
        elif self._may_queue(queue, delivery):
            queue.add(delivery)
            self._workers.start(queue, 1)
        else:
            self._park([delivery])
        return delivery.settled

    def submit_parked(
        self,
        notification: Notification,
        home: Home,
        size: int,
        *,
        since_ms: int,
        attempts: int = 0,
        in_ms: int = 0,
        is_too_old: bool = False,
    ) -> asyncio.Future[None]:
        """Continue with a callback that was parked, `size` bytes on its partition `home`; ask `room_for_parked` before.

        It counts as parked from `since_ms` on (milliseconds since 1970), was tried `attempts` times before, and is due
        in `in_ms`. If it has been parked too long, it goes to the dead letter.
        """
        delivery = Delivery(notification, self._loop.create_future(), self._now_ms(), size, home, attempts, since_ms)
        if not self._opens(delivery):
            return delivery.settled
        queue = self._queues.of(notification.message.queue)
        if is_too_old:
            self._dead_letter(queue, delivery, ReasonCode.WAITED_TOO_LONG)
            return delivery.settled
        queue.add(delivery)
        if in_ms > 0 and delivery.before is None:
            queue.detain(delivery)
            self._loop.call_later(in_ms / 1000, self._again, queue, delivery)
        else:
            self._workers.start(queue, 1)
        return delivery.settled

    def _opens(self, delivery: Delivery) -> bool:
        if self._closing:
            delivery.settled.cancel()
        else:
            self._open.add(delivery)
        return not self._closing

    def room_for_parked(self, receiver: str) -> int:
        """Return how many parked callbacks of the queue may be read back now."""
        queue = self._queues.get(receiver)
        if queue is not None and queue.breaker.state is not BreakerState.CLOSED:
            return int(not queue.pending and queue.breaker.ready(self._now_ms()))  # one that tests the receiver
        return self._shares.room_for_parked(Usage() if queue is None else queue.usage)

    def wants_parked(self, receiver: str) -> bool:
        """Return whether the queue has room for so many parked callbacks that it is worth reading the topic."""
        queue, room = self._queues.get(receiver), self.room_for_parked(receiver)
        is_down = queue is not None and queue.breaker.state is not BreakerState.CLOSED
        return room >= (1 if is_down else self._shares.read_back_max // 2)

    def drop_closed(self) -> None:
        """Forget what waits and belongs to partitions that this worker has lost: it is read again by their owner."""
        for queue in self._queues.all():
            for delivery in queue.detach(queue.closed()):
                self._drop(delivery)

    async def close(self) -> None:
        """Finish what is ready or in flight, within the time to stop, and cancel the rest, which is read again."""
        self._closing = True
        self._hold_timer.cancel()
        self._workers.start_no_more()
        try:
            async with asyncio.timeout(self._settings.stop_timeout_ms / 1000):
                await self._workers.drain()
                await self._dead_letters.drain()
        except TimeoutError:
            _log.warning("callbacks-not-drained", pending=len(self._open))
        await self._workers.close()
        await self._dead_letters.close()
        for delivery in self._open:
            delivery.settled.cancel()
        self._open.clear()
        self._queues.close()

    # One callback.

    async def _send_next(self, queue: ReceiverQueue, delivery: Delivery) -> bool:
        """Make an attempt at a ready callback, or end it; return False if the breaker does not allow an attempt."""
        request = self._prepare(delivery)
        if isinstance(request, Reason):
            self._abandon(queue, delivery, request)
            await asyncio.sleep(0)  # thousands may end here together; lets the answers of others come between
        elif queue.breaker.allow(self._now_ms()):
            await self._attempt(queue, delivery, request)
        else:
            return False
        return True

    def _prepare(self, delivery: Delivery) -> CallbackRequest | Reason:
        if delivery.parked_since_ms is not None:
            is_late = self._clock() - delivery.parked_since_ms > self._settings.callback_parked_ms_max
        else:
            is_late = self._now_ms() - delivery.submitted_ms > self._settings.callback_wait_ms_max
        if is_late or self._is_worthless(delivery.notification.message):
            return Reason(ReasonCode.WAITED_TOO_LONG)
        return self._sender.prepare(delivery.notification)

    async def _attempt(self, queue: ReceiverQueue, delivery: Delivery, request: CallbackRequest) -> None:
        delivery.attempts += 1
        started_s = self._loop.time()
        outcome = await self._sender.send(delivery.notification, request)
        queue.metrics.count_attempt(self._loop.time() - started_s, outcome)
        if isinstance(outcome, Failed):
            self._note_failure(queue)
            self._try_again(queue, delivery, outcome)
        elif isinstance(outcome, Delivered):
            self._note_answer(queue)
            queue.metrics.delivered.inc()
            queue.finish(delivery)
            self._settle(delivery)
            self._workers.start(queue, 1)  # others may have left more of the connections since
        else:
            self._note_answer(queue)  # a refusal is an answer
            self._abandon(queue, delivery, outcome)

    def _note_answer(self, queue: ReceiverQueue) -> None:
        was_open = queue.breaker.state is not BreakerState.CLOSED
        queue.breaker.succeeded()
        if was_open:
            _log.info("receiver-back", receiver=queue.receiver, pending=queue.pending)
            self._workers.start(queue, len(queue.ready))

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
            self._abandon(queue, delivery, Reason(failed.reason, failed.detail, failed.status))
            return
        queue.metrics.retries.inc()
        if not delivery.home.is_open:  # read again by the partition's owner
            queue.finish(delivery)
            self._drop(delivery)
            self._workers.start(queue, 1)
            return
        _log.warning(
            "callback-failed",
            receiver=queue.receiver,
            subject=delivery.notification.shown_subject,
            notification_id=message.notification_id,
            attempt=delivery.attempts,
            status=failed.status,
            error=failed.detail,
            retry_in_ms=delay_ms,
        )
        until_ms = self._now_ms() + delay_ms
        is_long = until_ms - delivery.submitted_ms > self._settings.callback_hold_ms_max
        if is_long and not delivery.was_parked and delivery.home.has_room(queue.receiver, delivery.size):
            self._park(queue.detach([delivery]), self._clock() + delay_ms)
        else:
            self._loop.call_later(delay_ms / 1000, self._again, queue, delivery)

    def _again(self, queue: ReceiverQueue, delivery: Delivery) -> None:
        delivery.is_waiting = True
        queue.ready.append(delivery)
        self._workers.start(queue, 1)

    # Parking.

    def _may_queue(self, queue: ReceiverQueue, delivery: Delivery) -> bool:
        """Return whether a new callback may wait in memory.

        If an earlier callback of its subject waits there and was never parked, it must: parked, it would be ahead of
        that one after a crash. So the queue may become up to twice as long as it may be.
        """
        message = delivery.notification.message
        last = queue.last(message.id)
        if last is not None and not last.was_parked:
            return queue.pending < 2 * self._settings.callback_queue_per_receiver_max
        if delivery.home.must_park(message.queue, message.id):
            return False
        return self._shares.has_room(queue.usage, delivery.size)

    def _park(self, deliveries: Iterable[Delivery], not_before_ms: int = 0) -> None:
        """Park callbacks in this order; the first one's next attempt is due at `not_before_ms`, since 1970."""
        for delivery in deliveries:
            message = delivery.notification.message
            queue = self._queues.of(message.queue)
            last = queue.last(message.id)
            is_ahead = last is not None and not last.was_parked  # of one that would be overtaken
            if not delivery.home.is_open:
                self._drop(delivery)
            elif (
                is_ahead
                or message.deliver_by_ms is not None
                or not delivery.home.has_room(message.queue, delivery.size)
            ):
                self._dead_letter(queue, delivery, ReasonCode.RECEIVER_OVERLOADED)
            else:
                queue.metrics.parked.inc()
                delivery.home.park(delivery, not_before_ms, partial(self._settle, delivery))
            not_before_ms = 0

    def _park_held(self) -> None:
        """Park what has waited for long, so that the offsets of the callbacks after it may be committed."""
        self._hold_timer = self._loop.call_later(HOLD_CHECK_S, self._park_held)
        since_ms = self._now_ms() - self._settings.callback_hold_ms_max
        for queue in self._queues.all():
            held = queue.held(since_ms)
            if held and held[0].home.has_room(queue.receiver, sum(one.size for one in held)):
                self._park(queue.detach(held))

    # The end of a callback.

    def _settle(self, delivery: Delivery) -> None:
        self._open.discard(delivery)
        if not delivery.settled.done():
            delivery.settled.set_result(None)

    def _drop(self, delivery: Delivery) -> None:
        self._open.discard(delivery)
        delivery.settled.cancel()

    def _abandon(self, queue: ReceiverQueue, delivery: Delivery, reason: Reason) -> None:
        """Dead-letter the first callback of its subject. The next one waits until it is written, so none gets lost."""
        self._write_dead_letter_of(queue, delivery, reason, partial(self._abandoned, queue, delivery))

    def _dead_letter(self, queue: ReceiverQueue, delivery: Delivery, code: ReasonCode) -> None:
        """Dead-letter a callback that is not in the queue."""
        self._write_dead_letter_of(queue, delivery, Reason(code), partial(self._settle, delivery))

    def _abandoned(self, queue: ReceiverQueue, delivery: Delivery) -> None:
        queue.finish(delivery)
        self._settle(delivery)
        self._workers.start(queue, 1)

    def _write_dead_letter_of(
        self, queue: ReceiverQueue, delivery: Delivery, reason: Reason, done: Callable[[], None]
    ) -> None:
        reason = replace(reason, attempts=delivery.attempts)
        queue.metrics.count_dead_letter(reason.code)
        _log.warning(
            "callback-given-up",
            receiver=queue.receiver,
            subject=delivery.notification.shown_subject,
            notification_id=delivery.notification.message.notification_id,
            reason=reason.code.value,
            error=reason.detail,
            status=reason.status,
            attempt=reason.attempts,
        )
        self._dead_letters.put(partial(self._write_dead_letter, delivery.notification, reason), done)

    # Limits.

    def _is_worthless(self, message: NotificationMessage, in_ms: int = 0) -> bool:
        """Return whether the callback will be worthless in `in_ms` milliseconds."""
        return message.deliver_by_ms is not None and self._clock() + in_ms >= message.deliver_by_ms

    def _now_ms(self) -> int:
        """Return the milliseconds of the event loop's clock."""
        return int(self._loop.time() * 1000)
