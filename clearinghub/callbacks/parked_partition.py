"""One partition of topic `parked`: what this worker parks on it, and what it reads from it (ADR 29)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

import structlog

from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.parked_index import Amount, Parked, ParkedIndex
from clearinghub.callbacks.parking_writer import ParkedWrite, ParkingWriter
from clearinghub.callbacks.receiver_queue import Delivery
from clearinghub.engine.record import Record
from clearinghub.messages import MalformedMessageError, ParkedMessage, ParkedProgressMessage, decode, encode

UNREADABLE_QUEUE: Final = ""
"""The queue of records that cannot be read, until they are on the dead letter."""

RETRY_S: Final = 1.0
"""After an error of the broker."""

_log = structlog.get_logger()


class Parent(Protocol):
    """What a partition needs of all partitions together: `clearinghub.callbacks.parking.Parking`."""

    now_ms: Callable[[], int]
    writer_id: str
    writer: ParkingWriter
    totals: dict[str, Amount]

    def has_room(self, queue: str, size: int) -> bool: ...

    def room_for(self, queue: str) -> int: ...

    def deliver(
        self, home: ParkedPartition, message: ParkedMessage, notification: Notification, parked: Parked
    ) -> asyncio.Future[None]: ...

    def dead_letter(self, home: ParkedPartition, queue: str, parked: Parked, record: Record, problem: str) -> None: ...

    def wake(self) -> None: ...

    def wake_for(self, queue: str) -> None: ...


class ParkedPartition:
    """One partition of the topic: the `Home` of the callbacks on the partition of `notification` of that number."""

    def __init__(self, parking: Parent, number: int, start: int) -> None:
        """`start` is the offset from which the topic is read."""
        self.number = number
        self.is_open = True
        self.index = ParkedIndex(parking.writer_id, parking.totals)
        self.since_ms = parking.now_ms()
        self._parking = parking
        self._start = start
        self._end: int | None = None
        self._caught_up = asyncio.Event()
        self._numbers = 0

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that former owners have parked is in the index."""
        return self._caught_up.is_set()

    async def caught_up(self) -> None:
        """Return when it is, or when the assignment has ended; then no callback can overtake a parked one."""
        await self._caught_up.wait()

    def must_park(self, queue: str, subject: str) -> bool:
        return self.index.must_park(queue, subject)

    def has_room(self, queue: str, size: int) -> bool:
        return self.is_open and self.is_caught_up and self._parking.has_room(queue, size)

    def park(self, delivery: Delivery, not_before_ms: int, done: Callable[[], None]) -> None:
        message = delivery.notification.message
        self._numbers += 1
        parked = ParkedMessage(
            trace=message.trace,
            queue=message.queue,
            subject=message.id,
            since_ms=self._parking.now_ms(),
            writer=self._parking.writer_id,
            number=self._numbers,
            attempts=delivery.attempts,
            not_before_ms=not_before_ms,
        )
        self.index.begin(message.queue, parked.number, message.id, delivery.size)
        value = partial(_parked_value, parked, delivery.notification)
        self._parking.writer.put(ParkedWrite(self.number, message.queue, message.id, delivery.size, value, done))

    def take(self, record: Record) -> None:
        """Take a record that was read as input."""
        try:
            message, body = decode(record.value)
        except MalformedMessageError as error:
            self._hold_unreadable(record, str(error))
            return
        if isinstance(message, ParkedProgressMessage):
            if not self.is_caught_up:
                self.index.settle_before(message.queue, message.before)
            return
        if not isinstance(message, ParkedMessage):
            self._hold_unreadable(record, f"a {type(message).__name__}, not a parked callback")
            return
        is_first = not self._has_unread(message.queue)
        parked = self.index.see(message, record.offset, len(record.value))
        if parked is None:
            return
        if is_first and self.is_caught_up and self._parking.room_for(message.queue):
            self.go_on(message, body, record)
        else:
            self._parking.wake()

    def reach(self, position: int) -> None:
        """Note up to where the topic was read, exclusive."""
        self.index.position = max(self.index.position, position)
        self._look_whether_caught_up()

    def go_on(self, message: ParkedMessage, body: bytes, record: Record) -> None:
        """Take the queue's oldest unread callback, which is this one, out of the index and into the queue."""
        parked = self.index.read_back(message.queue)
        assert parked.offset == record.offset, f"{record.offset} was read back, and {parked.offset} is the next"
        try:
            notification = Notification.parse(body)
        except MalformedMessageError as error:
            self._parking.dead_letter(self, message.queue, parked, record, str(error))
            return
        settled = self._parking.deliver(self, message, notification, parked)
        settled.add_done_callback(partial(self._settled, message.queue, parked))

    def forget_lost(self, queue: str, before: int) -> None:
        """Settle what the topic does not have any more: its retention was too short, or records were deleted."""
        found = self.index.queues[queue]
        while found.unread and found.unread[0].offset < before:
            parked = self.index.read_back(queue)
            _log.error("parked-callback-lost", partition=self.number, offset=parked.offset, receiver=queue)
            self.index.settle(queue, parked)

    def close(self) -> None:
        """Take no more: the partition may belong to another worker."""
        self.is_open = False
        self.index.forget_all()
        self._caught_up.set()  # who waits for it looks at `is_open`

    async def find_end(self, bounds: Callable[[int], Awaitable[tuple[int, int]]]) -> None:
        """Ask the broker how far the topic must be read first; again until it answers."""
        while self._end is None:
            try:
                first, end = await bounds(self.number)
            except Exception as error:  # noqa: BLE001 - the broker is away: nothing is delivered meanwhile
                _log.warning("parked-bounds-unknown", partition=self.number, error=repr(error))
                await asyncio.sleep(RETRY_S)
            else:
                self._end = self._start if first >= end else end
        self._look_whether_caught_up()

    def _look_whether_caught_up(self) -> None:
        if not self.is_caught_up and self._end is not None and max(self._start, self.index.position) >= self._end:
            self._caught_up.set()
            self._parking.wake()

    def _has_unread(self, queue: str) -> bool:
        found = self.index.queues.get(queue)
        return found is not None and bool(found.unread)

    def _hold_unreadable(self, record: Record, problem: str) -> None:
        parked = self.index.hold(UNREADABLE_QUEUE, record.offset, len(record.value), self._parking.now_ms())
        self._parking.dead_letter(self, UNREADABLE_QUEUE, parked, record, problem)

    def _settled(self, queue: str, parked: Parked, future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            self.index.settle(queue, parked)
            self._parking.wake_for(queue)


def _parked_value(message: ParkedMessage, notification: Notification) -> bytes:
    return encode(message, notification.as_value())
