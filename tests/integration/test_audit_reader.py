"""The audit's reader on real topics: order, moving cuts, aborted transactions, a deleted beginning."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from clearinghub.config import Settings
from clearinghub.tools.audit.reader import FIRST, KEPT_MARGIN_MS, MERGED, TopicsReader
from clearinghub.tools.topics import TopicsMissingError
from tests.apart import settings_apart

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]
START_MS = 1_700_000_000_000
COUNT = 900
MARKERS_WITHIN_S = 10.0


@pytest.fixture
async def settings(kafka_bootstrap: str, topic_prefix: str) -> AsyncIterator[Settings]:
    """Create all topics, empty, with two partitions each."""
    settings = settings_apart(kafka_bootstrap, topic_prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    # No retention: the times below are years ago, and the broker deletes old records every five minutes.
    kept = {"retention.ms": "-1"}
    names = (*FIRST, *MERGED)
    await admin.create_topics([NewTopic(settings.topic(name), 2, 1, topic_configs=kept) for name in names])
    yield settings
    await admin.close()


@pytest.fixture
async def reader(settings: Settings) -> AsyncIterator[TopicsReader]:
    reader = TopicsReader(settings)
    await reader.start()
    yield reader
    await reader.stop()


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
        yield producer


async def write(producer: AIOKafkaProducer, settings: Settings, topic: str, partition: int, at_ms: int) -> None:
    await producer.send(settings.topic(topic), str(at_ms).encode(), partition=partition, timestamp_ms=START_MS + at_ms)


async def seen(reader: TopicsReader) -> list[tuple[str, int]]:
    """Return the topics and times of the records before the cut."""
    return [(entry.topic, int(entry.value)) async for entry in reader.entries()]


async def seen_in_time(reader: TopicsReader, count: int) -> list[tuple[str, int]]:
    """Wait for `count` records before a cut: a commit is answered before its markers are written."""
    records: list[tuple[str, int]] = []
    deadline = time.monotonic() + MARKERS_WITHIN_S
    while len(records) < count and time.monotonic() < deadline:
        await reader.extend()
        records += await seen(reader)
    return records


async def test_records_are_read_in_the_order_of_time(
    settings: Settings, reader: TopicsReader, producer: AIOKafkaProducer
) -> None:
    for at_ms in range(COUNT):
        await write(producer, settings, MERGED[at_ms % len(MERGED)], at_ms // 7 % 2, at_ms)
    await write(producer, settings, "events", 0, 5_000_000)
    await producer.flush()
    total = await reader.extend()
    records = await seen(reader)

    assert [("events", 5_000_000), *((MERGED[at_ms % len(MERGED)], at_ms) for at_ms in range(COUNT))] == records
    assert COUNT + 1 == total == reader.done


async def test_a_cause_is_read_before_its_effect_of_the_same_millisecond(
    settings: Settings, reader: TopicsReader, producer: AIOKafkaProducer
) -> None:
    for topic in MERGED:
        await write(producer, settings, topic, 0, 7)
    await producer.flush()
    await reader.extend()

    assert list(reversed(MERGED)) == [topic for topic, _at_ms in await seen(reader)]


async def test_the_next_cut_continues_without_a_gap(
    settings: Settings, reader: TopicsReader, producer: AIOKafkaProducer
) -> None:
    """Records are written faster than they are read: those after the cut wait for the next cut."""
    await write(producer, settings, "positions", 0, 1)
    await producer.flush()
    await reader.extend()
    for at_ms in range(2, 300):
        await write(producer, settings, "positions", at_ms % 2, at_ms)
    await producer.flush()

    assert [("positions", 1)] == await seen(reader)
    assert [] == await seen(reader)
    await reader.extend()
    assert [("positions", at_ms) for at_ms in range(2, 300)] == await seen(reader)
    assert [] == await seen(reader)


async def test_open_and_aborted_transactions(settings: Settings, reader: TopicsReader) -> None:
    """Aborted records are never read; an open transaction and all after it are after the cut."""
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, transactional_id=settings.topic("audit")
    ) as ledger:
        async with ledger.transaction():
            await write(ledger, settings, "positions", 0, 1)
        await ledger.begin_transaction()
        await write(ledger, settings, "positions", 0, 2)
        await ledger.flush()
        await ledger.abort_transaction()
        async with ledger.transaction():
            await write(ledger, settings, "positions", 0, 3)
        await ledger.begin_transaction()
        await write(ledger, settings, "positions", 0, 4)
        await ledger.flush()
        assert [("positions", 1), ("positions", 3)] == await seen_in_time(reader, 2)
        await reader.extend()
        assert [] == await seen(reader)
        await ledger.commit_transaction()
        assert [("positions", 4)] == await seen_in_time(reader, 1)


async def test_records_that_retention_has_deleted(settings: Settings, producer: AIOKafkaProducer) -> None:
    for at_ms in range(10):
        await write(producer, settings, "prepare", 0, at_ms)
        await write(producer, settings, "positions", 1, at_ms)
    await producer.flush()
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(settings.topic("prepare"), 0): RecordsToDelete(before_offset=6)})
    await admin.close()
    reader = TopicsReader(settings)
    await reader.start()
    try:
        kept = await reader.kept()
        await reader.extend()
        assert (0, START_MS + 6 + KEPT_MARGIN_MS) == (kept.books_ms, kept.requests_ms)
        assert 14 == len(await seen(reader))
    finally:
        await reader.stop()


async def test_missing_topics(settings: Settings) -> None:
    reader = TopicsReader(settings_apart(settings.kafka_bootstrap, "nobodys-"))
    try:
        with pytest.raises(TopicsMissingError, match="nobodys-"):
            await reader.start()
    finally:
        await reader.stop()
