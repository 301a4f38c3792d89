"""Reads the changelogs of all partitions up to the present, and chooses the cut of a copy (ADR 32)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from clearinghub.config import Settings
from clearinghub.copies import CopyError
from clearinghub.copies.cut import Round, greatest_cut
from clearinghub.copies.history import Change, PartitionHistory
from clearinghub.engine.record import OFFSETS
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.topology import COMPACTION_LAG_MS, changelog_name

FETCH_BYTES_MAX: Final = 2 * 1024 * 1024  # of each changelog's partition; there may be hundreds
RECORDS_AT_ONCE: Final = 5_000
# Under load there is always something new: without a least size the broker would answer hundreds of requests a second.
FETCH_BYTES_MIN: Final = 256 * 1024
FETCH_TIMEOUT_MS: Final = 300
SHORT_PASS_S: Final = 5.0  # a pass to the present that takes no longer is the last one
TAIL_S: Final = 1.5  # how long rounds are gathered before a cut is looked for
CUT_WITHIN_S: Final = 60.0
CHANGES_KEPT_MAX: Final = 1_000_000
# The broker reads for a backup and writes for payments on the same cores and disks, and knows no niceness.
REST: Final = 2.0  # after each fetch of a pass, as a multiple of the time that it took

OnProgress = Callable[[int, int], None]  # offsets read, offsets in all


async def check_partitions(settings: Settings) -> None:
    """Compare the number of partitions that the settings say with that of the hub's changelogs.

    Raises:
        CopyError: it is another one, or there is no hub of these settings.
    """
    topic = changelog_name(settings.application_id, OFFSETS.name)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_access(settings))
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if described["error_code"]:
        raise CopyError(f"the broker has no topic {topic}: no hub has run with these settings")
    count = len(described["partitions"])
    if count != settings.partitions:
        raise CopyError(f"the hub has {count} partitions, and CLEARINGHUB_PARTITIONS is {settings.partitions}")


class ChangelogsReader:
    """Reads the changelogs of all tables of all partitions."""

    def __init__(self, settings: Settings, tables: Sequence[str], histories: Mapping[int, PartitionHistory]) -> None:
        self._histories = histories
        self._places = {
            TopicPartition(changelog_name(settings.application_id, table), number): (table, number)
            for table in tables
            for number in histories
        }
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_min_bytes=FETCH_BYTES_MIN,
            fetch_max_wait_ms=FETCH_TIMEOUT_MS,
            **kafka_access(settings),
        )
        self._first: dict[TopicPartition, int] = {}
        self._read_up_to: dict[TopicPartition, int] = {}
        self._folded_s = 0.0

    async def start(self) -> None:
        """Connect, and go to the beginning of every changelog."""
        await self._consumer.start()
        self._consumer.assign(list(self._places))
        self._first = await self._consumer.beginning_offsets(list(self._places))
        for place, first in self._first.items():
            self._consumer.seek(place, first)

    async def stop(self) -> None:
        await self._consumer.stop()

    async def read_all(self, on_progress: OnProgress) -> None:
        """Fold everything that is there into the stores, pass by pass, until a pass is short."""
        took_s = SHORT_PASS_S + 1
        while took_s > SHORT_PASS_S:
            started_s = time.monotonic()
            await self._fold_to_present(on_progress)
            took_s = time.monotonic() - started_s

    async def choose_cut(self) -> dict[int, Round]:
        """Follow the changelogs for a moment, and return the rounds that are the greatest consistent cut.

        Raises:
            CopyError: there is none. The hub has never run, or its changelogs cannot be read as fast as they grow.
        """
        deadline_s = time.monotonic() + CUT_WITHIN_S
        while time.monotonic() < deadline_s:
            follow_until_s = time.monotonic() + TAIL_S
            while time.monotonic() < follow_until_s:
                await self._read_once()
            await self._read_to(await self._consumer.end_offsets(list(self._places)))
            self._check_age()
            self._check_worked()
            cut = greatest_cut({number: history.rounds() for number, history in self._histories.items()})
            if cut is not None:
                return cut
        lacking = next((one for history in self._histories.values() if (one := history.lacking()) is not None), None)
        if lacking is not None:
            raise CopyError(
                f"{lacking}: a transaction is open there, or the broker has lost rows. See docs/recovery.md"
            )
        raise CopyError("no consistent cut was found within a minute; run the backup again when the hub has less load")

    async def _fold_to_present(self, on_progress: OnProgress) -> None:
        self._folded_s = time.monotonic()
        ends = await self._consumer.end_offsets(list(self._places))
        total = sum(end - self._first[place] for place, end in ends.items())

        def fold(fetched: Iterable[TopicPartition]) -> None:
            for place in fetched:
                table, number = self._places[place]
                self._histories[number].fold_before({table: ends[place]})
            on_progress(total - sum(max(0, end - self._read_up_to[place]) for place, end in ends.items()), total)

        await self._read_to(ends, fold)

    async def _read_to(
        self, ends: Mapping[TopicPartition, int], on_fetched: Callable[[Iterable[TopicPartition]], None] | None = None
    ) -> None:
        lacking = set(self._places)
        while lacking:
            began_s = time.monotonic()
            fetched = await self._read_once()
            for place in (*lacking, *fetched):
                self._read_up_to[place] = await self._consumer.position(place)
            lacking = {place for place in lacking if self._read_up_to[place] < ends[place]}
            if on_fetched is not None:
                on_fetched(fetched)
                await asyncio.sleep((time.monotonic() - began_s) * REST)

    async def _read_once(self) -> list[TopicPartition]:
        fetched = await self._consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE)
        for place, records in fetched.items():
            table, number = self._places[place]
            self._histories[number].add(table, map(_change, records))
            await asyncio.sleep(0)
        if sum(history.tail_length for history in self._histories.values()) > CHANGES_KEPT_MAX:
            raise CopyError(
                "the changelogs grow faster than they can be read; run the backup when the hub has less load"
            )
        return list(fetched)

    def _check_worked(self) -> None:
        silent = sorted(number for number, history in self._histories.items() if not history.has_worked)
        if silent:
            raise CopyError(
                f"partitions {', '.join(map(str, silent))} have no round that can be copied: a ledger worker must have "
                "opened every partition once, in this release"
            )

    def _check_age(self) -> None:
        """Refuse a cut so long after the last pass that a changelog may have been compacted before it was read."""
        if (time.monotonic() - self._folded_s) * 1000 > COMPACTION_LAG_MS / 2:
            raise CopyError("reading the changelogs took too long; run the backup again when the hub has less load")


def _change(record: Any) -> Change:
    return Change(record.offset, record.key, record.value, record.timestamp)
