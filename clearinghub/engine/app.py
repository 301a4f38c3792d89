"""The engine as a Faust app: its transport, its agents, its tables, and the partitions at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import faust
import structlog
from faust.app.base import BootStrategy
from faust.transport.consumer import TransactionManager
from faust.transport.drivers.aiokafka import Transport
from faust.types import TP

from clearinghub.engine.batch import Batch, BatchSchema
from clearinghub.engine.consumer import BatchConsumer
from clearinghub.engine.errors import FAUST_LOGGER, PartitionLostError
from clearinghub.engine.partition import Partition
from clearinghub.engine.record import INPUTS, OFFSETS
from clearinghub.engine.recovery import LedgerTableManager
from clearinghub.engine.store import LedgerStore, LedgerTable
from clearinghub.engine.transaction import PartitionProducer

if TYPE_CHECKING:
    from clearinghub.engine.config import EngineConfig
    from clearinghub.engine.record import PunctuatorView

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")

CLOSE_TIMEOUT_S: Final = 3.0
LOST_SESSIONS_MAX: Final = 2  # how many session timeouts to wait for the group's word on a partition that was fenced


class PartitionTransactions(TransactionManager):  # type: ignore[misc]
    """Where Faust would manage transactions by the output's partition: here they belong to the input's partition."""

    logger = FAUST_LOGGER

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the rounds under way end, and stop."""
        del revoked
        await self.app.close_partitions()

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP]) -> None:
        """Fence the owners before, ahead of recovery: what they have not committed by now never will be."""
        del assigned, revoked, newly_assigned
        await self.app.open_partitions()

    async def create_topic(self, *_args: Any, **_kwargs: Any) -> None:
        """Topics are created from topics.yaml before anything starts."""


class BatchTransport(Transport):  # type: ignore[misc]
    """Faust's Kafka transport with batches and the partitions' transactions."""

    Consumer = BatchConsumer
    TransactionManager = PartitionTransactions


class _Boot(BootStrategy):  # type: ignore[misc]
    """No web server and no producer of Faust's own: partitions have theirs."""

    enable_kafka_producer = False
    enable_web = False


class EngineApp(faust.App):  # type: ignore[misc]
    """A Faust worker whose agents hand batches to partitions; see design 4 in ARCHITECTURE.md."""

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
        self._ledger_tables = {
            spec.name: self.Table(
                spec.name,
                key_type=bytes,
                value_type=bytes,
                partitions=config.partitions,
                changelog_topic=self.topic(
                    config.changelog(spec.name), partitions=config.partitions, compacting=True, internal=True
                ),
            )
            for spec in config.all_tables
        }
        for one in config.inputs:
            self._declare_agent(one.topic)

    def _declare_agent(self, name: str) -> None:
        topic = self.topic(self.engine_config.topic_prefix + name, schema=BatchSchema())

        async def take(stream: Any) -> None:
            """Hand each batch to its partition; the partition's round decides its records."""
            async for batch in stream.noack():
                try:
                    await self.on_batch(name, batch)
                except Exception as error:
                    # Faust would start the agent anew, behind this batch: what is left of it would be passed over.
                    self._fail(error)
                    raise

        self.agent(topic, name=name)(take)

    async def on_batch(self, name: str, batch: Batch) -> None:
        """An agent has got a batch: its partition's inbox takes it. An app without tables does as it likes."""
        partition = self._partitions.get(batch.partition)
        if partition is not None:
            partition.accept(name, batch)

    # -- partitions

    def assigned_partitions(self) -> set[int]:
        """The numbers of the partitions that the group has given to this worker."""
        inputs = {self.engine_config.topic_prefix + one.topic for one in self.engine_config.inputs}
        return {tp.partition for tp in self.consumer.assignment() if tp.topic in inputs}

    async def open_partitions(self) -> None:
        """Start the producers of all assigned partitions, which fences whoever had them."""
        await self.close_partitions()
        producers = {number: PartitionProducer(self.engine_config, number) for number in self.assigned_partitions()}
        await asyncio.gather(*(producer.start() for producer in producers.values()))
        self._producers = producers

    def start_partitions(self) -> None:
        """Let the assigned partitions work: fenced, recovered, and at their committed offsets."""
        stores = {name: table.data for name, table in self._ledger_tables.items()}
        epoch = self.consumer.epoch
        for number, producer in self._producers.items():
            next_offsets = self._next_offsets(number)
            partition = Partition(
                self.engine_config, number, epoch, producer, stores, next_offsets, self._on_partition_failure
            )
            self._partitions[number] = partition
            partition.start()
        self._producers = {}
        log.info("partitions-ready", partitions=sorted(self._partitions))
        for callback in self.on_ready:
            callback()

    def decided_offsets(self) -> dict[TP, int] | None:
        """How far each assigned input was decided, from the recovered tables; None for an app without tables."""
        if not self._ledger_tables:
            return None
        offsets: dict[TP, int] = {}
        for number in self.assigned_partitions():
            data = self._ledger_tables[OFFSETS.name].data.row(number, INPUTS.encode())
            for topic, offset in (OFFSETS.decode(data) if data is not None else {}).items():
                offsets[TP(self.engine_config.topic_prefix + topic, number)] = offset
        return offsets

    def _next_offsets(self, number: int) -> dict[str, int]:
        """Where each input of a partition begins: what the first batch is checked against."""
        names = {self.engine_config.topic_prefix + one.topic: one.topic for one in self.engine_config.inputs}
        return {
            names[tp.topic]: offset
            for tp, offset in self.consumer.seek_offsets.items()
            if tp.partition == number and tp.topic in names
        }

    async def close_partitions(self) -> None:
        """Let the rounds under way end and give everything back."""
        partitions, self._partitions = self._partitions, {}
        producers, self._producers = self._producers, {}
        await asyncio.gather(
            *(partition.close(CLOSE_TIMEOUT_S) for partition in partitions.values()),
            *(producer.stop() for producer in producers.values()),
        )

    def _on_partition_failure(self, number: int, error: BaseException) -> None:
        if isinstance(error, PartitionLostError):
            # Fenced: a new owner is at work. The group will tell us so; until then this partition takes nothing.
            log.warning("partition-lost", partition=number, reason=str(error))
            patience_s = LOST_SESSIONS_MAX * self.engine_config.session_timeout_ms / 1000
            self.loop.call_later(patience_s, self._fail_if_still_lost, self._partitions.get(number), error)
            return
        log.error("partition-failed", partition=number, error=repr(error), exc_info=error)
        self._fail(error)

    def _fail_if_still_lost(self, partition: Partition | None, error: BaseException) -> None:
        """Nobody took the partition away from us, and yet somebody writes in its name: stop and begin anew."""
        if partition is not None and self._partitions.get(partition.number) is partition:
            log.error("partition-lost-but-assigned", partition=partition.number)
            self._fail(error)

    def _crash(self, reason: BaseException) -> None:
        """A service below has crashed (the fetcher, an agent): Faust tells each of its parents so."""
        super()._crash(reason)
        log.error("service-crashed", error=repr(reason), exc_info=reason)
        self._fail(reason)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self.failed.set()

    # -- queries

    @property
    def ready_partitions(self) -> set[int]:
        """The partitions that work and answer now."""
        return set(self._partitions)

    def waiting_since_ms(self) -> dict[int, int]:
        """By partition: when the oldest record that waits for its round was written, milliseconds since 1970."""
        since = {number: partition.waiting_since_ms for number, partition in self._partitions.items()}
        return {number: since_ms for number, since_ms in since.items() if since_ms is not None}

    @property
    def is_ready(self) -> bool:
        """True when the group has settled and every assigned partition is at work."""
        return not self.rebalancing and self.tables.actives_ready and not self._producers

    async def read(self, number: int, question: Callable[[PunctuatorView], Answer]) -> Answer:
        """Answer a query from a partition's committed state.

        Raises:
            PartitionLostError: this worker does not have the partition.
        """
        partition = self._partitions.get(number)
        if partition is None:
            raise PartitionLostError(f"partition {number} is not here")
        return await partition.read(question)

    async def on_stop(self) -> None:
        """Stop taking records, end the rounds, then stop the rest."""
        await self.close_partitions()
        await super().on_stop()

    def store(self, table: str) -> LedgerStore:
        """A table's local copy, for questions in `read`."""
        store: LedgerStore = self._ledger_tables[table].data
        return store
