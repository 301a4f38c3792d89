"""The engine as a Faust app: its transport, its agents, its tables, and the partitions at work.

After an assignment by the group, these steps follow in this order: fence the earlier owners (`open_partitions`),
recover the tables (recovery.py), go to the decided offsets (`BatchConsumer.seek_inputs`), work (`start_partitions`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import faust
import structlog
from faust.app.base import BootStrategy
from faust.transport.consumer import TransactionManager
from faust.transport.drivers.aiokafka import Transport
from faust.types import TP

from clearinghub.engine.batch import Batch, BatchSchema
from clearinghub.engine.config import EngineConfig
from clearinghub.engine.consumer import BatchConsumer
from clearinghub.engine.errors import (
    FAUST_LOGGER,
    PartitionLostError,
    PartitionStoppedError,
    StoppedInput,
    StoredFormatError,
)
from clearinghub.engine.partition import Partition
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets, PunctuatorView, read_decided_offsets
from clearinghub.engine.recovery import LedgerTableManager
from clearinghub.engine.store import LedgerStore, LedgerTable
from clearinghub.engine.transaction import PartitionProducer

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")

CLOSE_TIMEOUT_S: Final = 3.0
# A partition that was fenced waits so many session timeouts for the rebalance that must follow.
LOST_SESSIONS_MAX: Final = 2


class StoppedPartition(NamedTuple):
    """Why a partition of this worker does not work, and since when, in milliseconds since 1970."""

    code: str
    sentence: str
    remedy: str
    since_ms: int


class InputLogs:
    """The logs of the inputs, as this worker's consumer knows them; implements `Logs` of holdback.py."""

    def __init__(self, config: EngineConfig, consumer: BatchConsumer) -> None:
        self._prefix = config.topic_prefix
        self._consumer = consumer

    async def ends(self, number: int, topics: tuple[str, ...]) -> dict[str, int]:
        """Return where the logs of partition `number` end now, by topic."""
        places = {topic: TP(self._prefix + topic, number) for topic in topics}
        ends = await self._consumer.highwaters(*places.values())
        return {topic: ends[place] for topic, place in places.items()}

    def is_read(self, number: int, topic: str, decided: int, offset: int) -> bool:
        """Return whether there are only markers between `decided` and `offset`."""
        return self._consumer.is_read(TP(self._prefix + topic, number), decided, offset)


class PartitionTransactions(TransactionManager):  # type: ignore[misc]
    """Takes the place of Faust's manager, whose transactions belong to output partitions; ours belong to inputs'."""

    logger = FAUST_LOGGER

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Close all partitions; a round under way may end."""
        del revoked
        await self.app.close_partitions()

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP]) -> None:
        """Fence the earlier owners before recovery reads: what they have not committed by now, they never will."""
        del assigned, revoked, newly_assigned
        await self.app.open_partitions()

    async def create_topic(self, *_args: Any, **_kwargs: Any) -> None:
        """Topics are created from topics.yaml before anything starts."""


class BatchTransport(Transport):  # type: ignore[misc]
    """Faust's Kafka transport, with our consumer and our transactions."""

    Consumer = BatchConsumer
    TransactionManager = PartitionTransactions


class _Boot(BootStrategy):  # type: ignore[misc]
    """Starts neither Faust's web server nor Faust's producer: each partition has its own."""

    enable_kafka_producer = False
    enable_web = False


class EngineApp(faust.App):  # type: ignore[misc]
    """A Faust worker whose agents hand batches to partitions (design 4).

    When the engine cannot continue, `failed` is set and `failure` says why; the process is then to stop.
    """

    BootStrategy = _Boot
    logger = FAUST_LOGGER

    def __init__(self, config: EngineConfig) -> None:
        transactional = bool(config.tables)
        config.data_dir.mkdir(parents=True, exist_ok=True)
        super().__init__(
            config.application_id,
            broker=f"kafka://{config.bootstrap}".replace(",", ";"),
            store="rocksdb://",
            datadir=str(config.data_dir),
            processing_guarantee="exactly_once" if transactional else "at_least_once",
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=config.partitions,
            table_standby_replicas=config.standby_replicas,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            broker_session_timeout=config.session_timeout_ms / 1000,
            broker_request_timeout=90.0,
            canonical_url=config.worker_url,
            web_enabled=False,
            Table=LedgerTable,
            TableManager=LedgerTableManager,
            autodiscover=False,
        )
        self.engine_config = config
        self.in_worker = True
        self.transport = BatchTransport(self.conf.broker_consumer, self)
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.on_ready: list[Callable[[], None]] = []
        self._partitions: dict[int, Partition] = {}
        self._producers: dict[int, PartitionProducer] = {}
        self._stopped_partitions: dict[int, StoppedPartition] = {}
        self._closing_stopped: set[asyncio.Task[None]] = set()
        self._ledger_tables: dict[str, LedgerTable] = {
            spec.name: self._declare_table(spec.name) for spec in config.all_tables
        }
        for one in config.inputs:
            self._declare_agent(one.topic)

    def _declare_table(self, name: str) -> LedgerTable:
        config = self.engine_config
        changelog = self.topic(config.changelog(name), partitions=config.partitions, compacting=True, internal=True)
        table: LedgerTable = self.Table(
            name, key_type=bytes, value_type=bytes, partitions=config.partitions, changelog_topic=changelog
        )
        return table

    def _declare_agent(self, name: str) -> None:
        topic = self.topic(self.engine_config.topic_prefix + name, schema=BatchSchema())

        async def take(stream: Any) -> None:
            """Hand each batch to its partition, whose next round decides the records."""
            async for batch in stream.noack():
                try:
                    await self.on_batch(name, batch)
                except Exception as error:
                    # Faust would start the agent anew after this batch: the rest of the batch would be skipped.
                    self._fail(error)
                    raise

        self.agent(topic, name=name)(take)

    async def on_batch(self, name: str, batch: Batch) -> None:
        """Put a batch of topic `name` into its partition's inbox. An app without tables overrides this."""
        partition = self._partitions.get(batch.partition)
        if partition is not None:
            partition.accept(name, batch)

    # -- partitions

    def assigned_partitions(self) -> set[int]:
        """Return the numbers of the partitions that the group has assigned to this worker."""
        inputs = {self.engine_config.topic_prefix + one.topic for one in self.engine_config.inputs}
        return {tp.partition for tp in self.consumer.assignment() if tp.topic in inputs}

    async def open_partitions(self) -> None:
        """Start the producers of all assigned partitions, which fences the partitions' earlier owners."""
        await self.close_partitions()
        producers = {number: PartitionProducer(self.engine_config, number) for number in self.assigned_partitions()}
        await asyncio.gather(*(producer.start() for producer in producers.values()))
        self._producers = producers

    def start_partitions(self) -> None:
        """Let the assigned partitions work: they are fenced, recovered, and at their decided offsets."""
        stores = {name: table.data for name, table in self._ledger_tables.items()}
        epoch, logs = self.consumer.epoch, InputLogs(self.engine_config, self.consumer)
        for number, producer in self._producers.items():
            next_offsets = self._next_offsets(number)
            partition = Partition(
                self.engine_config, number, epoch, producer, stores, next_offsets, self._on_partition_failure, logs
            )
            self._partitions[number] = partition
            partition.start()
        self._producers = {}
        log.info("partitions-ready", partitions=sorted(self._partitions))
        for callback in self.on_ready:
            callback()

    def decided_offsets(self) -> dict[TP, int] | None:
        """Return how far each assigned input is decided, from the recovered tables; None for an app without tables.

        Raises:
            StoredFormatError: the tables hold rows of another format.
        """
        if not self._ledger_tables:
            return None
        offsets: dict[TP, int] = {}
        for number in self.assigned_partitions():
            decided = self._decided_in(number)
            for topic, offset in ({} if decided is None else decided.next_offsets).items():
                offsets[TP(self.engine_config.topic_prefix + topic, number)] = offset
        return offsets

    def _decided_in(self, number: int) -> DecidedOffsets | None:
        data = self._ledger_tables[OFFSETS.name].data.row(number, INPUTS.encode())
        if data is not None:
            return read_decided_offsets(number, data)
        for name, table in self._ledger_tables.items():
            if table.offset(TP(self.engine_config.changelog(name), number)) >= 0:
                raise StoredFormatError(f"partition {number}: table {name} has rows, and table {OFFSETS.name} has none")
        return None

    def _next_offsets(self, number: int) -> dict[str, int]:
        """Return where each input of a partition continues, by topic: its first batch must begin there."""
        names = {self.engine_config.topic_prefix + one.topic: one.topic for one in self.engine_config.inputs}
        return {
            names[tp.topic]: offset
            for tp, offset in self.consumer.seek_offsets.items()
            if tp.partition == number and tp.topic in names
        }

    async def close_partitions(self) -> None:
        """Close all partitions and producers; rounds under way may end within CLOSE_TIMEOUT_S."""
        partitions, self._partitions = self._partitions, {}
        producers, self._producers = self._producers, {}
        self._stopped_partitions = {}
        await asyncio.gather(
            *(partition.close(CLOSE_TIMEOUT_S) for partition in partitions.values()),
            *(producer.stop() for producer in producers.values()),
        )

    def _on_partition_failure(self, number: int, error: BaseException) -> None:
        if isinstance(error, PartitionLostError):
            # A new owner has fenced us, and a rebalance will follow. Until then the partition does nothing.
            log.warning("partition-lost", partition=number, reason=str(error))
            patience_s = LOST_SESSIONS_MAX * self.engine_config.session_timeout_ms / 1000
            self.loop.call_later(patience_s, self._fail_if_still_lost, self._partitions.get(number), error)
            return
        if isinstance(error, PartitionStoppedError):
            self._stop_partition(number, error)
            return
        log.error("partition-failed", partition=number, error=repr(error), exc_info=error)
        self._fail(error)

    def _stop_partition(self, number: int, error: PartitionStoppedError) -> None:
        """Let one partition rest until its next assignment, which finds the same reason again. The others go on."""
        since_ms = self.engine_config.environment.wall_ms()
        self._stopped_partitions[number] = StoppedPartition(error.code, error.sentence, error.remedy, since_ms)
        log.error("partition-stopped", partition=number, code=error.code, reason=error.sentence, remedy=error.remedy)
        partition = self._partitions.pop(number, None)
        if partition is not None:
            closing = asyncio.get_running_loop().create_task(partition.close(CLOSE_TIMEOUT_S))
            self._closing_stopped.add(closing)
            closing.add_done_callback(self._closing_stopped.discard)

    def _fail_if_still_lost(self, partition: Partition | None, error: BaseException) -> None:
        """Fail if no rebalance came: the partition is still ours, and yet another process writes in its name."""
        if partition is not None and self._partitions.get(partition.number) is partition:
            log.error("partition-lost-but-assigned", partition=partition.number)
            self._fail(error)

    def _crash(self, reason: BaseException) -> None:
        """Fail because a service of Faust has crashed, e.g. the fetcher or an agent. Faust calls this."""
        super()._crash(reason)
        log.error("service-crashed", error=repr(reason), exc_info=reason)
        self._fail(reason)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self.failed.set()

    # -- queries

    @property
    def ready_partitions(self) -> set[int]:
        """The numbers of the partitions that work and answer queries now."""
        return set(self._partitions)

    @property
    def stopped_partitions(self) -> dict[int, StoppedPartition]:
        """The partitions of this worker that do not work, each with the reason. They are not ready, and not lost."""
        return dict(self._stopped_partitions)

    @property
    def stopped_inputs(self) -> dict[tuple[str, int], StoppedInput]:
        """The inputs that have stopped before a vital record, by topic and partition; the partition works (ADR 25)."""
        return {
            (topic, number): stopped
            for number, partition in self._partitions.items()
            for topic, stopped in partition.stopped_inputs.items()
        }

    def waiting_since_ms(self) -> dict[int, int]:
        """Return, by partition, when its oldest waiting record was written, milliseconds since 1970.

        A partition where nothing waits is left out. A stopped one waits since it stopped, so that the ingress takes no
        new work for it.
        """
        since = {number: partition.waiting_since_ms for number, partition in self._partitions.items()}
        since |= {number: stopped.since_ms for number, stopped in self._stopped_partitions.items()}
        return {number: since_ms for number, since_ms in since.items() if since_ms is not None}

    @property
    def is_ready(self) -> bool:
        """True when no rebalance is under way and every assigned partition is at work."""
        return not self.rebalancing and self.tables.actives_ready and not self._producers

    async def read(self, number: int, query: Callable[[PunctuatorView], Answer]) -> Answer:
        """Return a query's answer from the committed state of a partition.

        Raises:
            PartitionLostError: this worker does not own the partition, or is giving it up.
        """
        partition = self._partitions.get(number)
        if partition is None:
            raise PartitionLostError(f"partition {number} is not here")
        return await partition.read(query)

    async def on_stop(self) -> None:
        """Close the partitions, then stop Faust's services."""
        await self.close_partitions()
        await super().on_stop()

    def store(self, table: str) -> LedgerStore:
        """Return a table's local copy, for queries in `read`."""
        store: LedgerStore = self._ledger_tables[table].data
        return store
