"""Topics `notification` and `parked`: deliver the callbacks.

The offset of a notification is done when its callback is delivered, dead-lettered or parked (ADR 29); that of a parked
callback when it is delivered or dead-lettered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from clearinghub.callbacks.dead_letters import DeadLetterQueue
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.metrics import UNREADABLE
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.offsets import OffsetTracker, Partition
from clearinghub.callbacks.parking import Parking
from clearinghub.callbacks.receiver_queue import Home
from clearinghub.engine.record import Record
from clearinghub.messages import MalformedMessageError

BROKER_POLL_S: Final = 0.02
"""How often to look whether the broker has taken enough of what waits for it."""

DEAD_LETTERS_MAX: Final = 20_000
"""How many callbacks may wait to be written to the dead letter."""

RECORDS_AT_ONCE: Final = 8
"""Deliveries begun before other tasks may run. If a whole batch were begun at once, every turn of the event loop would
last as long as sending all its requests, and the next fetch needs about ten turns."""

PARKED_AT_ONCE: Final = 64
"""Parked callbacks indexed before other tasks may run."""

_log = structlog.get_logger()


class NotificationAgent:
    """Feeds the deliverer. It waits for the broker only, never for a receiver."""

    def __init__(
        self,
        deliverer: Deliverer,
        tracker: OffsetTracker,
        parking: Parking,
        write_dead_letter: Callable[[Record, str], Awaitable[None]],
    ) -> None:
        """`write_dead_letter` writes a record that is no notification, with the error; repeated until it succeeds."""
        self._deliverer = deliverer
        self._tracker = tracker
        self._parking = parking
        self._write_dead_letter = write_dead_letter
        self._unreadable = DeadLetterQueue()

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Begin a fetched batch of one partition, in order; one batch of a partition at a time.

        Args:
            records: the batch.
            next_offset: where the reading continues after the batch. Transaction markers are in between, so it may be
                more than the last record's offset plus one.
        """
        last = len(records) - 1
        home = self._parking.home(records[0].partition)
        await home.caught_up()
        for index, record in enumerate(records):
            partition = (record.topic, record.partition)
            while self._waits_for_broker(partition):  # noqa: ASYNC110 - rare, and much is written between looks
                await asyncio.sleep(BROKER_POLL_S)
            if index % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1:
                await asyncio.sleep(0)
            record_end = next_offset if index == last else records[index + 1].offset
            if not home.is_open:
                return  # another worker may have the partition: it reads the rest
            self._begin(record, partition, record_end, home)

    def revoke(self) -> None:
        """Do nothing: the parking forgets what belongs to the assignment."""

    async def close(self) -> None:
        """Stop writing unreadable records; the next reader of the partition reads them again."""
        await self._unreadable.close()

    def _waits_for_broker(self, partition: Partition) -> bool:
        """Return whether so much waits for the broker that no more should be read.

        The window of offsets is full only then too: a receiver cannot hold up an offset longer than an attempt takes.
        """
        is_full = self._parking.is_full or self._deliverer.backlog >= DEAD_LETTERS_MAX
        return is_full or self._tracker.full(partition)

    def _begin(self, record: Record, partition: Partition, record_end: int, home: Home) -> None:
        try:
            notification = Notification.parse(record.value)
        except MalformedMessageError as error:
            self._tracker.add(partition, record.offset, record_end)
            self._dead_letter(record, partition, str(error))
            return
        self._tracker.add(partition, record.offset, record_end)
        settled = self._deliverer.submit(notification, home, len(record.value))
        settled.add_done_callback(partial(self._settled, partition, record.offset))

    def _settled(self, partition: Partition, offset: int, future: asyncio.Future[None]) -> None:
        if not future.cancelled():  # cancelled: the process stops, and the next reader reads the record again
            self._tracker.done(partition, offset)

    def _dead_letter(self, record: Record, partition: Partition, error: str) -> None:
        UNREADABLE.inc()
        _log.error("notification-unreadable", partition=record.partition, offset=record.offset, error=error)
        self._unreadable.put(
            partial(self._write_dead_letter, record, error), partial(self._tracker.done, partition, record.offset)
        )


class ParkedAgent:
    """Feeds the index of what is parked. It waits neither for a receiver nor for room."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Take a fetched batch of one partition, in order; `next_offset` is where the reading continues after it."""
        home = self._parking.home(records[0].partition)
        for index, record in enumerate(records):
            if index % PARKED_AT_ONCE == PARKED_AT_ONCE - 1:
                await asyncio.sleep(0)
            if not home.is_open:
                return
            home.take(record)
        home.reach(next_offset)

    def revoke(self) -> None:
        """Forget what is parked on partitions that another worker may own now."""
        self._parking.revoke()

    async def close(self) -> None:
        """Stop; what is not settled is read again."""
        await self._parking.close()
