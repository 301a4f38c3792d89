"""The engine as a Faust app: its transport, its agents, its tables, and the partitions at work.

After an assignment by the group each partition is kept by its own task (keeper.py), with these steps in this order:
fence the earlier owners, recover the tables, compare them with the broker (opening.py), go to the decided offsets
(`BatchConsumer.resume_at`), work (partition.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import faust
import structlog
from faust.app.base import BootStrategy
from faust.transport.consumer import TransactionManager
from faust.transport.drivers.aiokafka import Transport
from faust.types import TP

from clearinghub.engine.batch import Batch, BatchSchema
from clearinghub.engine.config import EngineConfig
from clearinghub.engine.consumer import BatchConsumer
from clearinghub.engine.errors import FAUST_LOGGER, PartitionLostError, StoppedInput, StoredFormatError
from clearinghub.engine.keeper import PartitionKeeper
from clearinghub.engine.record import PunctuatorView
from clearinghub.engine.recovery import LedgerTableManager
from clearinghub.engine.relay import Relay
from clearinghub.engine.status import PartitionStatus, StoppedPartition
from clearinghub.engine.store import LedgerStore, LedgerTable

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")


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
        """Close all partitions: those that are assigned open again when Faust lets them recover."""
        del assigned, revoked, newly_assigned
        await self.app.close_partitions()

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
        self.relay = Relay(config)
        self.in_worker = True
        self.transport = BatchTransport(self.conf.broker_consumer, self)
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.on_ready: list[Callable[[], None]] = []
        self._keepers: dict[int, PartitionKeeper] = {}
        self._closing = asyncio.Lock()
        self._opened_s = 0.0
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
        keeper = self._keepers.get(batch.partition)
        if keeper is not None and keeper.partition is not None:
            keeper.partition.accept(name, batch)

    # -- partitions

    def assigned_partitions(self) -> set[int]:
        """Return the numbers of the partitions that the group has assigned to this worker."""
        inputs = {self.engine_config.topic_prefix + one.topic for one in self.engine_config.inputs}
        return {tp.partition for tp in self.consumer.assignment() if tp.topic in inputs}

    def start_partitions(self) -> None:
        """Let each assigned partition open and work, in its own time."""
        self._opened_s = self.engine_config.environment.steady_s()
        numbers = sorted(self.assigned_partitions()) if self.has_tables else []
        self._keepers = {
            number: PartitionKeeper(
                self.engine_config,
                number,
                self._ledger_tables,
                self.consumer,
                InputLogs(self.engine_config, self.consumer),
                self.relay,
                self._on_settled,
                self._on_hopeless_partition,
            )
            for number in numbers
        }
        for keeper in self._keepers.values():
            keeper.start()
        if not numbers:
            self._on_settled()

    def _on_settled(self) -> None:
        """Say so when the last assigned partition works, or is stopped, for the first time."""
        if not all(keeper.is_settled for keeper in self._keepers.values()):
            return
        log.info(
            "partitions-ready",
            partitions=sorted(self.ready_partitions),
            stopped=sorted(self.stopped_partitions),
            rows=sum(keeper.rows_read for keeper in self._keepers.values()),
            seconds=round(self.engine_config.environment.steady_s() - self._opened_s, 3),
        )
        for callback in self.on_ready:
            callback()

    async def close_partitions(self) -> None:
        """Close all partitions; rounds under way may end within a few seconds.

        Whoever calls meanwhile waits too: a partition that is still closing writes to the local copies.
        """
        async with self._closing:
            await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))
            self._keepers = {}

    def fail_partition(self, number: int, error: BaseException) -> None:
        """Let a partition open again, alone, because its inputs cannot be read on."""
        keeper = self._keepers.get(number)
        if keeper is not None:
            keeper.fail(error)

    def _on_hopeless_partition(self, keeper: PartitionKeeper, error: BaseException) -> None:
        """Fail if nothing works here: a new process has new clients. Otherwise the others go on."""
        if isinstance(error, StoredFormatError) or not self.ready_partitions:
            log.error("partition-failed", partition=keeper.number, error=repr(error), exc_info=error)
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
    def has_tables(self) -> bool:
        """Whether the app has tables, and so rounds and partitions that open."""
        return bool(self._ledger_tables)

    @property
    def ready_partitions(self) -> set[int]:
        """The numbers of the partitions that work and answer queries now."""
        return {number for number, keeper in self._keepers.items() if keeper.partition is not None}

    def round_running_s(self) -> dict[int, float]:
        """Return, by partition at work, for how long its round has been running; 0 between rounds."""
        partitions = {number: keeper.partition for number, keeper in self._keepers.items()}
        return {number: one.round_running_s for number, one in partitions.items() if one is not None}

    @property
    def stopped_partitions(self) -> dict[int, StoppedPartition]:
        """The partitions of this worker that wait for an operator's decision, each with the reason."""
        return {number: keeper.stopped for number, keeper in self._keepers.items() if keeper.stopped is not None}

    def statuses(self) -> list[PartitionStatus]:
        """Return how each assigned partition is, in the order of their numbers."""
        return [self._keepers[number].status for number in sorted(self._keepers)]

    @property
    def stopped_inputs(self) -> dict[tuple[str, int], StoppedInput]:
        """The inputs that have stopped before a vital record, by topic and partition; the partition works (ADR 25)."""
        return {
            (topic, number): stopped
            for number, keeper in self._keepers.items()
            if keeper.partition is not None
            for topic, stopped in keeper.partition.stopped_inputs.items()
        }

    def waiting_since_ms(self) -> dict[int, int]:
        """Return, by partition, when its oldest waiting record was written, milliseconds since 1970.

        A partition where nothing waits is left out. A stopped one waits since it stopped, so that the ingress takes no
        new work for it.
        """
        since = {
            number: keeper.partition.waiting_since_ms
            for number, keeper in self._keepers.items()
            if keeper.partition is not None
        }
        since |= {number: stopped.since_ms for number, stopped in self.stopped_partitions.items()}
        return {number: since_ms for number, since_ms in since.items() if since_ms is not None}

    @property
    def is_ready(self) -> bool:
        """True when no rebalance is under way and every assigned partition has been opened, or is stopped."""
        settled = all(keeper.is_settled for keeper in self._keepers.values())
        return not self.rebalancing and self.tables.actives_ready and settled

    async def read(self, number: int, query: Callable[[PunctuatorView], Answer]) -> Answer:
        """Return a query's answer from the committed state of a partition.

        Raises:
            PartitionLostError: this worker does not own the partition, is giving it up, or cannot know whether it still
                owns it: the group has not confirmed it for a session.
        """
        keeper = self._keepers.get(number)
        partition = None if keeper is None else keeper.partition
        if partition is None:
            raise PartitionLostError(f"partition {number} is not here")
        answer = await partition.read(query)
        silent_s = self.engine_config.environment.steady_s() - self.consumer.heard_s
        if silent_s >= self.engine_config.session_timeout_ms / 1000:
            raise PartitionLostError(f"the group has not confirmed this worker for {silent_s:.1f} s")
        return answer

    async def on_stop(self) -> None:
        """Close the partitions, then stop Faust's services."""
        await self.close_partitions()
        await self.relay.stop()
        await super().on_stop()

    def store(self, table: str) -> LedgerStore:
        """Return a table's local copy, for queries in `read`."""
        store: LedgerStore = self._ledger_tables[table].data
        return store
