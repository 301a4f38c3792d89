"""One partition of the ledger at work: rounds of group commit, one transaction each (design 4).

A round takes what waits on the partition's inputs, in the inputs' order, so that work in flight comes before new work;
decides record by record on an pending over the tables; and closes:

1. how far each input was decided becomes a row like any other, of table `offsets` (ADR 7);
2. the changed rows go to the changelogs, once per key, with everything the handlers emitted, as one transaction;
3. the rows and the changelogs' offsets are written to RocksDB, one write per table.

A crash before the end of 2 leaves nothing, after it everything: RocksDB catches up from the changelog, and is never
ahead of it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
import structlog

from clearinghub.engine.errors import ContiguityError, PartitionLostError
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.pending_changes import PendingChanges
from clearinghub.engine.record import INPUTS, OFFSETS, VALUE_BYTES_MAX, PunctuatorView, Record

if TYPE_CHECKING:
    from clearinghub.engine.batch import Batch
    from clearinghub.engine.config import EngineConfig
    from clearinghub.engine.store import LedgerStore
    from clearinghub.engine.transaction import Outgoing, PartitionProducer

BUSY_ROUND_RECORDS: Final = 10  # a round of so many keeps the whole interval to the next
RECORDS_AT_ONCE: Final = 20  # decided before other partitions, the fetch and the heartbeat may run
# Of a heavy input no more is taken into a round that has so much to send: about what 500 records of the others send.
HEAVY_ROUND_BYTES: Final = 1024 * 1024
DEAD_VALUE_BYTES_MAX: Final = VALUE_BYTES_MAX - 16 * 1024  # what is told of it comes first
STAMP_INTERVAL_MS: Final = 60 * 60 * 1000

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")


class Partition:
    """One partition's inbox, its loop of rounds, and its answers to queries."""

    def __init__(
        self,
        config: EngineConfig,
        number: int,
        epoch: int,
        producer: PartitionProducer,
        stores: Mapping[str, LedgerStore],
        next_offsets: Mapping[str, int],
        on_failure: Callable[[int, BaseException], None],
    ) -> None:
        self.number = number
        self.epoch = epoch
        self._config = config
        self._outside = config.environment
        self._producer = producer
        self._stores = stores
        self._on_failure = on_failure
        self._tables = {table.name: table for table in config.all_tables}
        self._partitioner = Partitioner(config.output_partitions)
        self._handlers = {one.topic: one.handler for one in config.inputs}
        self._heavy = frozenset(one.topic for one in config.inputs if one.is_heavy)
        self._inbox: dict[str, deque[Batch]] = {one.topic: deque() for one in config.inputs}
        self._next_offsets = dict(next_offsets)
        self._stamped_ms = self._outside.wall_ms()  # recovery has just done so
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()  # held from a round's first decision until RocksDB has it
        self._closing = False
        self._opened = False
        self._task: asyncio.Task[None] | None = None
        self._round_started_at = 0.0
        self._last_count = 0
        self._swept_at = -math.inf  # the first round punctuators before it decides anything

    def start(self) -> None:
        """Begin to take batches: the tables are recovered and the inputs stand at their committed offsets."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name=f"partition-{self.number}")

    def accept(self, topic: str, batch: Batch) -> None:
        """Put a batch into the inbox; called by the topic's agent. A batch of an earlier assignment is void."""
        if batch.epoch != self.epoch or self._closing:
            return
        self._inbox[topic].append(batch)
        self._wake.set()

    @property
    def waiting_since_ms(self) -> int | None:
        """When the oldest record of the inbox was written, milliseconds since 1970; None when nothing waits."""
        firsts = [batches[0].records[0].timestamp for batches in self._inbox.values() if batches]
        return min(firsts) if firsts else None

    async def close(self, timeout_s: float) -> None:
        """Let the round under way end, if it does so in time, and take no other."""
        self._closing = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            _done, pending = await asyncio.wait({task}, timeout=timeout_s)
            if pending:
                task.cancel()
                await asyncio.wait({task}, timeout=timeout_s)
        await self._producer.stop()

    async def read(self, question: Callable[[PunctuatorView], Answer]) -> Answer:
        """Answer a query from what is committed, between two rounds.

        Raises:
            PartitionLostError: the partition is being given up.
        """
        async with self._lock:
            if self._closing:
                raise PartitionLostError(f"partition {self.number} is closing")
            return question(self._pending())

    def _pending(self) -> PendingChanges:
        return PendingChanges(self.number, self._config.partitions, self._stores, self._partitioner)

    async def _run(self) -> None:
        try:
            while not self._closing:
                await self._wait_for_work()
                async with self._lock:
                    if not self._closing:
                        await self._round()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, this partition must not go on from here
            self._closing = True
            self._on_failure(self.number, error)

    async def _wait_for_work(self) -> None:
        """Until something waits or a punctuator is due; under load at least an interval after the last start.

        The interval makes rounds large where there is much to do. Where the last round had few records it shrinks with
        them: a single transfer, which needs two rounds, does not wait.
        """
        sweep_in_s = max(0.0, self._swept_at + self._config.punctuate_interval_ms / 1000 - self._outside.steady_s())
        try:
            async with asyncio.timeout(sweep_in_s if self._config.punctuators else None):
                await self._wake.wait()
        except TimeoutError:
            return
        busy = min(1.0, self._last_count / BUSY_ROUND_RECORDS)
        rest_s = self._round_started_at + busy * self._config.round_interval_ms / 1000 - self._outside.steady_s()
        if rest_s > 0:
            await asyncio.sleep(rest_s)

    async def _round(self) -> None:
        self._wake.clear()
        self._round_started_at = started = self._outside.steady_s()
        pending = self._pending()
        self._punctuate(pending, started)
        count = await self._decide(pending)
        if count:
            pending.put(OFFSETS, INPUTS, dict(self._next_offsets))
        self._last_count = count
        if pending.is_empty:
            return
        await self._commit(pending)
        if any(self._inbox.values()):
            self._wake.set()
        self._config.on_round(self.number, count, self._outside.steady_s() - started)

    def _punctuate(self, pending: PendingChanges, now_s: float) -> None:
        if not self._opened and self._config.on_open is not None:
            self._config.on_open(pending, self._outside.wall_ms())
            pending.release()
        self._opened = True
        if not self._config.punctuators or now_s - self._swept_at < self._config.punctuate_interval_ms / 1000:
            return
        self._swept_at = now_s
        for punctuator in self._config.punctuators:
            punctuator(pending, self._outside.wall_ms())
        pending.release()

    async def _decide(self, pending: PendingChanges) -> int:
        """Take up to a round's records from the inbox, in the inputs' order, and let their handlers decide."""
        count = 0
        for topic, batches in self._inbox.items():
            before = count
            while batches and (room := self._room(topic, count, pending, is_first=count == before)) > 0:
                batch = self._take(batches, room)
                self._check_contiguity(topic, batch)
                for number, record in enumerate(batch.records):
                    await self._decide_one(topic, record, pending)
                    if number % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1:
                        await asyncio.sleep(0)
                count += len(batch.records)
                self._config.on_batch(topic, self.number, self._outside.wall_s() - batch.records[0].timestamp / 1000)
        return count

    def _room(self, topic: str, count: int, pending: PendingChanges, *, is_first: bool) -> int:
        """How many of the input's records may be taken before it is asked again. One of a heavy input always may."""
        room = self._config.round_records_max - count
        if topic not in self._heavy:
            return room
        return int(is_first or (room > 0 and pending.emitted_bytes < HEAVY_ROUND_BYTES))

    @staticmethod
    def _take(batches: deque[Batch], count_max: int) -> Batch:
        batch = batches[0]
        if len(batch.records) > count_max:
            return batch.split(count_max)
        batch.taken = True
        return batches.popleft()

    def _check_contiguity(self, topic: str, batch: Batch) -> None:
        expected = self._next_offsets[topic]
        if batch.begin != expected:
            raise ContiguityError(f"{topic}/{self.number}: batch begins at {batch.begin}, expected {expected}")
        self._next_offsets[topic] = batch.end

    async def _decide_one(self, topic: str, consumed: Any, pending: PendingChanges) -> None:
        record = Record(topic, self.number, consumed.offset, consumed.timestamp, consumed.key, consumed.value or b"")
        try:
            steps = self._handlers[topic](record, pending)
            if steps is not None:
                for _step in steps:
                    await asyncio.sleep(0)
            pending.release()
        except Exception as error:
            pending.roll_back()
            log.exception("record-raised", topic=topic, partition=self.number, offset=record.offset)
            key = (record.key or b"").decode(errors="replace")
            pending.emit(self._config.dead_letter_topic, key, dead_letter(record, error))
            pending.release()
            self._config.on_dead_letter(topic)
            self._notify_sender(record, pending)

    def _notify_sender(self, record: Record, pending: PendingChanges) -> None:
        """The record is on the dead letter whatever happens here: it may be too broken to tell whose it was."""
        if self._config.on_poison_record is None:
            return
        try:
            self._config.on_poison_record(record, pending)
            pending.release()
        except Exception:
            pending.roll_back()
            log.exception(
                "poison-record-sender-not-notified", topic=record.topic, partition=self.number, offset=record.offset
            )

    async def _commit(self, pending: PendingChanges) -> None:
        config = self._config
        changes = pending.changes()
        outgoing: list[Outgoing] = [
            (config.changelog(table), self.number, key, value)
            for table, changed in changes.items()
            for key, value in changed.rows.items()
        ]
        prefix = config.topic_prefix
        outgoing.extend((prefix + topic, partition, key, value) for topic, partition, key, value in pending.emissions)
        began_at_ms = self._outside.wall_ms()
        last_offsets = await self._producer.commit(outgoing)
        # The transaction is committed: from here the round is a fact, and RocksDB only follows.
        for table, changed in changes.items():
            offset = last_offsets[config.changelog(table), self.number]
            self._stores[table].apply(self._tables[table], self.number, changed, offset)
        self._stamp(began_at_ms)

    def _stamp(self, level_at_ms: int) -> None:
        """Note now and then that the copies are level with their changelogs: nobody else could have committed."""
        if abs(level_at_ms - self._stamped_ms) < STAMP_INTERVAL_MS:
            return
        self._stamped_ms = level_at_ms
        for store in self._stores.values():
            store.stamp(self.number, level_at_ms)


def dead_letter(record: Record, error: BaseException) -> bytes:
    """A record that made the code raise, with where it came from and what was raised.

    Whole, unless the letter would be too large for the broker: then without its value, which stays in its topic.
    """
    fits = len(record.value) <= DEAD_VALUE_BYTES_MAX
    about = {
        "v": 1,
        "kind": "dead-letter",
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestampMs": record.timestamp_ms,
        "error": error_text(error),
        "bytesLeftOut": 0 if fits else len(record.value),
    }
    return orjson.dumps(about) + b"\n" + (record.value if fits else b"")


def error_text(error: BaseException) -> str:
    """What was raised, as text that every encoder takes: it may quote what came from outside."""
    return repr(error)[:1000].encode(errors="replace").decode()
