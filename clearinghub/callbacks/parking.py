"""Topic `parked`: callbacks that their receivers cannot take now, durable and out of the way (ADR 29).

A callback is parked on the partition of the same number as its notification, and then its notification is settled. The
topic is also an input of this role: what is read from it goes into an index (parked_index.py), and into the receiver's
queue when that has room. If it has none, only the index keeps it, and it is read from the topic a second time, at the
receiver's pace. The offset of each partition that is committed has everything before it settled; how far a receiver is
beyond it is said by progress records, once a second, so that a restart delivers little again.

All of it belongs to one assignment. The next one begins anew, from the committed offsets.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol

import structlog

from clearinghub.callbacks.dead_letters import DeadLetterQueue
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.metrics import ParkedMetrics
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.parked_index import Amount, Parked
from clearinghub.callbacks.parked_partition import RETRY_S, ParkedPartition
from clearinghub.callbacks.parking_writer import ParkingWriter
from clearinghub.config import Settings
from clearinghub.engine.record import VALUE_BYTES_MAX, Record
from clearinghub.messages import ParkedMessage, ParkedProgressMessage, decode, encode

HEADER_BYTES_MAX: Final = 64 * 1024
"""Room for the header of a parked callback in its record."""

LOOK_S: Final = 0.2
"""How often to look for room in receivers' queues, if nothing else says so."""

REPORT_S: Final = 1.0
"""How often metrics and progress records are written."""

UNWRITTEN_RECORDS: Final = 20_000
UNWRITTEN_BYTES: Final = 64 * 1024 * 1024
"""What may wait to be written. Then nothing more is read, until the broker takes it."""

GIVEN_UP_AT_ONCE_MAX: Final = 1_000
"""How many may wait for the dead letter while those that were parked too long are read back."""

_log = structlog.get_logger()


class ParkedLog(Protocol):
    """Topic `parked` on the broker."""

    async def append(self, partition: int, key: str, value: bytes) -> None:
        """Write one record, and return when all replicas in sync have it; raises the recorder's errors."""

    async def bounds(self, partition: int) -> tuple[int, int]:
        """Return the first offset and the end of a partition."""

    async def read(self, partition: int, offset: int) -> Sequence[Record]:
        """Return some records from an offset on, at least one if there is any."""


WriteUnreadable = Callable[[Record, str], Awaitable[None]]
"""Writes a record that cannot be read to the dead letter, with the error."""


class Parking:
    """What is parked on the partitions of one assignment, and the tasks that read it back."""

    def __init__(
        self,
        settings: Settings,
        log: ParkedLog,
        deliverer: Deliverer,
        now_ms: Callable[[], int],
        start_of: Callable[[int], int],
        write_unreadable: WriteUnreadable,
        follow: Callable[[int, Callable[[], int]], None] = lambda _number, _low: None,
        writer_id: str | None = None,
    ) -> None:
        """Call within a running event loop.

        Args:
            settings: the section "Callbacks".
            log: the topic.
            deliverer: takes what is read back.
            now_ms: returns milliseconds since 1970.
            start_of: returns the offset from which a partition of the topic is read in this assignment.
            write_unreadable: writes a record that cannot be read to the dead letter; repeated until it succeeds.
            follow: is given, for each partition, the function that returns the offset to commit (-1: none).
            writer_id: tells what this assignment parks from what others did; None for a random one.
        """
        self.now_ms = now_ms
        self.writer_id = writer_id or secrets.token_hex(8)
        self.writer = ParkingWriter(log.append)
        self.totals: dict[str, Amount] = {}
        self.partitions: dict[int, ParkedPartition] = {}
        self._settings = settings
        self._log = log
        self._deliverer = deliverer
        self._start_of = start_of
        self._write_unreadable = write_unreadable
        self._follow = follow
        self._unreadable = DeadLetterQueue()
        self._metrics = ParkedMetrics()
        self._wake = asyncio.Event()
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # Of one partition.

    def home(self, number: int) -> ParkedPartition:
        """Return a partition of the topic, which begins to be read."""
        found = self.partitions.get(number)
        if found is None:
            if not self.partitions:
                self._spawn(self._keep_reading_back())
                self._spawn(self._keep_reporting())
            found = self.partitions[number] = ParkedPartition(self, number, self._start_of(number))
            self._follow(number, found.index.low)
            self._spawn(found.find_end(self._log.bounds))
        return found

    def has_room(self, queue: str, size: int) -> bool:
        """Return whether `size` bytes more may be parked for a queue, on all partitions of this worker together."""
        total, settings = self.totals.get(queue), self._settings
        if size + HEADER_BYTES_MAX > VALUE_BYTES_MAX:
            return False
        if total is None:
            return True
        return (
            total.count < settings.callback_parked_per_receiver_max
            and total.bytes + size <= settings.callback_parked_bytes_per_receiver_max
        )

    def room_for(self, queue: str) -> int:
        """Return how many callbacks the queue takes back now."""
        return self._deliverer.room_for_parked(queue)

    def deliver(
        self, home: ParkedPartition, message: ParkedMessage, notification: Notification, parked: Parked
    ) -> asyncio.Future[None]:
        """Let the deliverer go on with a callback, or dead-letter it if it has been parked too long."""
        return self._deliverer.submit_parked(
            notification,
            home,
            parked.size,
            since_ms=max(parked.since_ms, home.since_ms),
            attempts=message.attempts,
            # No longer than a pause may be: the clock that the time was read from may have been ahead.
            in_ms=min(message.not_before_ms - self.now_ms(), self._settings.callback_retry_longest_ms),
            is_too_old=self._is_too_old(home, parked),
        )

    def dead_letter(self, home: ParkedPartition, queue: str, parked: Parked, record: Record, problem: str) -> None:
        """Write a record that cannot be read to the dead letter, then settle it."""
        _log.error("parked-unreadable", partition=record.partition, offset=record.offset, error=problem)
        self._unreadable.put(
            partial(self._write_unreadable, record, problem), partial(home.index.settle, queue, parked)
        )

    # Of the assignment.

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that nothing more should be read: the broker is slow or away."""
        return self.writer.backlog >= UNWRITTEN_RECORDS or self.writer.bytes >= UNWRITTEN_BYTES

    def wake(self) -> None:
        """Look for what can be read back: something was parked, or there may be room."""
        self._wake.set()

    def wake_for(self, queue: str) -> None:
        """Look for what can be read back, if there is something of the queue, and it has room for many."""
        total = self.totals.get(queue)
        if total is not None and total.unread and self._deliverer.wants_parked(queue):
            self._wake.set()

    def revoke(self) -> None:
        """End: the partitions may belong to another worker, which reads everything that is not committed again."""
        for task in self._tasks:
            task.cancel()
        for partition in self.partitions.values():
            partition.close()
        self._metrics.report({}, {}, self.now_ms())
        self._deliverer.drop_closed()

    async def close(self) -> None:
        """End, and wait until nothing more is written."""
        self.revoke()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.writer.close()
        await self._unreadable.close()

    def oldest_ms(self) -> dict[str, int]:
        """Return, by queue, when its oldest parked callback was parked, in milliseconds since 1970."""
        oldest: dict[str, int] = {}
        for partition in self.partitions.values():
            for name, queue in partition.index.queues.items():
                if queue.open:
                    oldest[name] = min(queue.open[0].since_ms, oldest.get(name, queue.open[0].since_ms))
        return oldest

    # Reading back.

    async def _keep_reading_back(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._read_back_all()
            except Exception as error:  # noqa: BLE001 - the broker is away
                _log.warning("parked-not-read", error=repr(error))
                await asyncio.sleep(RETRY_S)

    async def _read_back_all(self) -> None:
        """Read back until no queue has room for more; each time another partition begins."""
        found = True
        while found:
            found = False
            partitions = list(self.partitions.values())
            self._turn += 1
            for index in range(len(partitions)):
                found |= await self._read_back(partitions[(self._turn + index) % len(partitions)])

    async def _read_back(self, partition: ParkedPartition) -> bool:
        """Read the oldest callbacks of the queues that have room; return whether any was found."""
        queues = partition.index.queues
        with_room = {name for name, queue in queues.items() if queue.unread and self._wants(partition, name)}
        if not partition.is_caught_up or not with_room:
            return False
        records = await self._log.read(partition.number, min(queues[name].unread[0].offset for name in with_room))
        found = 0
        for record in records if partition.is_open else ():
            name = (record.key or b"").decode()
            if name not in with_room:
                continue
            partition.forget_lost(name, record.offset)
            unread = queues[name].unread
            if not unread or unread[0].offset != record.offset:
                continue
            message, body = decode(record.value)
            assert isinstance(message, ParkedMessage), "the index has callbacks only"
            partition.go_on(message, body, record)
            found += 1
            if not unread or not self._takes(partition, name):
                with_room.discard(name)
        return bool(found)

    def _wants(self, partition: ParkedPartition, queue: str) -> bool:
        """Return whether so much of a queue may be read back that it is worth reading."""
        return self._has_too_old(partition, queue) or self._deliverer.wants_parked(queue)

    def _takes(self, partition: ParkedPartition, queue: str) -> bool:
        """Return whether another callback of a queue may be read back."""
        return self._has_too_old(partition, queue) or self.room_for(queue) > 0

    def _has_too_old(self, partition: ParkedPartition, queue: str) -> bool:
        oldest = partition.index.queues[queue].unread[0]
        return self._is_too_old(partition, oldest) and self._deliverer.backlog < GIVEN_UP_AT_ONCE_MAX

    def _is_too_old(self, home: ParkedPartition, parked: Parked) -> bool:
        """Return whether a callback has been parked for so long while a worker was there to deliver it."""
        since_ms = max(parked.since_ms, home.since_ms)
        return self.now_ms() - since_ms > self._settings.callback_parked_ms_max

    # Reports.

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            self._metrics.report(self.totals, self.oldest_ms(), self.now_ms())
            for partition in list(self.partitions.values()):
                await self._write_progress(partition)
                partition.index.forget_empty()

    async def _write_progress(self, partition: ParkedPartition) -> None:
        for queue, before in list(partition.index.progress()):
            value = encode(ParkedProgressMessage(queue=queue, before=before))
            try:
                await self._log.append(partition.number, queue, value)
            except Exception as error:  # noqa: BLE001 - a restart delivers more again; the next report says it anew
                _log.warning("parked-progress-not-written", partition=partition.number, error=repr(error))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
