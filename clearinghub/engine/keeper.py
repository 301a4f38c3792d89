"""One assigned partition from its assignment to its revocation: it is opened, works, and is opened again when it fails.

Each partition does so by itself, in a task of its own, so that one that cannot be opened, or whose commit's outcome is
unknown, holds up no other (ADR 28). Only a partition that must not go on stays closed, until an operator decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import structlog

from clearinghub.engine.config import EngineConfig
from clearinghub.engine.errors import PartitionLostError, PartitionStoppedError, StoredFormatError
from clearinghub.engine.exchange import Outlets
from clearinghub.engine.holdback import Logs
from clearinghub.engine.offsets import PartitionOffsets
from clearinghub.engine.opening import PartitionOpening
from clearinghub.engine.partition import Partition
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.pending_changes import PendingChanges
from clearinghub.engine.relay import Relay
from clearinghub.engine.status import PartitionState, PartitionStatus, StoppedPartition
from clearinghub.engine.store import LedgerTable
from clearinghub.engine.transaction import NO_HEADERS, PartitionProducer

log = structlog.get_logger(__name__)

CLOSE_TIMEOUT_S: Final = 3.0
CANCEL_AGAIN_S: Final = 0.5
# The pause before a partition is opened again doubles with each failure in a row.
REOPEN_FIRST_S: Final = 0.25
REOPEN_LONGEST_S: Final = 30.0
WORKED_LONG_S: Final = 60.0  # after so long at work a failure is a new one, and the first
# After so many failures in a row the process ends, if none of its partitions works: a new one has new clients.
FAILURES_MAX: Final = 8
GROUP_POLL_S: Final = 0.2
DECISION_POLL_S: Final = 2.0
ANNOUNCE_TIMEOUT_S: Final = 20.0


class Inputs(Protocol):
    """What a partition needs of the consumer: `void` and `suspend` stop its inputs, `resume_at` starts them."""

    @property
    def heard_s(self) -> float:
        """When the group's coordinator last confirmed that this worker is a member, on the steady clock."""

    def void(self, number: int) -> None: ...

    async def suspend(self, number: int) -> None: ...

    def resume_at(self, number: int, next_offsets: Mapping[str, int]) -> int: ...

    def step_over_markers(self, topic: str, number: int, offset: int) -> int: ...


class PartitionKeeper:
    """Keeps one assigned partition open; not used again after `close`."""

    def __init__(
        self,
        config: EngineConfig,
        number: int,
        tables: Mapping[str, LedgerTable],
        inputs: Inputs,
        logs: Logs,
        relay: Relay,
        on_settled: Callable[[], None],
        on_hopeless: Callable[[PartitionKeeper, BaseException], None],
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            config: of the engine.
            number: the partition's.
            tables: the local copies, by name.
            inputs: where the partition's records come from.
            logs: what is known of where the inputs end.
            relay: passes messages on to other partitions.
            on_settled: is called once, when the partition works or stops for the first time.
            on_hopeless: is called when opening it again does not help.
        """
        self.number = number
        self.partition: Partition | None = None
        self.stopped: StoppedPartition | None = None
        self.is_settled = False
        self.rows_read = 0
        self._config = config
        self._environment = config.environment
        self._tables = tables
        self._inputs = inputs
        self._logs = logs
        self._relay = relay
        self._on_settled = on_settled
        self._on_hopeless = on_hopeless
        self._is_lost = False
        self._since_ms = config.broker_ms()  # when it became what `status` says
        self._last_failure = ""
        self._reopenings = 0
        self._failures = 0  # in a row
        self._made: Partition | None = None  # the last one, which may be closing
        self._failed: asyncio.Future[BaseException] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to open the partition."""
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"keeper-{self.number}")

    async def close(self) -> None:
        """End; a round under way may end within CLOSE_TIMEOUT_S."""
        self.partition = None
        await self._close_made()
        while self._task is not None and not self._task.done():
            self._task.cancel()  # again and again: a client of Kafka that is being stopped can swallow it
            await asyncio.wait({self._task}, timeout=CANCEL_AGAIN_S)
        await self._close_made()  # the task may have made another one meanwhile, or not have closed it to the end

    async def _close_made(self) -> None:
        if self._made is not None:
            await self._made.close(CLOSE_TIMEOUT_S)

    def fail(self, error: BaseException) -> None:
        """Close the partition because of an error, and open it again, unless the error says that it must stop."""
        self._inputs.void(self.number)
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(error)

    @property
    def status(self) -> PartitionStatus:
        """What the partition does now, and why."""
        if self.stopped is not None:
            state = PartitionState.STOPPED
        elif self._is_lost:
            state = PartitionState.LOST
        else:
            state = PartitionState.RECOVERING if self.partition is None else PartitionState.READY
        partition = self.partition
        return PartitionStatus(
            self.number,
            state,
            self._since_ms,
            None if partition is None else partition.waiting_since_ms,
            self._last_failure,
            self._reopenings,
            self.stopped,
            () if partition is None else tuple(partition.stopped_inputs.values()),
        )

    # -- the life of the partition

    async def _keep(self) -> None:
        while True:
            try:
                error = await self._open_and_work()
            except asyncio.CancelledError:
                raise
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it concerns this partition alone
                error = raised
            await self._inputs.suspend(self.number)
            if isinstance(error, PartitionStoppedError):
                await self._stop(error)
            elif isinstance(error, StoredFormatError):
                self._on_hopeless(self, error)
                return
            else:
                await self._pause_after(error)

    async def _open_and_work(self) -> BaseException:
        """Open the partition, let it work, and return why it ended."""
        await self._until_heard_after(self._environment.steady_s() - self._session_s)
        self._failed = asyncio.get_running_loop().create_future()
        opened = await PartitionOpening(self._config, self.number, self._tables).open()
        self.rows_read = opened.rows
        epoch = self._inputs.resume_at(self.number, opened.place.next_offsets)
        stores = {name: table.data for name, table in self._tables.items()}
        partition = self.partition = self._made = Partition(
            self._config,
            self.number,
            epoch,
            Outlets(opened.producer, self._relay),
            stores,
            PartitionOffsets(self.number, opened.place, self._inputs.step_over_markers),
            self.fail,
            self._logs,
        )
        partition.start()
        ready_s = self._environment.steady_s()
        self.stopped, self._is_lost = None, False
        self._since_ms = self._config.broker_ms()
        self._settle()
        try:
            error = await self._failed
        finally:
            self.partition = None
            await partition.close(CLOSE_TIMEOUT_S)
        if self._environment.steady_s() - ready_s > WORKED_LONG_S:
            self._failures = 0
        return error

    def _settle(self) -> None:
        if not self.is_settled:
            self.is_settled = True
            self._on_settled()

    async def _pause_after(self, error: BaseException) -> None:
        """Note a failure, and wait before the partition is opened again."""
        failed_s = self._environment.steady_s()
        self._failures += 1
        self._reopenings += 1
        self._since_ms = self._config.broker_ms()
        self._last_failure = repr(error)[:500]
        self._is_lost = isinstance(error, PartitionLostError)
        pause_s = min(REOPEN_LONGEST_S, REOPEN_FIRST_S * 2 ** (self._failures - 1))
        level = log.warning if self._is_lost else log.error
        level(
            "partition-opens-again",
            partition=self.number,
            error=self._last_failure,
            failures=self._failures,
            after_s=pause_s,
            exc_info=None if self._is_lost else error,
        )
        self._config.on_partition_failure(self.number, error)
        if self._failures >= FAILURES_MAX:
            self._on_hopeless(self, error)
        await asyncio.sleep(pause_s)
        # Another worker may own it by now. Only a member of the group may fence: it must have been heard since.
        await self._until_heard_after(failed_s)

    @property
    def _session_s(self) -> float:
        return self._config.session_timeout_ms / 1000

    async def _until_heard_after(self, since_s: float) -> None:
        """Wait until the group's coordinator has confirmed this worker after a moment: until then, it owns nothing."""
        while self._inputs.heard_s <= since_s:  # noqa: ASYNC110 - the client has no event for it
            await asyncio.sleep(GROUP_POLL_S)

    # -- stopping

    async def _stop(self, error: PartitionStoppedError) -> None:
        """Stay closed until an operator has decided about this very stop."""
        self._since_ms = since_ms = self._config.broker_ms()
        self.stopped = StoppedPartition(error.code, error.sentence, error.remedy, since_ms, error.stop_id)
        log.error(
            "partition-stopped",
            partition=self.number,
            code=error.code,
            reason=error.sentence,
            remedy=error.remedy,
            stop=error.stop_id,
        )
        self._settle()
        await self._announce(self.stopped)
        await asyncio.sleep(DECISION_POLL_S)
        while not self._config.is_accepted(self.number, error):  # noqa: ASYNC110 - the decision is on a topic
            await asyncio.sleep(DECISION_POLL_S)
        self.stopped = None

    async def _announce(self, stopped: StoppedPartition) -> None:
        """Let the other processes know, in a transaction of the partition: only its owner may say so."""
        if self._config.on_stopped is None:
            return
        stores: dict[str, Any] = {name: table.data for name, table in self._tables.items()}
        partitioner = Partitioner(self._config.output_partitions)
        view = PendingChanges(self.number, self._config.partitions, stores, partitioner, inputs=())
        self._config.on_stopped(view, stopped)
        prefix = self._config.topic_prefix
        producer = PartitionProducer(self._config, self.number)
        try:
            async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
                await producer.start()
                await producer.commit(
                    [(prefix + one.topic, one.partition, one.key, one.value, NO_HEADERS) for one in view.emissions]
                )
        except Exception as error:  # noqa: BLE001 - the log and the metrics say it too
            log.warning("partition-stop-not-announced", partition=self.number, error=repr(error))
        finally:
            await producer.stop()
