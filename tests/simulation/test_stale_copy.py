"""A local copy too old for its changelog's tombstones is built again; one that is merely late catches up."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from faust.types import TP

from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.environment import Environment
from clearinghub.engine.record import TOMBSTONES_KEPT_MS, TableSpec
from clearinghub.engine.recovery import (
    STALE_AFTER_MS,
    STANDBY_AGAIN_S,
    STANDBY_CHECKPOINT_INTERVAL_MS,
    ChangelogReader,
    StandbyLagError,
)
from clearinghub.engine.store import TableChanges
from tests.simulation.disk import Disk, SimulatedStore, SimulatedTable
from tests.simulation.engine import SimulatedRecovery
from tests.simulation.loop import SimulatedLoop

NOW_MS = 1_800_000_000_000
SPEC: TableSpec[bytes] = TableSpec("rows", bytes, bytes)
CHANGELOG = TP("app-rows-changelog", 0)
PLACE = TopicPartition(*CHANGELOG)


class Row(NamedTuple):
    offset: int
    key: bytes
    value: bytes | None


class Changelog:
    """A consumer of a compacted changelog, with the records that the cleaner has left."""

    def __init__(self, rows: list[Row], end: int) -> None:
        self._rows = rows
        self.end = end
        self.fetched_max = 1_000  # offsets
        self.outages = 0  # how many more are to come
        self._next = 0

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, places: object) -> None: ...
    def pause(self, *places: object) -> None: ...

    def seek(self, _place: TopicPartition, offset: int) -> None:
        self._next = offset

    async def position(self, _place: TopicPartition) -> int:
        return self._next

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        if self.outages:
            self.outages -= 1
            raise KafkaTimeoutError
        return dict.fromkeys(places, self.end)

    async def getmany(self, timeout_ms: int, **_options: object) -> dict[TopicPartition, list[Row]]:
        await asyncio.sleep(timeout_ms / 1000 if self._next == self.end else 0)
        begin, self._next = self._next, min(self.end, self._next + self.fetched_max)
        found = [row for row in self._rows if begin <= row.offset < self._next]
        return {PLACE: found} if found else {}


class Copy:
    """A copy that read row `paid` at offset 0, long ago; it and its removal at 1 are deleted from the changelog."""

    def __init__(self, caught_up_ms: int | None) -> None:
        self.now_ms = NOW_MS
        self.table = SimulatedTable("rows", SimulatedStore(Disk(), "rows", lambda _point: None))
        changes = TableChanges({}, [])
        changes.set(SPEC, "paid", b"reserved", b"reserved")
        self.table.data.apply(SPEC, 0, changes, 0)
        if caught_up_ms is not None:
            self.table.data.write_checkpoint(0, caught_up_ms)

    def config(self, changelog: Changelog) -> EngineConfig:
        return EngineConfig(
            application_id="app",
            bootstrap="",
            partitions=1,
            inputs=(Input("in", lambda _record, _view: None),),
            tables=(SPEC,),
            output_partitions={},
            dead_letter_topic="dead",
            data_dir=Path("none"),
            environment=Environment(make_consumer=lambda **_settings: changelog, wall_s=lambda: self.now_ms / 1000),
        )

    def reader(self, changelog: Changelog) -> ChangelogReader:
        tables: Any = {CHANGELOG: self.table}
        return ChangelogReader(self.config(changelog), tables)

    def recover(self, *rows: Row, end: int = 5) -> None:
        async def run() -> None:
            reader = self.reader(Changelog(list(rows), end))
            await reader.connect()
            await reader.start()
            await reader.catch_up()

        asyncio.run(run())

    def row(self, key: bytes) -> bytes | None:
        return self.table.data.row(0, key)


@pytest.mark.parametrize("caught_up_ms", [None, NOW_MS - TOMBSTONES_KEPT_MS, NOW_MS - STALE_AFTER_MS - 1])
def test_a_row_whose_tombstone_is_deleted_does_not_come_back(caught_up_ms: int | None) -> None:
    copy = Copy(caught_up_ms)
    copy.recover(Row(3, b"open", b"1"))

    assert copy.row(b"paid") is None
    assert b"1" == copy.row(b"open")
    assert NOW_MS == copy.table.data.checkpoint_ms(0)


def test_a_copy_that_was_caught_up_lately_only_reads_on() -> None:
    copy = Copy(NOW_MS - STALE_AFTER_MS)
    copy.recover(Row(0, b"paid", b"not read again"), Row(3, b"open", b"1"))

    assert (b"reserved", b"1") == (copy.row(b"paid"), copy.row(b"open"))
    assert NOW_MS == copy.table.data.checkpoint_ms(0)


def test_a_copy_is_complete_however_old_if_nothing_was_written_since() -> None:
    copy = Copy(NOW_MS - 10 * TOMBSTONES_KEPT_MS)
    copy.recover(end=2)  # its one record, at 0, and the marker of its transaction

    assert b"reserved" == copy.row(b"paid")


class Standby:
    """A reader that follows a changelog, which ends at `end` when the reader starts, on a clock of its own."""

    def __init__(self, copy: Copy, end: int) -> None:
        self.changelog = Changelog([Row(offset, b"%d" % offset, b"1") for offset in range(end)], end)
        self.changelog.fetched_max = 2
        self.copy = copy
        self.reader = copy.reader(self.changelog)

    def follow(self, times: int, *, grows: int = 0) -> None:
        async def run() -> None:
            for _ in range(times):
                self.changelog.end += grows
                await self.reader.follow_once(0)

        asyncio.run(run())

    @property
    def checkpoint_ms(self) -> int | None:
        return self.copy.table.data.checkpoint_ms(0)


@pytest.fixture
def standby() -> Standby:
    copy = Copy(None)
    copy.table.data.wipe(0)
    standby = Standby(copy, end=5)

    async def start() -> None:
        await standby.reader.connect()
        await standby.reader.start()

    asyncio.run(start())
    return standby


def test_a_standby_has_a_checkpoint_once_it_has_read_what_was_there_when_it_started(standby: Standby) -> None:
    standby.follow(2, grows=2)
    assert standby.checkpoint_ms is None

    standby.follow(1, grows=2)
    assert NOW_MS == standby.checkpoint_ms


def test_a_standby_has_a_new_checkpoint_while_its_changelog_grows(standby: Standby) -> None:
    standby.follow(3, grows=2)
    standby.copy.now_ms += STANDBY_CHECKPOINT_INTERVAL_MS
    caught_up_at_ms = standby.copy.now_ms
    standby.follow(1, grows=2)
    standby.copy.now_ms += 1_000

    standby.follow(4, grows=2)

    assert caught_up_at_ms == standby.checkpoint_ms


def test_a_standby_that_could_not_read_for_half_a_day_stops(standby: Standby) -> None:
    standby.follow(1)
    standby.copy.now_ms += STALE_AFTER_MS + 1

    with pytest.raises(StandbyLagError):
        standby.follow(1)
    assert standby.checkpoint_ms is None


def test_a_standby_follows_again_after_an_outage() -> None:
    copy = Copy(None)
    copy.table.data.wipe(0)
    changelog = Changelog([Row(0, b"open", b"1")], end=2)
    changelog.outages = 1
    app: Any = SimpleNamespace(engine_config=copy.config(changelog))
    following = SimulatedRecovery(app)
    following.standby_tps, following.tp_to_table = [CHANGELOG], {CHANGELOG: copy.table}

    async def run() -> None:
        following._start_standby()
        await asyncio.sleep(STANDBY_AGAIN_S + 1)
        await following._stop_standby()

    with closing(SimulatedLoop()) as loop:
        loop.run_until_complete(run())
    assert 0 == changelog.outages
    assert (b"1", NOW_MS) == (copy.row(b"open"), copy.table.data.checkpoint_ms(0))
