"""Views: in-memory copies of compacted topics, of which all partitions are read whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.domain.participants.participant import Participant
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.topology import load_topology
from clearinghub.messages.recoveries import Recovery, decode_recovery, recovery_key
from clearinghub.rows import make_row_decoder

log = structlog.get_logger(__name__)
Value = TypeVar("Value")

REACH_TIMEOUT_S: Final = 5.0
FETCH_TIMEOUT_MS: Final = 1_000
READ_AGAIN_S: Final = 1.0


class CompactedView(Generic[Value]):
    """The last value of each key of a topic, updated as records are committed; `changes` counts the records."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        decode: Callable[[bytes], Value],
        make_consumer: Callable[..., Any] = AIOKafkaConsumer,
    ) -> None:
        self.values: dict[str, Value] = {}
        self.changes = 0
        self.is_caught_up = False
        self._settings = settings
        self._topic = settings.topic(topic)
        count = load_topology().topics[topic].partition_count(settings.partitions)
        self._places = [TopicPartition(self._topic, number) for number in range(count)]
        self._decode = decode
        self._make_consumer = make_consumer
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Read the topic to its end, then follow it in the background."""
        consumer = self._consumer = self._make_consumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **kafka_access(self._settings),
        )
        await consumer.start()
        consumer.assign(self._places)
        ends = await consumer.end_offsets(self._places)
        for place, beginning in (await consumer.beginning_offsets(self._places)).items():
            consumer.seek(place, beginning)
        for place in self._places:
            while await consumer.position(place) < ends[place]:
                await self._read(consumer)
        self.is_caught_up = True
        self._task = asyncio.create_task(self._follow(consumer), name=f"view-{self._topic}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._consumer is not None:
            await self._consumer.stop()

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition over `values`. Return False if it is not met in time."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            return False
        return True

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                await self._read(consumer)
            except Exception:  # whatever it is: a view that stops following would return old values
                log.exception("view-read-failed", topic=self._topic)
                await asyncio.sleep(READ_AGAIN_S)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)
        for records in fetched.values():
            for record in records:
                self._take(record.key, record.value)
        if fetched:
            async with self._changed:
                self._changed.notify_all()

    def _take(self, raw_key: bytes, value: bytes | None) -> None:
        self.changes += 1
        try:
            key = raw_key.decode()
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = self._decode(value)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError, AttributeError):
            log.exception("view-record-unreadable", topic=self._topic, key=raw_key)


class ParticipantsView(CompactedView[Participant]):
    """All participants, by name; implements `clearinghub.ports.Participants`."""

    def __init__(self, settings: Settings, make_consumer: Callable[..., Any] = AIOKafkaConsumer) -> None:
        super().__init__(settings, "participants", make_row_decoder(Participant), make_consumer)

    def get(self, name: str) -> Participant | None:
        """Return the participant of that name, or None."""
        return self.values.get(name)

    def all(self) -> list[Participant]:
        """Return all participants in order of creation."""
        return sorted(self.values.values(), key=lambda one: (one.created_at_ms, one.participant_id))

    async def reach(self, name: str, version: int) -> None:
        """Wait, for REACH_TIMEOUT_S at most, until the view has a participant in that version or a later one."""

        def reached() -> bool:
            known = self.values.get(name)
            return known is not None and known.version >= version

        if not await self.wait_until(reached, REACH_TIMEOUT_S):
            log.warning("participant-version-not-reached", participant=name, version=version)


class RecoveriesView(CompactedView[Recovery]):
    """The operators' decisions that partitions go on past what stopped them."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "recoveries", decode_recovery)

    def is_accepted(self, partition: int, stop: PartitionStoppedError) -> bool:
        """Return whether there is a decision for this very stop of the partition."""
        return recovery_key(partition, stop.stop_id) in self.values
