"""The topics' committed records, one partition at a time, from any offset to a cut."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.schemas import TOPICS
from clearinghub.tools.topics import kafka_admin, partition_counts

FETCH_TIMEOUT_MS: Final = 200  # a partition that ends in markers gives no records, only a position
FETCH_BYTES_MAX: Final = 2 * 1024 * 1024
RECORDS_AT_ONCE: Final = 2_000
SILENCE_S_MAX: Final = 30.0  # without anything from the broker, before it is given up


class Extent(NamedTuple):
    """What a partition holds: from `first` to `end` - 1, of which nothing is open any more."""

    topic: str
    partition: int
    first: int
    end: int


class Fetched(NamedTuple):
    """Some records, and the offset before which there are no more: what lies between is marks, or was aborted."""

    records: Sequence[ConsumerRecord]
    position: int


class Reader:
    """A read-committed consumer of no group: how far the archive is, its files tell."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",  # what is dropped while it is being read must not be passed over in silence
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_TIMEOUT_MS,
            **kafka_access(settings),
        )

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._consumer.stop()

    async def extents(self) -> list[Extent]:
        """All partitions of the four topics, in their order; an end is the last stable offset.

        Raises:
            TopicsMissingError: there is none of a name.
        """
        found = []
        counts = await partition_counts(self._settings, TOPICS)
        # Another client: one that is assigned a partition without a position would want to be told where to begin.
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
        """The committed records of a span, in order, some at a time.

        Raises:
            KafkaTimeoutError: the broker was lost.
            OffsetOutOfRangeError: what is next was dropped meanwhile.
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
    """The name that the cluster gave itself when its data were made."""
    async with kafka_admin(settings) as admin:
        described: dict[str, Any] = await admin.describe_cluster()
    return str(described["cluster_id"])
