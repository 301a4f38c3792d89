"""The transfers of a settlement window, read from topic `transfers`, partition by partition, in the order of commit.

The commits of a partition belong to one window after the other. So a window's transfers follow each other, with only
aborted transfers in between: they begin some time after the window was opened and end with the first commit of a later
window.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from clearinghub.config import Settings
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.settlement.window_transfer import Place, WindowTransfer
from clearinghub.domain.transfers.transfer import TRANSFER_KIND
from clearinghub.kafka.access import kafka_access
from clearinghub.ports import LedgerUnavailableError

READERS_MAX: Final = 2  # at a time; each needs a connection, and a core while it reads
TIMEOUT_S: Final = 30.0  # to wait for a turn, and for the broker to return records
CLOCK_SLACK_MS: Final = 300_000  # records have a ledger worker's time, windows have the broker's
FETCH_TIMEOUT_MS: Final = 100
FETCH_BYTES_MAX: Final = 1024 * 1024
RECORDS_AT_ONCE: Final = 200  # some milliseconds, in which the process's payments wait
PAUSE_S: Final = 0.001  # after them, for the payments


class KafkaWindowTransfers:
    """Implements `clearinghub.ports.WindowTransfersReader`, with a consumer for each call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(READERS_MAX)

    async def read(self, window: Window, after: Place | None) -> AsyncGenerator[list[WindowTransfer], None]:
        """Yield a window's transfers after the place `after`, in batches."""
        partitions = range(0 if after is None else after.partition, self._settings.partitions)
        if not partitions:
            return  # and make no client: if it is closed before its tasks have begun, closing it cancels the caller
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise LedgerUnavailableError("other reports are being read") from error
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_TIMEOUT_MS,
            **kafka_access(self._settings),
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await consumer.start()
            reading = _Reading(consumer, self._settings.topic("transfers"), window)
            for partition in partitions:
                first = after.offset + 1 if after is not None and after.partition == partition else 0
                async for batch in reading.partition(partition, first):
                    yield batch
        except (KafkaError, OSError, TimeoutError) as error:
            raise LedgerUnavailableError(f"transfers of window {window.window_id}: {error!r}") from error
        finally:
            self._turns.release()
            await consumer.stop()


class _Reading:
    """Reads the transfers of one window."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, window: Window) -> None:
        self._consumer = consumer
        self._topic = topic
        self._window = window

    async def partition(self, number: int, first: int) -> AsyncGenerator[list[WindowTransfer], None]:
        """Yield the window's transfers on one partition, from the offset `first` on."""
        place = TopicPartition(self._topic, number)
        self._consumer.assign([place])
        async with asyncio.timeout(TIMEOUT_S):
            end = (await self._consumer.end_offsets([place]))[place]
            start = max(first, await self._offset_at(place, self._window.created_at_ms - CLOCK_SLACK_MS, end))
            closed_at_ms = min((content.created_at_ms for content in self._window.contents), default=None)
            if closed_at_ms is not None:
                end = await self._offset_at(place, closed_at_ms + CLOCK_SLACK_MS, end)
            self._consumer.seek(place, start)
        while True:
            async with asyncio.timeout(TIMEOUT_S):
                records = await self._fetch(place, end)
            rows = [(record.offset, orjson.loads(record.value)) for record in records if record.offset < end]
            found = [_transfer(number, offset, row) for offset, row in rows if self._is_ours(row)]
            if found:
                yield found
            await asyncio.sleep(PAUSE_S)
            if not records or len(rows) < len(records) or any(self._is_later(row) for _offset, row in rows):
                return

    async def _offset_at(self, place: TopicPartition, at_ms: int, end: int) -> int:
        """Return the offset of the first record or transaction marker of that time or later; `end` if there is none."""
        found = (await self._consumer.offsets_for_times({place: max(at_ms, 0)}))[place]
        return end if found is None else min(found.offset, end)

    async def _fetch(self, place: TopicPartition, end: int) -> list[ConsumerRecord]:
        """Return the next records; an empty list if there are none before `end`."""
        while await self._consumer.position(place) < end:
            fetched = await self._consumer.getmany(place, timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE)
            if fetched:
                records: list[ConsumerRecord] = fetched[place]
                return records
        return []

    def _is_ours(self, row: dict[str, Any]) -> bool:
        window: int | None = row["window"]
        return window == self._window.window_id and row["kind"] == TRANSFER_KIND

    def _is_later(self, row: dict[str, Any]) -> bool:
        window: int | None = row["window"]
        return window is not None and window > self._window.window_id


def _transfer(partition: int, offset: int, row: dict[str, Any]) -> WindowTransfer:
    return WindowTransfer(
        Place(partition, offset),
        row["transferId"],
        row["payer"],
        row["payee"],
        row["currency"],
        row["amount"],
        row["interchangeFee"],
        row["state"],
        row["preparedAt"],
        row["finishedAt"],
    )
