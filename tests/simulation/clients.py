"""aiokafka's producer and consumer on the simulated bus, as far as the hub uses them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalOperation,
    KafkaError,
    NotEnoughReplicasError,
    OffsetOutOfRangeError,
    ProducerFenced,
    RequestTimedOutError,
)

from tests.simulation.bus import Bus, Entry, Headers, Place, Sent
from tests.simulation.loop import Process

CONCLUDE_S: Final = 0.01  # pause of a client while the broker ends its last transaction
ANSWER_TIMEOUT_S: Final = 1.0


class Batch:
    """A batch of records to send; full at a number of records, where aiokafka's is full at a number of bytes."""

    def __init__(self, records_max: int) -> None:
        self.records: list[Sent] = []
        self._records_max = records_max

    def append(self, *, key: bytes, value: bytes | None, timestamp: int, headers: Headers = ()) -> object | None:
        """Add a record; return None when the batch is full."""
        if len(self.records) >= self._records_max:
            return None
        self.records.append((key, value, timestamp, headers))
        return self

    def record_count(self) -> int:
        return len(self.records)

    def close(self) -> None:
        """Nothing to do: the batch is not compressed."""


class ProducerClient:
    """aiokafka's transactional producer, of one process."""

    def __init__(self, bus: Bus, process: Process, settings: Mapping[str, Any]) -> None:
        self._bus = bus
        self._process = process
        self._owner: str = settings["transactional_id"]
        self._epoch = -1
        self._sent: dict[Place, deque[tuple[Batch, asyncio.Future[Any]]]] = {}
        self._sender = SimpleNamespace(sender_task=None)
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Take the transactional id over; return when the last owner's transaction is aborted and marked."""
        self._process.reach("fencing")
        self._epoch = await self._bus.request(lambda: self._bus.take_over(self._owner))
        while not self._bus.is_concluded(self._owner):
            await asyncio.sleep(CONCLUDE_S)
        self._bus.check(self._owner, self._epoch)

    async def stop(self) -> None:
        """Leave an open transaction open, as a process that is killed does."""

    async def begin_transaction(self) -> None:
        """Begin nothing at the broker yet: the first batch does."""
        self._process.reach("begin")

    def create_batch(self) -> Batch:
        return Batch(self._bus.swarm.batch_records_max())

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Send a batch; the returned future resolves to an object with the offset of the batch's first record."""
        self._process.reach("send")
        sent = self._loop.create_future()
        # Requests may overtake each other, but the batches of one partition are written in order.
        self._sent.setdefault((topic, partition), deque()).append((batch, sent))
        self._loop.call_later(self._bus.swarm.request_delay_s(), self._arrive, (topic, partition))
        return sent

    def _arrive(self, place: Place) -> None:
        # CONCURRENT_TRANSACTIONS, NOT_ENOUGH_REPLICAS: the client tries again.
        if not self._bus.is_concluded(self._owner) or self._bus.is_unavailable(place[1]):
            self._loop.call_later(CONCLUDE_S, self._arrive, place)
            return
        batch, sent = self._sent[place].popleft()
        try:
            first = self._bus.produce(self._owner, self._epoch, place, batch.records)
        except ProducerFenced as error:
            if not sent.done():
                sent.set_exception(self._fenced(error))
                sent.exception()
            return
        if not sent.done():
            sent.set_result(SimpleNamespace(offset=first))

    async def commit_transaction(self) -> None:
        """Commit; when the request or its answer is lost, raise RequestTimedOutError as aiokafka does."""
        self._process.reach("commit")
        fate = self._bus.swarm.commit_fate()
        if fate == "request lost":
            await asyncio.sleep(ANSWER_TIMEOUT_S)
            raise RequestTimedOutError
        answer = self._bus.request(lambda: self._bus.commit(self._owner, self._epoch))
        self._process.reach("commit-sent")
        try:
            await answer
        except ProducerFenced as error:
            raise self._fenced(error) from error
        if fate == "answer lost":
            raise RequestTimedOutError
        self._process.reach("committed")

    def _fenced(self, error: ProducerFenced) -> KafkaError:
        """Return the error itself or an IllegalOperation that hides it: aiokafka raises either."""
        if self._bus.swarm.chance(0.5):
            return error
        ended: asyncio.Future[Any] = self._loop.create_future()
        ended.set_exception(error)
        ended.exception()
        self._sender.sender_task = ended
        return IllegalOperation("the sender has ended")


class SenderClient:
    """The relay's sender, of one process: `clearinghub.kafka.relay_sender.RelaySender` on the bus."""

    def __init__(self, bus: Bus, process: Process) -> None:
        self._bus = bus
        self._process = process
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Die here if the process is to die when it connects."""
        self._process.reach("connect")

    async def stop(self) -> None:
        """Leave what is under way: it may still arrive."""

    async def send(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes, Headers]], _timestamp_ms: int
    ) -> None:
        """Write records; raise if they are not written, or if the answer is lost."""
        self._process.reach("relay")
        sent = list(records)
        if self._bus.swarm.happens("doubled relays", 0.1):
            late_s = self._bus.swarm.random.uniform(0.0, 1.0)
            self._loop.call_later(late_s, self._write_if_available, topic, partition, sent)
        answer = self._bus.request(lambda: self._write(topic, partition, sent))
        self._process.reach("relay-sent")
        await answer
        if self._bus.swarm.happens("lost relay answers", 0.05):
            raise RequestTimedOutError
        self._process.reach("relayed")

    def _write(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes, Headers]]) -> None:
        if self._bus.is_unavailable(partition):
            raise NotEnoughReplicasError
        for key, value, headers in records:
            self._bus.append(topic, partition, key, value, headers)

    def _write_if_available(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes, Headers]]) -> None:
        with contextlib.suppress(NotEnoughReplicasError):
            self._write(topic, partition, records)


class ConsumerClient:
    """aiokafka's consumer with assigned partitions, reading committed records."""

    def __init__(self, bus: Bus, process: Process, settings: Mapping[str, Any]) -> None:
        self._bus = bus
        self._process = process
        self._group: str | None = settings.get("group_id")
        self._resets = settings.get("auto_offset_reset") != "none"
        self._coordinator = SimpleNamespace(generation=0)
        self._positions: dict[TopicPartition, int | None] = {}
        self._paused: set[TopicPartition] = set()
        self._waiting: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        self._process.reach("connect")

    async def stop(self) -> None:
        self.assign([])

    def assign(self, partitions: Iterable[TopicPartition], generation: int = 0) -> None:
        """Drop all positions and read these partitions, in this order."""
        for place in self._positions:
            self._bus.logs[place].listeners.pop(self, None)
        self._positions = dict.fromkeys(partitions)
        self._paused.clear()
        self._coordinator.generation = generation
        for place in self._positions:
            self._bus.logs[place].listeners[self] = None

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def position_of(self, place: TopicPartition) -> int | None:
        return self._positions.get(place)

    async def position(self, place: TopicPartition) -> int:
        position = self._positions[place]
        assert position is not None
        return position

    def seek(self, place: TopicPartition, offset: int) -> None:
        assert place in self._positions
        self._positions[place] = offset
        self.wake(0.0)

    def pause(self, *places: TopicPartition) -> None:
        self._paused.update(places)

    def resume(self, *places: TopicPartition) -> None:
        self._paused.difference_update(places)
        self.wake(0.0)

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self._bus.logs[place].first for place in places}

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The last stable offsets, as they are when the request arrives."""
        self._process.reach("recovering")
        listed = list(places)
        ends: dict[TopicPartition, int] = await self._bus.request(
            lambda: {place: self._bus.logs[place].stable_end for place in listed}
        )
        return ends

    async def getmany(self, *, timeout_ms: int, max_records: int | None = None) -> dict[TopicPartition, list[Entry]]:
        """Return records by partition, or nothing after the timeout; positions also move over markers."""
        self._process.reach("fetch")
        deadline_s = self._loop.time() + timeout_ms / 1000
        while True:
            fetched = self._read(max_records or 1_000)
            rest_s = deadline_s - self._loop.time()
            if fetched or rest_s <= 0:
                self._process.reach("fetched")
                return fetched
            self._waiting = self._loop.create_future()
            timer = self._loop.call_later(rest_s, _finish, self._waiting)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None

    def wake(self, after_s: float) -> None:
        """End the current wait of `getmany` after some seconds: there may be new records."""
        if self._waiting is not None:
            self._loop.call_later(after_s, _finish, self._waiting)

    def _read(self, records_max: int) -> dict[TopicPartition, list[Entry]]:
        fetched: dict[TopicPartition, list[Entry]] = {}
        now_s = self._loop.time()
        for place, position in self._positions.items():
            log = self._bus.logs[place]
            if position is not None and place not in self._paused and not log.first <= position <= len(log.entries):
                if not fetched and not self._resets:
                    raise OffsetOutOfRangeError({place: position})
                if self._resets:
                    self._positions[place] = log.first
                continue
            if position is None or place in self._paused or position >= len(log.entries) or log.stalled_until_s > now_s:
                continue
            count_max = min(records_max, self._bus.swarm.fetch_records_max())
            records, self._positions[place] = log.read(position, count_max)
            if records:
                fetched[place] = records
                records_max -= len(records)
                if not records_max:
                    break
        return fetched

    # -- the group's offsets

    async def committed(self, place: TopicPartition) -> int | None:
        assert self._group is not None
        offsets = self._bus.group_offsets.setdefault(self._group, {})
        return offsets.get(place)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets; raise CommitFailedError for a member of an earlier generation."""
        self._process.reach("commit-offsets")
        generation = self._coordinator.generation
        await self._bus.request(lambda: self._commit(offsets, generation))
        self._process.reach("offsets-committed")

    def _commit(self, offsets: Mapping[TopicPartition, int], generation: int) -> None:
        assert self._group is not None
        if generation != self._bus.generations.get(self._group):
            self._bus.counts["offset commits refused"] += 1
            raise CommitFailedError
        self._bus.group_offsets.setdefault(self._group, {}).update(offsets)


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
