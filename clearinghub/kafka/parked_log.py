"""Topic `parked` on the broker, for `clearinghub.callbacks.parking`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.engine.record import Record
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.recorder import KafkaRecorder

TOPIC: Final = "parked"
FETCH_BYTES: Final = 512 * 1024
RECORDS_MAX: Final = 500
FETCH_TIMEOUT_MS: Final = 1_000


class KafkaParkedLog:
    """Writes with the recorder, and reads with a consumer of its own, one partition at a time."""

    def __init__(self, settings: Settings, recorder: KafkaRecorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._topic = settings.topic(TOPIC)
        self._consumer: AIOKafkaConsumer | None = None
        self._reading = asyncio.Lock()
        self._at: TopicPartition | None = None
        self._last: list[Record] = []  # what was read last: mostly more than was used

    async def start(self) -> None:
        """Connect to the broker, without joining a group."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"{self._settings.application_id}-callbacks-{self._settings.instance}-parked",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=100,
            **kafka_access(self._settings),
        )
        await self._consumer.start()

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def append(self, partition: int, key: str, value: bytes) -> None:
        await self._recorder.record_in_partition(TOPIC, partition, key, value)

    async def bounds(self, partition: int) -> tuple[int, int]:
        assert self._consumer is not None
        place = TopicPartition(self._topic, partition)
        firsts = await self._consumer.beginning_offsets([place])
        ends = await self._consumer.end_offsets([place])
        return firsts[place], ends[place]

    async def read(self, partition: int, offset: int) -> Sequence[Record]:
        assert self._consumer is not None
        async with self._reading:
            last = self._last
            if last and last[0].partition == partition and last[0].offset <= offset <= last[-1].offset:
                return [one for one in last if one.offset >= offset]
            self._last = await self._fetch(self._consumer, TopicPartition(self._topic, partition), offset)
            return self._last

    async def _fetch(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> list[Record]:
        if self._at != place:
            consumer.assign([place])
            self._at = place
            consumer.seek(place, offset)
        elif await consumer.position(place) != offset:
            consumer.seek(place, offset)
        fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_MAX)
        return [
            Record(TOPIC, place.partition, one.offset, one.timestamp, one.key, one.value or b"")
            for records in fetched.values()
            for one in records
        ]
