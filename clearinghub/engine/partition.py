"""One partition at work: rounds of group commit, one transaction each (design 4).

A round takes the records that wait on the partition's inputs. It takes the inputs in the order of the configuration
(for the ledger, agents/handlers.py), so that work in flight comes before new work. Record by record, the handlers
decide; what they change is kept as pending changes (pending_changes.py). Then the round ends in three steps:

1. How far inputs are decided, and where changelogs end with this round, becomes a row of table `offsets` (ADR 7, 28).
2. The changed rows go to the changelogs, each key once, together with all that the handlers emitted: one transaction.
   It writes to partitions of the round's own number alone; messages to other partitions go to topic `outbox`.
3. The rows and the changelogs' offsets are written to RocksDB, one write for each table, and the relay passes the
   messages on (relay.py).

After a crash before the end of step 2 nothing of the round remains. After a later crash all of it remains: recovery
reads from the changelogs what RocksDB has missed. RocksDB is never ahead of the changelogs.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import structlog

from clearinghub.engine.batch import Batch
from clearinghub.engine.config import EngineConfig
from clearinghub.engine.dead_letter import dead_letter_record
from clearinghub.engine.errors import ContiguityError, PartitionLostError, PartitionStoppedError, StoppedInput
from clearinghub.engine.exchange import Exchange, Outlets, RoundOutput
from clearinghub.engine.holdback import Holdback, Logs
from clearinghub.engine.offsets import PartitionOffsets
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.pending_changes import PendingChanges
from clearinghub.engine.record import PunctuatorView, Record
from clearinghub.engine.stopped_inputs import StoppedInputs
from clearinghub.engine.store import LedgerStore
from clearinghub.engine.transaction import changed_rows

BUSY_ROUND_RECORDS: Final = 10  # after a round of so many records, the next one waits for the whole interval
RECORDS_AT_ONCE: Final = 20  # decided before other partitions, the fetch and the heartbeat may run
# A round that has this much to send takes no further record of a heavy input. It is about what 500 records of the other
# inputs send.
HEAVY_ROUND_BYTES: Final = 1024 * 1024
MARKERS_INTERVAL_S: Final = 60.0
CHECKPOINT_INTERVAL_MS: Final = 60 * 60 * 1000

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")


class Partition:
    """One partition's inbox, its loop of rounds, and its answers to queries.

    It is made when its tables are recovered, for one assignment (`epoch`), and not used again after `close`.
    """

    def __init__(
        self,
        config: EngineConfig,
        number: int,
        epoch: int,
        outlets: Outlets,
        stores: Mapping[str, LedgerStore],
        offsets: PartitionOffsets,
        on_failure: Callable[[BaseException], None],
        logs: Logs | None = None,
    ) -> None:
        """Prepare; no round begins before `start`.

        Args:
            config: of the engine.
            number: the partition's.
            epoch: batches of another one are void.
            outlets: what the partition writes with; its producer has fenced the partition's earlier owners.
            stores: the recovered tables.
            offsets: where the inputs and the changelogs are.
            on_failure: is called if a round fails, or messages are lost.
            logs: is needed if an input waits for others.
        """
        self.number = number
        self.epoch = epoch
        self._config = config
        self._environment = config.environment
        self._producer = outlets.producer
        self._stores = stores
        self._on_failure = on_failure
        self._exchange = Exchange(config, number, stores, outlets.relay, self._fail)
        self._wake = asyncio.Event()
        self._tables = {table.name: table for table in config.all_tables}
        self._partitioner = Partitioner(config.output_partitions)
        self._handlers = {one.topic: one.handler for one in config.inputs}
        self._may_be_dead_lettered = {one.topic: one.may_be_dead_lettered for one in config.inputs}
        self._stopped_inputs = StoppedInputs(config, number)
        self._heavy = frozenset(one.topic for one in config.inputs if one.is_heavy)
        self._holdbacks: dict[str, Holdback] = {}
        for one in config.inputs:
            if one.after:
                assert logs is not None, f"{one.topic} waits for {one.after}"
                self._holdbacks[one.topic] = Holdback(
                    number, one.after, logs, lambda topic: self._offsets.next[topic], self._wake.set
                )
        self._inbox: dict[str, deque[Batch]] = {one.topic: deque() for one in config.inputs}
        self._offsets = offsets
        self._row_written_s = -math.inf
        self._checkpoint_ms = self._environment.wall_ms()  # recovery has just written one
        self._lock = asyncio.Lock()  # held from a round's first decision until its rows are in RocksDB
        self._closing = False
        self._may_write = True
        self._is_opened = False
        self._task: asyncio.Task[None] | None = None
        self._round_started_s = 0.0
        self._last_count = 0
        self._read_bytes = 0  # of the records that the round has decided
        self._punctuated_s = -math.inf  # the first round runs the punctuators at once

    def start(self) -> None:
        """Begin with rounds. The tables are recovered and the consumer is at the offsets that come next."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name=f"partition-{self.number}")

    def accept(self, topic: str, batch: Batch) -> None:
        """Put a batch of an input into the inbox. A batch that was fetched under an earlier assignment is dropped."""
        if batch.epoch != self.epoch or self._closing:
            return
        self._inbox[topic].append(batch)
        self._wake.set()

    @property
    def stopped_inputs(self) -> Mapping[str, StoppedInput]:
        """The inputs that have stopped before a record that may not be dead-lettered, by topic."""
        return self._stopped_inputs.by_topic

    @property
    def waiting_since_ms(self) -> int | None:
        """When the oldest record that waits was written, milliseconds since 1970; None if none waits.

        Records of a stopped input do not count: what else waits is decided without them.
        """
        firsts = [batches[0].records[0].timestamp for _topic, batches in self._waiting_inputs()]
        return min(firsts) if firsts else None

    def _waiting_inputs(self) -> list[tuple[str, deque[Batch]]]:
        """Return the inputs that the next round can decide, and their batches."""
        return [(topic, batches) for topic, batches in self._inbox.items() if self._free(topic, batches)]

    def _free(self, topic: str, batches: deque[Batch]) -> int:
        """Return how many records of the input's first batch may be decided: none if it waits."""
        if not batches or topic in self.stopped_inputs or not self._offsets.is_next(topic, batches[0]):
            return 0
        holdback = self._holdbacks.get(topic)
        return len(batches[0].records) if holdback is None else holdback.free(batches)

    @property
    def round_running_s(self) -> float:
        """For how long the round under way has been running, in seconds; 0 between rounds."""
        return self._environment.steady_s() - self._round_started_s if self._lock.locked() else 0.0

    async def close(self, timeout_s: float) -> None:
        """Begin no further round. A round under way may end within `timeout_s`, else it is cancelled."""
        self._closing = True
        self._wake.set()
        for holdback in self._holdbacks.values():
            holdback.close()
        if self._task is not None and self._task is not asyncio.current_task():
            try:
                await asyncio.wait({self._task}, timeout=timeout_s)
            finally:  # also if this is cancelled: the next owner's recovery writes to the same local copies
                self._may_write = False
                self._task.cancel()
            await asyncio.wait({self._task}, timeout=timeout_s)
        await self._exchange.close()
        await self._producer.stop()

    async def read(self, query: Callable[[PunctuatorView], Answer]) -> Answer:
        """Return the answer to a query, between two rounds: it sees only what is committed.

        Raises:
            PartitionLostError: the partition is closing.
        """
        async with self._lock:
            if self._closing:
                raise PartitionLostError(f"partition {self.number} is closing")
            return query(self._new_changes())

    def _new_changes(self) -> PendingChanges:
        return PendingChanges(self.number, self._config.partitions, self._stores, self._partitioner, self._handlers)

    # -- the loop

    async def _run(self) -> None:
        try:
            while not self._closing:
                await self._wait_for_work()
                async with self._lock:
                    if not self._closing:
                        await self._round()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, this partition must not continue
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._closing = True
        self._on_failure(error)

    async def _wait_for_work(self) -> None:
        """Wait until a record is in the inbox or the punctuators are due; for a record, also until a round may begin.

        A round may begin when the round interval has passed since the last one began: this makes rounds large under
        load. After a round of few records the interval is shorter in proportion: a single transfer, which needs two
        rounds, should not wait.
        """
        punctuate_s = self._punctuated_s + self._config.punctuate_interval_ms / 1000
        due_in_s = max(0.0, punctuate_s - self._environment.steady_s())
        try:
            async with asyncio.timeout(due_in_s if self._config.punctuators else self._stopped_inputs.poll_s):
                await self._wake.wait()
        except TimeoutError:
            return
        share = min(1.0, self._last_count / BUSY_ROUND_RECORDS)
        begin_s = self._round_started_s + share * self._config.round_interval_ms / 1000
        rest_s = begin_s - self._environment.steady_s()
        if rest_s > 0:
            await asyncio.sleep(rest_s)

    async def _round(self) -> None:
        self._wake.clear()
        self._round_started_s = started_s = self._environment.steady_s()
        is_first, self._is_opened = not self._is_opened, True
        pending = self._new_changes()
        if is_first and self._config.on_open is not None:
            self._config.on_open(pending, self._config.broker_ms())
            pending.release()
        self._stopped_inputs.resume_decided()
        self._punctuate(pending, started_s)
        count = await self._decide(pending)
        self._stopped_inputs.announce_changes(pending)
        self._last_count = count
        output = self._exchange.take_output(pending)
        # The first round writes the row of offsets even if it decides nothing: rows without it are a loss.
        if pending.is_empty and not is_first and not count and not self._markers_are_due():
            return
        await self._commit(pending, output)
        if self._waiting_inputs():
            self._wake.set()
        self._config.on_round(self.number, count, self._environment.steady_s() - started_s)

    def _punctuate(self, pending: PendingChanges, now_s: float) -> None:
        """Run the punctuators if their interval is over."""
        interval_s = self._config.punctuate_interval_ms / 1000
        if not self._config.punctuators or now_s - self._punctuated_s < interval_s:
            return
        self._punctuated_s = now_s
        for punctuator in self._config.punctuators:
            punctuator(pending, self._config.broker_ms())
        pending.release()

    # -- deciding

    async def _decide(self, pending: PendingChanges) -> int:
        """Take a round's records from the inbox, in the inputs' order, and let their handlers decide.

        Returns:
            The number of records decided.

        Raises:
            ContiguityError: records are missing before an input's first batch. What is before a gap is decided first.
        """
        count = self._read_bytes = 0
        self._check_begins()
        for topic, batches in self._inbox.items():
            before = count
            while (free := self._free(topic, batches)) and (
                room := self._room(topic, count, pending, is_first=count == before)
            ) > 0:
                count += await self._decide_batch(topic, batches, min(room, free), pending)
        return count

    def _room(self, topic: str, count: int, pending: PendingChanges, *, is_first: bool) -> int:
        """Return how many records of an input may come next; of a heavy input one or none, but one in any round.

        `count` is the number of records in the round so far; `is_first` says that none of them is of this input.
        """
        room = 0 if self._is_full(pending) else self._config.round_records_max - count
        if topic not in self._heavy:
            return room
        return int(is_first or (room > 0 and pending.emitted_bytes < HEAVY_ROUND_BYTES))

    def _is_full(self, pending: PendingChanges) -> bool:
        """Return whether the round has as many bytes, read, written and emitted, as a round may have."""
        size = self._read_bytes + pending.emitted_bytes + pending.encoded_bytes
        return size >= self._config.round_bytes_max

    async def _decide_batch(self, topic: str, batches: deque[Batch], room: int, pending: PendingChanges) -> int:
        """Decide at most `room` records of the input's first batch, fewer if they fill the round.

        Returns:
            The number of records decided. The rest of the batch waits for the next round.
        """
        batch = batches[0]
        age_s = max(0, self._config.broker_ms() - batch.records[0].timestamp) / 1000
        count = 0
        for record in batch.records[:room]:
            if not await self._decide_one(topic, record, pending):
                break
            count += 1
            self._read_bytes += len(record.value or b"")
            if self._is_full(pending):
                break
            if count % RECORDS_AT_ONCE == 0:
                await asyncio.sleep(0)
        if count:
            self._offsets.decided(topic, self._take(batches, count))
            self._config.on_batch(topic, self.number, age_s)
        return count

    @staticmethod
    def _take(batches: deque[Batch], count: int) -> Batch:
        """Remove the first `count` records from the input's first batch, and return them as a batch."""
        batch = batches[0]
        if len(batch.records) > count:
            return batch.split(count)
        batch.is_closed = True
        return batches.popleft()

    def _check_begins(self) -> None:
        """Check that no record is missing before any batch that is next."""
        for topic, batch in ((topic, batches[0]) for topic, batches in self._inbox.items() if batches):
            if not self._offsets.is_next(topic, batch):
                expected = self._offsets.next[topic]
                raise ContiguityError(f"{topic}/{self.number}: batch begins at {batch.begin}, expected {expected}")

    def _markers_are_due(self) -> bool:
        """Step over markers once in a while. Return whether a row should say so by itself."""
        is_due = self._environment.steady_s() - self._row_written_s >= MARKERS_INTERVAL_S
        return is_due and self._offsets.pass_markers(self._quiet_inputs())

    def _quiet_inputs(self) -> list[str]:
        return [topic for topic, batches in self._inbox.items() if not batches]

    async def _decide_one(self, topic: str, consumed: Any, pending: PendingChanges) -> bool:
        """Decide a record, drop it if it is a repetition, or dead-letter it if its handler raises.

        Returns:
            False if it was none of that: then its input is stopped.
        """
        hop = self._exchange.read_hop(topic, consumed)
        if hop is not None and self._exchange.is_repetition(topic, hop, consumed):
            return True
        record = Record(topic, self.number, consumed.offset, consumed.timestamp, consumed.key, consumed.value or b"")
        try:
            steps = self._handlers[topic](record, pending)
            if steps is not None:
                for _step in steps:
                    await asyncio.sleep(0)
            pending.release()
        except PartitionStoppedError:
            raise  # to set the record aside, or to go on without it, may lose money
        except Exception as error:
            pending.roll_back()
            log.exception("record-raised", topic=topic, partition=self.number, offset=record.offset)
            decision = None
            if not self._may_be_dead_lettered[topic](record):
                decision = self._stopped_inputs.dead_letter_or_stop(record, error)
                if decision is None:
                    return False
            dead_letter_record(self._config, record, error, pending, decision)
        if hop is not None:
            self._exchange.count(topic, hop)
        return True

    # -- committing

    async def _commit(self, pending: PendingChanges, output: RoundOutput) -> None:
        config = self._config
        changes = pending.changes()
        began_ms = self._environment.wall_ms()
        self._row_written_s = self._environment.steady_s()
        self._offsets.pass_markers(self._quiet_inputs())
        foreseen = self._offsets.note(changes, began_ms)
        ends = {(config.changelog(table), self.number): offset for table, offset in foreseen.items()}
        last_offsets = await self._producer.commit(changed_rows(config, self.number, changes) + output.records, ends)
        if not self._may_write:  # the client has swallowed the cancellation
            raise PartitionLostError(f"partition {self.number} was closed while it committed")
        # The transaction is committed: from here the round is a fact, and RocksDB only follows.
        for table, changed in changes.items():
            self._stores[table].apply(self._tables[table], self.number, changed, foreseen[table])
        self._offsets.committed(foreseen)
        self._exchange.pass_on(output.messages, last_offsets)
        self._checkpoint(began_ms)

    def _checkpoint(self, caught_up_ms: int) -> None:
        """Write a checkpoint to each local copy once an hour. All of them are caught up: nobody else can commit."""
        if abs(caught_up_ms - self._checkpoint_ms) < CHECKPOINT_INTERVAL_MS:
            return
        self._checkpoint_ms = caught_up_ms
        for store in self._stores.values():
            store.write_checkpoint(self.number, caught_up_ms)
