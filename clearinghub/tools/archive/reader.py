"""Reads the committed records of the topics, one partition at a time, from any offset to a cut."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.tools.archive.datasets import TOPICS
from clearinghub.tools.archive.files import Span
from clearinghub.tools.topics import kafka_admin, partition_counts

FETCH_TIMEOUT_MS: Final = 200  # a partition that ends in markers yields no records, only a position
FETCH_BYTES_MAX: Final = 2 * 1024 * 1024
RECORDS_AT_ONCE: Final = 2_000
SILENCE_S_MAX: Final = 30.0  # of silence, after which the broker counts as lost


class Extent(NamedTuple):
    """The offsets of a partition from `first` to `end` - 1; no transaction before `end` is open."""

    topic: str
    partition: int
    first: int
    end: int


class Fetched(NamedTuple):
    """Some records, and the offset before which there are no others: the rest are markers and aborted records."""

    records: Sequence[ConsumerRecord]
    position: int


class Reader:
    """A read-committed consumer without a group: the archive's files say how far it is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",  # records that are dropped meanwhile must not be skipped in silence
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_TIMEOUT_MS,
            **kafka_access(settings),
        )

    async def start(self) -> None:
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    async def extents(self) -> list[Extent]:
        """Return the extents of all partitions of the four topics, in their order.

        Raises:
            TopicsMissingError: the broker does not have one of the topics.
        """
        found = []
        counts = await partition_counts(self._settings, TOPICS)
        # A second client: with auto_offset_reset=none the first one fails on a partition that has no position yet.
        asking = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            **kafka_access(self._settings),
        )
        await asking.start()
        try:
            for topic in TOPICS:
                places = [TopicPartition(self._settings.topic(topic), number) for number in range(counts[topic])]
                asking.assign(places)
                firsts = await asking.beginning_offsets(places)
                ends = await asking.end_offsets(places)
                found += [Extent(topic, place.partition, firsts[place], ends[place]) for place in places]
        finally:
            await asking.stop()
        return found

    async def read(self, span: Span) -> AsyncIterator[Fetched]:
        """Yield the committed records of a span, in order, some at a time.

        Raises:
            KafkaTimeoutError: the broker was lost.
            OffsetOutOfRangeError: the next record has been dropped meanwhile.
        """
        place = TopicPartition(self._settings.topic(span.topic), span.partition)
        self._consumer.assign([place])
        self._consumer.seek(place, span.begin)
        heard_at_s, position = time.monotonic(), span.begin
        while position < span.end:
            fetched = await self._consumer.getmany(place, timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE)
            records = [record for record in fetched.get(place, ()) if record.offset < span.end]
            before, position = position, min(await self._consumer.position(place), span.end)
            if position > before:
                yield Fetched(records, position)
                heard_at_s = time.monotonic()
            elif time.monotonic() - heard_at_s > SILENCE_S_MAX:
                raise KafkaTimeoutError(f"nothing came of {place.topic}-{place.partition} for {SILENCE_S_MAX:.0f} s")


async def cluster_id(settings: Settings) -> str:
    """Return the id that the cluster chose when its data were created."""
    async with kafka_admin(settings) as admin:
        described: dict[str, Any] = await admin.describe_cluster()
    return str(described["cluster_id"])
