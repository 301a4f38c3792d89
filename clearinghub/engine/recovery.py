"""Recovery: bring the local copies level with their changelogs, then let the partitions work.

Faust says which changelog partitions are this worker's (and for which it is a standby); reading them is done here with
a consumer of its own, in large batches: one write to RocksDB for thousands of rows, and the end is known exactly, where
Faust's own reader waits two cycles of five seconds when a changelog ends in a transaction's marker (it always does).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import TopicPartition
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from mode import Service

from clearinghub.engine.errors import FAUST_LOGGER
from clearinghub.engine.record import TOMBSTONES_KEPT_MS
from clearinghub.engine.store import LedgerTable, TableChanges

if TYPE_CHECKING:
    from clearinghub.engine.config import EngineConfig
    from clearinghub.engine.record import TableSpec

log = structlog.get_logger(__name__)

RECOVERY_RECORDS_MAX: Final = 10_000
RECOVERY_FETCH_TIMEOUT_MS: Final = 200
STANDBY_FETCH_TIMEOUT_MS: Final = 1_000
STANDBY_STAMP_INTERVAL_MS: Final = 10 * 60 * 1000
STANDBY_AGAIN_S: Final = 5.0
STALE_AFTER_MS: Final = TOMBSTONES_KEPT_MS // 2  # the rest is for reading, and for clocks that differ
TRANSACTION_MARKERS: Final = 1  # that stand behind a transaction's last record


class TooFarBehindError(Exception):
    """A standby has not come so far as its changelogs were for half a day: it may have passed over removals."""


class ChangelogReader:
    """Reads changelog partitions into their tables' stores."""

    def __init__(self, config: EngineConfig, tables: Mapping[TP, LedgerTable]) -> None:
        self._tables = tables
        self._wall_ms = config.environment.wall_ms
        self._specs: dict[str, TableSpec[Any]] = {table.name: table for table in config.all_tables}
        self._asked_at_ms = 0
        self._ends: dict[TopicPartition, int] = {}
        self._behind: set[TP] = set()  # the copies that have not come to these ends yet
        self._consumer = config.environment.make_consumer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}-recovery",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=8 * 1024 * 1024,
            fetch_max_wait_ms=100,
            check_crcs=False,
            **config.access,
        )

    async def start(self) -> None:
        """Connect and stand behind what each local copy already has."""
        await self._consumer.start()
        partitions = [TopicPartition(*tp) for tp in self._tables]
        self._consumer.assign(partitions)
        await self._ask_ends()
        beginnings = await self._consumer.beginning_offsets(partitions)
        for tp, table in self._tables.items():
            place = TopicPartition(*tp)
            local = table.offset(tp)
            fault = "ahead" if local >= self._ends[place] else "stale"
            if fault == "ahead" or self._is_stale(tp, table):
                log.warning(
                    "local-copy-of-no-use",
                    fault=fault,
                    changelog=tp.topic,
                    partition=tp.partition,
                    local=local,
                    changelog_end=self._ends[place],
                    remedy="rebuilt from the changelog",
                )
                table.data.wipe(tp.partition)
            self._consumer.seek(place, max(table.offset(tp) + 1, beginnings[place]))

    async def _ask_ends(self) -> None:
        asked_at_ms = self._wall_ms()
        # read_committed: the last stable offsets
        self._ends = await self._consumer.end_offsets([TopicPartition(*tp) for tp in self._tables])
        self._asked_at_ms = asked_at_ms
        self._behind = set(self._tables)

    def _is_stale(self, tp: TP, table: LedgerTable) -> bool:
        """Whether the changelog may tell no more of a row that was removed since the copy was level with it.

        A copy that never came to the end of its first recovery is: what it has read so far may be removed behind it.
        One behind whose last record there is nothing is not, however old: a partition at rest has nothing to stamp.
        """
        local = table.offset(tp)
        if local < 0:
            return False
        stamped_ms = table.data.stamped_ms(tp.partition)
        if stamped_ms is None:
            return True
        is_all = local + 1 + TRANSACTION_MARKERS >= self._ends[TopicPartition(*tp)]
        return self._asked_at_ms - stamped_ms > STALE_AFTER_MS and not is_all

    async def _stamp_level(self) -> None:
        """Note it where a copy has come to where its changelog ended when that was last asked for."""
        for tp in tuple(self._behind):
            place = TopicPartition(*tp)
            if await self._consumer.position(place) >= self._ends[place]:
                self._tables[tp].data.stamp(tp.partition, self._asked_at_ms)
                self._behind.discard(tp)

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def catch_up(self) -> int:
        """Read to the ends known at the start; the number of rows read."""
        rows = 0
        await self._pause_level()
        while self._behind:
            rows += await self.read_once(RECOVERY_FETCH_TIMEOUT_MS)
            await self._pause_level()
        return rows

    async def _pause_level(self) -> None:
        behind = set(self._behind)
        await self._stamp_level()
        self._consumer.pause(*(TopicPartition(*tp) for tp in behind - self._behind))

    async def follow_once(self, timeout_ms: int) -> None:
        """Apply one fetch of what comes, and stamp the copies now and then.

        Raises:
            TooFarBehindError: the copies are not to be trusted any more; another reader begins anew where it must.
        """
        waited_ms = self._wall_ms() - self._asked_at_ms
        if waited_ms > STALE_AFTER_MS:
            raise TooFarBehindError(f"the ends were asked for {waited_ms} ms ago")
        await self.read_once(timeout_ms)
        await self._stamp_level()
        if not self._behind and waited_ms >= STANDBY_STAMP_INTERVAL_MS:
            await self._ask_ends()

    async def read_once(self, timeout_ms: int) -> int:
        """Apply one fetch; the number of rows."""
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
        latest: dict[bytes, bytes | None] = {record.key: record.value for record in records}
        changes = TableChanges({}, [])
        for key, value in latest.items():
            if value is None:
                changes.rows[key] = None
            elif spec.index is None:
                changes.rows[key] = value
            else:
                changes.set(spec, key.decode(), spec.decode(value), value)
        table.data.apply(spec, tp.partition, changes, records[-1].offset)


class LedgerRecovery(Recovery):  # type: ignore[misc]
    """Faust's recovery service with its own way of reading; see the module."""

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
        self._set_recovery_started()
        await self._stop_standby()
        started = time.monotonic()
        rows = await self._read_active()
        ended = time.monotonic()
        self._set_recovery_ended()
        if generation_id != self.app.consumer_generation_id or self.signal_recovery_start.is_set():
            log.info("recovery-superseded", generation=generation_id)
            return
        await self.app.consumer.seek_inputs(self.app.decided_offsets())
        if generation_id != self.app.consumer_generation_id:
            return
        self.app.start_partitions()
        self._resume()
        self._start_standby()
        log.info(
            "recovered",
            rows=rows,
            seconds=round(ended - started, 3),
            ready_after_ms=round((time.monotonic() - ended) * 1000),
        )

    async def _read_active(self) -> int:
        tables = {tp: self.tp_to_table[tp] for tp in self.active_tps}
        if not tables:
            return 0
        reader = ChangelogReader(self.app.engine_config, tables)
        try:
            await reader.start()
            return await reader.catch_up()
        finally:
            await reader.stop()

    def _resume(self) -> None:
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
        """Until cancelled, whatever becomes of the broker."""
        while True:
            reader = ChangelogReader(self.app.engine_config, tables)
            try:
                await reader.start()
                while True:
                    await reader.follow_once(STANDBY_FETCH_TIMEOUT_MS)
            except Exception:  # whatever it is: nobody else would follow until the next rebalance
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
        """Stop following."""
        await self._stop_standby()

    @Service.task  # type: ignore[untyped-decorator]
    async def _slurp_changelogs(self) -> None:
        """Faust's reader of changelogs: not used."""

    @Service.task  # type: ignore[untyped-decorator]
    async def _publish_stats(self) -> None:
        """Faust's progress of its own reader: not used."""


class LedgerTableManager(TableManager):  # type: ignore[misc]
    """Faust's table manager with our recovery."""

    logger = FAUST_LOGGER
    _ledger_recovery: LedgerRecovery | None = None

    @property
    def recovery(self) -> LedgerRecovery:
        """The recovery service."""
        if self._ledger_recovery is None:
            self._ledger_recovery = LedgerRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
            self._recovery = self._ledger_recovery
        return self._ledger_recovery
