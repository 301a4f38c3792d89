"""Topic `notification`: records in, callbacks out; the offset of each is done when its callback is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from clearinghub.callbacks.dead_letters import DeadLetters
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.metrics import UNREADABLE
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.offsets import OffsetTracker, Partition
from clearinghub.engine.record import Record
from clearinghub.messages import MalformedMessageError

WINDOW_POLL_S: Final = 0.02
"""How often to look whether a full window of offsets has moved."""

RECORDS_AT_ONCE: Final = 8
"""Deliveries begun before others may run. A whole batch begun at once makes every turn of the loop as long as all its
requests take to send, and the next fetch needs about ten turns."""

_log = structlog.get_logger()


class NotificationAgent:
    """Feeds the deliverer. It only ever waits for room, never for a callback."""

    def __init__(
        self,
        deliverer: Deliverer,
        tracker: OffsetTracker,
        dead_letter: Callable[[Record, str], Awaitable[None]],
    ) -> None:
        """`dead_letter` writes a record that is no notification, with what is wrong; repeated until it succeeds."""
        self._deliverer = deliverer
        self._tracker = tracker
        self._dead_letter = dead_letter
        self._unreadable = DeadLetters()

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Take a fetched batch of one partition, in order; one batch of a partition at a time.

        Args:
            records: the batch.
            next_offset: where the reading goes on behind it. Transaction markers lie between, so it may be more than
                the last record's offset plus one.
        """
        last = len(records) - 1
        for index, record in enumerate(records):
            partition = (record.topic, record.partition)
            while self._tracker.full(partition):  # noqa: ASYNC110 - rare, and many callbacks settle between looks
                await asyncio.sleep(WINDOW_POLL_S)
            if index % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1:
                await asyncio.sleep(0)
            behind = next_offset if index == last else records[index + 1].offset
            await self._take(record, partition, behind)

    async def close(self) -> None:
        """Stop writing unreadable records; those not written will be read again."""
        await self._unreadable.close()

    async def _take(self, record: Record, partition: Partition, behind: int) -> None:
        try:
            notification = Notification.parse(record.value)
        except MalformedMessageError as error:
            self._tracker.add(partition, record.offset, behind)
            self._give_up(record, partition, str(error))
            return
        if self._deliverer.full(notification.message.queue):
            await self._deliverer.room(notification.message.queue)
        self._tracker.add(partition, record.offset, behind)
        settled = self._deliverer.submit(notification)
        settled.add_done_callback(partial(self._settled, partition, record.offset))

    def _settled(self, partition: Partition, offset: int, future: asyncio.Future[None]) -> None:
        if not future.cancelled():  # cancelled: the process stops, and whoever comes next reads the record again
            self._tracker.done(partition, offset)

    def _give_up(self, record: Record, partition: Partition, error: str) -> None:
        UNREADABLE.inc()
        _log.error("notification-unreadable", partition=record.partition, offset=record.offset, error=error)
        self._unreadable.put(
            partial(self._dead_letter, record, error), partial(self._tracker.done, partition, record.offset)
        )
