"""Account statements, from the append-only history of all position changes, topic `positions` (protocol 4.1).

A period is cut by the time at which the ledger booked a movement, the record's own. Its entries are a run without a
gap, from the first that is not too early to the first that is too late. So two adjacent periods share the balance
between them, even if the clocks of two ledger workers differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from clearinghub.config import Settings
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement, StatementEntry
from clearinghub.engine.partitioner import Partitioner
from clearinghub.kafka.access import kafka_access
from clearinghub.ports import LedgerUnavailableError, StatementTooLongError

READERS_MAX: Final = 4  # at a time; each needs a connection, and a core while it reads
RECORDS_READ_MAX: Final = 1_000_000  # of all participants on the partition; some seconds
TIMEOUT_S: Final = 30.0
CLOCK_SLACK_MS: Final = 10_000  # the ends of transactions have the broker's time, records the ledger's
FETCH_TIMEOUT_MS: Final = 100
FETCH_BYTES_MAX: Final = 4 * 1024 * 1024


class KafkaStatementReader:
    """Reads one participant's partition of topic `positions`, from the period's first record."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partition_of = Partitioner({"positions": settings.partitions})
        self._turns = asyncio.Semaphore(READERS_MAX)

    async def statement(self, position: Position, from_ms: int, to_ms: int, after: int, entries_max: int) -> Statement:
        """Return a statement; see `clearinghub.ports.StatementReader`."""
        place = TopicPartition(self._settings.topic("positions"), self._partition_of("positions", position.participant))
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_TIMEOUT_MS,
            **kafka_access(self._settings),
        )
        try:
            async with asyncio.timeout(TIMEOUT_S), self._turns:
                try:
                    await consumer.start()
                    consumer.assign([place])
                    return await _Reading(consumer, place, position).read(from_ms, to_ms, after, entries_max)
                finally:
                    await consumer.stop()
        except (KafkaError, OSError, TimeoutError) as error:
            raise LedgerUnavailableError(f"positions of {position.participant}: {error!r}") from error


class _Reading:
    def __init__(self, consumer: AIOKafkaConsumer, place: TopicPartition, position: Position) -> None:
        self._consumer = consumer
        self._place = place
        self._position = position
        self._kept_from_ms: int | None = None

    async def read(self, from_ms: int, to_ms: int, after: int, entries_max: int) -> Statement:
        end = (await self._consumer.end_offsets([self._place]))[self._place]
        start = await self._offset_at(from_ms, end)
        stop = await self._offset_at(to_ms + CLOCK_SLACK_MS, end)
        await self._note_deleted(start)
        entries: list[StatementEntry] = []
        earlier: StatementEntry | None = None
        async for entry in self._entries(start, stop):
            if entry.change_number <= after or (entry.at_ms < from_ms and not entries):
                earlier = entry
            elif entry.at_ms >= to_ms:
                return self._statement(_before(entry), entries)
            elif len(entries) == entries_max:
                return self._statement(_before(entry), entries, is_whole=False)
            else:
                entries.append(entry)
        if entries or earlier is not None:
            return self._statement(earlier.value if earlier is not None else 0, entries)
        async for entry in self._entries(stop, end):  # the first entry after the period has the balance before it
            return self._statement(_before(entry), entries)
        return self._statement(self._position.value, entries)

    def _statement(self, balance: int, entries: list[StatementEntry], *, is_whole: bool = True) -> Statement:
        """Return the statement; `balance` is what the account held if there is no entry."""
        opening = _before(entries[0]) if entries else balance
        return Statement(opening, tuple(entries), is_whole, self._kept_from_ms)

    async def _offset_at(self, at_ms: int, end: int) -> int:
        """Return the offset of the first record, or end of a transaction, of that time or later."""
        found = (await self._consumer.offsets_for_times({self._place: max(at_ms, 0)}))[self._place]
        return end if found is None else min(found.offset, end)

    async def _note_deleted(self, start: int) -> None:
        beginning = (await self._consumer.beginning_offsets([self._place]))[self._place]
        if start == beginning > 0:
            found = (await self._consumer.offsets_for_times({self._place: 0}))[self._place]
            self._kept_from_ms = None if found is None else found.timestamp

    async def _entries(self, start: int, end: int) -> AsyncIterator[StatementEntry]:
        key = self._position.participant.encode()
        account_id = self._position.account_id
        async for record in self._records(start, end):
            if record.key != key:  # compared before the value is parsed: most records are of other participants
                continue
            row = msgspec.json.decode(record.value)
            if row["accountId"] == account_id:
                yield StatementEntry(
                    row["changeNumber"],
                    record.timestamp,
                    row["transferId"],
                    row["entryType"],
                    row["change"],
                    row["value"],
                )

    async def _records(self, start: int, end: int) -> AsyncIterator[ConsumerRecord]:
        self._consumer.seek(self._place, start)
        count = 0
        while await self._consumer.position(self._place) < end:
            fetched = await self._consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)
            for record in fetched.get(self._place, ()):
                if record.offset >= end:
                    return
                yield record
                count += 1
                if count > RECORDS_READ_MAX:
                    raise StatementTooLongError


def _before(entry: StatementEntry) -> int:
    return entry.value - entry.change
