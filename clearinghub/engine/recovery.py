"""Recovery: the local copies of tables catch up with their changelogs before the partitions work.

Faust says when this worker has new partitions, and for which changelogs it is a standby. Changelogs are read here, by
separate consumers, in large batches: one write to RocksDB for thousands of rows. This reader also knows exactly where a
changelog ends. Faust's own reader does not if the last offset is a transaction marker, as it always is here: it waits
for two cycles of five seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from aiokafka import TopicPartition
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from mode import Service

from clearinghub.engine.config import EngineConfig
from clearinghub.engine.errors import FAUST_LOGGER, StoredFormatError
from clearinghub.engine.loss import TRANSACTION_MARKERS
from clearinghub.engine.record import TOMBSTONES_KEPT_MS, TableSpec
from clearinghub.engine.store import LedgerTable, TableChanges

log = structlog.get_logger(__name__)

RECOVERY_RECORDS_MAX: Final = 10_000
RECOVERY_FETCH_TIMEOUT_MS: Final = 200
STANDBY_FETCH_TIMEOUT_MS: Final = 1_000
STANDBY_CHECKPOINT_INTERVAL_MS: Final = 10 * 60 * 1000
STANDBY_AGAIN_S: Final = 5.0
STALE_AFTER_MS: Final = TOMBSTONES_KEPT_MS // 2  # half, because reading takes time and clocks differ


class StandbyLagError(Exception):
    """A standby has not caught up for half a day: its changelog may have dropped tombstones that it has not read."""


class ChangelogReader:
    """Reads changelog partitions into the local copies of their tables.

    A copy is caught up when it has all rows before the end that its changelog had when the ends were last fetched.
    """

    def __init__(self, config: EngineConfig, tables: Mapping[TP, LedgerTable]) -> None:
        """`tables` maps each changelog partition to its table."""
        self._tables = tables
        self._wall_ms = config.environment.wall_ms
        self._specs: dict[str, TableSpec[Any]] = {table.name: table for table in config.all_tables}
        self._ends_fetched_ms = 0
        self._ends: dict[TopicPartition, int] = {}
        self._ahead: set[TP] = set()  # changelog partitions that have less than their copies
        self._lagging: set[TP] = set()  # changelog partitions whose copies are not caught up
        self._consumer = config.environment.make_consumer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}-recovery",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=8 * 1024 * 1024,
            fetch_max_wait_ms=100,
            check_crcs=True,
            **config.access,
        )

    @property
    def consumer(self) -> Any:
        """The client, which is free for other reads of committed records when the copies are caught up."""
        return self._consumer

    def ends(self) -> dict[str, int]:
        """Return, by table, where its changelog ended when the ends were last fetched; for one partition's reader."""
        return {table.name: self._ends[TopicPartition(*tp)] for tp, table in self._tables.items()}

    def lasts(self) -> dict[str, int]:
        """Return, by table, the offset of the last record in its copy, or -1; for one partition's reader."""
        return {table.name: table.offset(tp) for tp, table in self._tables.items()}

    async def connect(self) -> None:
        """Connect, and fetch where the changelogs end."""
        await self._consumer.start()
        self._consumer.assign([TopicPartition(*tp) for tp in self._tables])
        await self._fetch_ends()

    async def start(self) -> None:
        """Delete local copies that cannot be trusted, and go to where each copy's changelog continues.

        A copy that is ahead of its changelog is neither deleted nor read on: it may be the only good one.
        """
        beginnings = await self._consumer.beginning_offsets([TopicPartition(*tp) for tp in self._tables])
        for tp, table in self._tables.items():
            place = TopicPartition(*tp)
            local, end = table.offset(tp), self._ends[place]
            if local >= end:
                log.error("local-copy-ahead", changelog=tp.topic, partition=tp.partition, local=local, end=end)
                self._ahead.add(tp)
                self._lagging.discard(tp)
                self._consumer.seek(place, end)
                self._consumer.pause(place)
                continue
            if self._is_stale(tp, table):
                log.warning(
                    "local-copy-stale",
                    changelog=tp.topic,
                    partition=tp.partition,
                    local=local,
                    changelog_end=end,
                    remedy="rebuilt from the changelog",
                )
                table.data.wipe(tp.partition)
            self._consumer.seek(place, max(table.offset(tp) + 1, beginnings[place]))

    async def stop(self) -> None:
        await self._consumer.stop()

    async def catch_up(self) -> int:
        """Read until all copies are caught up with the ends fetched at the start.

        Returns:
            The number of rows read.

        Raises:
            StoredFormatError: a row cannot be decoded.
        """
        rows = 0
        await self._pause_caught_up()
        while self._lagging:
            rows += await self._read_once(RECOVERY_FETCH_TIMEOUT_MS)
            await self._pause_caught_up()
        return rows

    async def follow_once(self, timeout_ms: int) -> None:
        """Apply one fetch to a standby's copies, and write a checkpoint to those that are caught up.

        Raises:
            StandbyLagError: the copies can no longer be trusted. Make a new reader: its `start` deletes the stale ones.
            StoredFormatError: a row cannot be decoded.
        """
        waited_ms = self._wall_ms() - self._ends_fetched_ms
        if waited_ms > STALE_AFTER_MS:
            raise StandbyLagError(f"the changelogs' ends were fetched {waited_ms} ms ago")
        await self._read_once(timeout_ms)
        await self._write_checkpoints()
        if not self._lagging and waited_ms >= STANDBY_CHECKPOINT_INTERVAL_MS:
            if self._ahead:
                raise StandbyLagError(f"copies ahead of their changelogs: {sorted(self._ahead)}")
            await self._fetch_ends()

    async def _fetch_ends(self) -> None:
        fetched_ms = self._wall_ms()
        # The consumer is read_committed: these are the last stable offsets.
        self._ends = await self._consumer.end_offsets([TopicPartition(*tp) for tp in self._tables])
        self._ends_fetched_ms = fetched_ms
        self._lagging = set(self._tables)

    def _is_stale(self, tp: TP, table: LedgerTable) -> bool:
        """Return whether the changelog may have dropped a tombstone that the copy has not read.

        That is so if the copy never completed its first recovery, or if its checkpoint is too old. A copy at the end
        of its changelog is not stale, however old its checkpoint: a partition at rest writes none.
        """
        local = table.offset(tp)
        if local < 0:
            return False
        checkpoint_ms = table.data.checkpoint_ms(tp.partition)
        if checkpoint_ms is None:
            return True
        is_at_end = local + 1 + TRANSACTION_MARKERS >= self._ends[TopicPartition(*tp)]
        return self._ends_fetched_ms - checkpoint_ms > STALE_AFTER_MS and not is_at_end

    async def _write_checkpoints(self) -> None:
        """Write a checkpoint to each copy that has caught up since the ends were fetched."""
        for tp in tuple(self._lagging):
            place = TopicPartition(*tp)
            if await self._consumer.position(place) >= self._ends[place]:
                self._tables[tp].data.write_checkpoint(tp.partition, self._ends_fetched_ms)
                self._lagging.discard(tp)

    async def _pause_caught_up(self) -> None:
        lagging = set(self._lagging)
        await self._write_checkpoints()
        self._consumer.pause(*(TopicPartition(*tp) for tp in lagging - self._lagging))

    async def _read_once(self, timeout_ms: int) -> int:
        """Apply one fetch, and return its number of rows."""
        fetched = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=RECOVERY_RECORDS_MAX)
        rows = 0
        for place, records in fetched.items():
            self._apply(TP(place.topic, place.partition), records)
            rows += len(records)
            await asyncio.sleep(0)
        return rows

    def _apply(self, tp: TP, records: list[Any]) -> None:
        table = self._tables[tp]
        spec = self._specs[table.name]
        assert records[0].offset > table.offset(tp), f"{tp} is read from {records[0].offset} on a second time"
        latest: dict[bytes, bytes | None] = {record.key: record.value for record in records}
        changes = TableChanges({}, [])
        try:
            for key, value in latest.items():
                if value is None:
                    changes.rows[key] = None
                elif spec.index is None:
                    changes.rows[key] = value
                else:
                    changes.set(spec, key.decode(), spec.decode(value), value)
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoredFormatError(f"a row of {tp.topic}/{tp.partition} cannot be read: {error}") from error
        table.data.apply(spec, tp.partition, changes, records[-1].offset)


class LedgerRecovery(Recovery):  # type: ignore[misc]
    """Faust's recovery service: partitions open by themselves, and `ChangelogReader` feeds the standbys."""

    logger = FAUST_LOGGER
    _standby_task: asyncio.Task[None] | None = None

    @Service.task  # type: ignore[untyped-decorator]
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                return
            self.signal_recovery_start.clear()
            try:
                await self._recover(self._generation_id)
            except Exception as error:
                log.exception("recovery-failed")
                await self.app.crash(error)

    async def _recover(self, generation_id: int) -> None:
        """Let the assigned partitions open, each by itself, unless a newer assignment has come meanwhile."""
        self._set_recovery_started()
        await self._stop_standby()
        self._set_recovery_ended()
        if generation_id != self.app.consumer_generation_id or self.signal_recovery_start.is_set():
            log.info("recovery-superseded", generation=generation_id)
            return
        if not self.app.has_tables:
            await self.app.consumer.seek_committed()
            if generation_id != self.app.consumer_generation_id:
                return
        self.app.start_partitions()
        self._resume()
        self._start_standby()

    def _resume(self) -> None:
        """Tell Faust that recovery has ended, in the order in which its own recovery does."""
        app = self.app
        self.completed.set()
        app.flow_control.resume()
        app.consumer.resume_flow()
        self.add_future(app._fetcher.maybe_start())  # noqa: SLF001 - as Faust's own recovery does
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()

    def _start_standby(self) -> None:
        tables = {tp: self.tp_to_table[tp] for tp in self.standby_tps}
        if tables:
            self._standby_task = asyncio.create_task(self._follow(tables), name="standby")

    async def _follow(self, tables: Mapping[TP, LedgerTable]) -> None:
        """Keep a standby's copies up to date until cancelled; after any error, begin anew with another reader."""
        while True:
            reader = ChangelogReader(self.app.engine_config, tables)
            try:
                await reader.connect()
                await reader.start()
                while True:
                    await reader.follow_once(STANDBY_FETCH_TIMEOUT_MS)
            except StoredFormatError as error:
                await self.app.crash(error)
                return
            except Exception:  # whatever it is: nothing else would follow until the next rebalance
                log.exception("standby-begins-anew")
            finally:
                await reader.stop()
            await asyncio.sleep(STANDBY_AGAIN_S)

    async def _stop_standby(self) -> None:
        task, self._standby_task = self._standby_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def on_stop(self) -> None:
        await self._stop_standby()

    @Service.task  # type: ignore[untyped-decorator]
    async def _slurp_changelogs(self) -> None:
        """Replace Faust's reader of changelogs by nothing."""

    @Service.task  # type: ignore[untyped-decorator]
    async def _publish_stats(self) -> None:
        """Replace the statistics of Faust's reader by nothing."""


class LedgerTableManager(TableManager):  # type: ignore[misc]
    """Faust's table manager, with `LedgerRecovery` as its recovery service."""

    logger = FAUST_LOGGER
    _ledger_recovery: LedgerRecovery | None = None

    @property
    def recovery(self) -> LedgerRecovery:
        """The recovery service, made when first needed."""
        if self._ledger_recovery is None:
            self._ledger_recovery = LedgerRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
            self._recovery = self._ledger_recovery
        return self._ledger_recovery
