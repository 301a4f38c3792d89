"""Makes the state of a new hub from a copy, on empty topics, with the same or another number of partitions.

Rows are written first, then read back from the broker and checked. The rows of decided offsets, without which a ledger
refuses to start on a table that has rows, come last, in one transaction with the messages between partitions: until
that is committed there is no hub, and from then on there is a whole one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.copies import CopyError
from clearinghub.copies.balance import BooksOfRows
from clearinghub.copies.folder import Copy, CopyContent
from clearinghub.copies.in_flight import decode_copied
from clearinghub.copies.regroup.messages import REMINDERS, RestoredMessage, close_again, regrouped
from clearinghub.copies.regroup.rows import (
    NOT_RESTORED,
    PER_PARTITION,
    Places,
    check_own_partition,
    rows_left_out,
)
from clearinghub.copies.regroup.settlement import PerPartitionRows
from clearinghub.copies.row_store import StoredRow
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.topology import changelog_name, declared_topics, ensure_topics, load_topology
from clearinghub.rows import ROW_FORMAT
from tables.counters import COUNTERS

BATCH_BYTES: Final = 512 * 1024
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
BATCHES_IN_FLIGHT_MAX: Final = 32
FETCH_TIMEOUT_MS: Final = 200
RESTORED: Final = b"restored"  # key of a row that no table has
SHOWN_EVERY: Final = 2_000
# Their histories begin anew, in the middle: readers must not take the first record for the first ever.
BEGUN_ANEW: Final = ("transfers", "positions")

Step = Callable[[str, int, int], None]


@dataclass(slots=True)
class Restored:
    """What a restore has done. `left_out` are rows that were not restored, by what they are."""

    rows: Counter[str]
    messages: int
    left_out: Counter[str]
    balances: dict[str, int]


async def restore(settings: Settings, copy: Copy, on_step: Step) -> Restored:
    """Restore a copy to the settings' topics and number of partitions; the hub may be started when this has returned.

    Raises:
        CopyError: the topics are not empty, the copy cannot be restored so, or what was written does not add up.
        KafkaError: the broker was lost.
    """
    _check_copy(settings, copy)
    await ensure_topics(settings, load_topology())
    await _check_empty(settings)
    plan = Plan(copy, settings)
    async with _producer(settings) as producer:
        ends = await _write_rows(settings, producer, plan, on_step)
    messages = list(plan.messages())
    books = await _read_back(settings, ends, messages, on_step)
    _compare(copy, books, plan)
    await _begin_anew(settings)
    await _commit(settings, ends, messages)
    return Restored(books.rows, len(messages), plan.left_out, books.balances())


def _check_copy(settings: Settings, copy: Copy) -> None:
    manifest = copy.manifest
    if manifest.row_format != ROW_FORMAT:
        raise CopyError(f"the copy has rows of format {manifest.row_format}; this release reads format {ROW_FORMAT}")
    if manifest.hub_name != settings.hub_name:
        raise CopyError(
            f"the copy is of a hub named {manifest.hub_name}, and CLEARINGHUB_HUB_NAME is {settings.hub_name}: the "
            "name owns accounts and cannot be changed by a restore"
        )


async def _check_empty(settings: Settings) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, **kafka_access(settings))
    await consumer.start()
    try:
        topics = declared_topics(settings, load_topology())
        places = [
            TopicPartition(name, number)
            for name, topic in topics.items()
            for number in range(topic.partition_count(settings.partitions))
        ]
        ends = await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    used = sorted({place.topic for place, end in ends.items() if end})
    if used:
        raise CopyError(
            f"topic {used[0]} is not empty{f', and {len(used) - 1} more are not' if used[1:] else ''}: a copy is "
            "restored to empty topics only. Set another CLEARINGHUB_TOPIC_PREFIX and CLEARINGHUB_APPLICATION_ID, or "
            "delete the topics if nobody needs them; and start no role before the restore has ended"
        )


class Plan:
    """Which row and which message goes where. Read `rows` to the end before `messages`."""

    def __init__(self, copy: CopyContent, settings: Settings) -> None:
        self.left_out: Counter[str] = Counter()
        self._copy = copy
        self._hub_name = settings.hub_name
        self._old = len(copy.manifest.partitions)
        self._places = Places(settings.partitions)
        self._is_same = self._old == settings.partitions
        self._per_partition = PerPartitionRows(self._old, self._places, settings.hub_name)
        self.total = copy.manifest.rows().total()

    def rows(self) -> Iterator[tuple[int, StoredRow]]:
        """Yield all rows with their new partitions."""
        left_out = set() if self._is_same else rows_left_out(self._copy, self._places)
        for one in self._copy.manifest.partitions:
            self._per_partition.take_counters(one.partition, self._copy.rows_of(one.partition, COUNTERS.name))
        for one in self._copy.manifest.partitions:
            yield from self._rows_of(one.partition, left_out)
        if not self._is_same:
            yield from self._per_partition.rows()

    def _rows_of(self, partition: int, left_out: set[tuple[int, str, bytes]]) -> Iterator[tuple[int, StoredRow]]:
        rows = (row for row in self._copy.rows(partition) if row.table not in NOT_RESTORED)
        if self._is_same:
            yield from ((partition, row) for row in rows)
            return
        for row in check_own_partition(self._copy, partition, rows):
            if row.table in PER_PARTITION:
                self._per_partition.take(partition, row)
            elif row.table == "batches":
                self.left_out["registrations of many parties that were under way: their DFSPs repeat them"] += 1
            elif (partition, row.table, row.key) in left_out:
                self.left_out[f"{row.table} that have ended, under an id that another one has"] += 1
            else:
                place = self._places.of_row(row)
                yield place, self._per_partition.renumbered(partition, place, row)

    def messages(self) -> Iterator[RestoredMessage]:
        """Yield all messages with their new partitions, in the order in which they are to be received."""
        messages = (one for partition in range(self._old) for one in self._copy.messages(partition))
        if self._is_same:
            for one in messages:
                if not isinstance(decode_copied(one.value)[0], REMINDERS):
                    yield RestoredMessage(one.receiver, one.topic, one.key, one.value)
            return
        yield from regrouped(messages, self._places, self._hub_name)
        yield from close_again(self._per_partition.processing_windows(), self._places)


@asynccontextmanager
async def _producer(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=REQUEST_BYTES_MAX,
        **options,
        **kafka_access(settings),
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


class _Batches:
    """Sends rows to the changelogs, many in one batch."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._open: dict[TopicPartition, Any] = {}
        self._sent: dict[TopicPartition, int] = {}
        self._in_flight: list[asyncio.Future[Any]] = []

    async def add(self, place: TopicPartition, key: bytes, value: bytes | None) -> None:
        batch = self._open.get(place)
        if batch is not None and batch.append(key=key, value=value, timestamp=None) is not None:
            return
        if batch is not None:
            await self._send(place, batch)
        batch = self._open[place] = self._producer.create_batch()
        appended = batch.append(key=key, value=value, timestamp=None)
        assert appended is not None, f"a row of {len(value or b'')} bytes fits no batch"

    async def end(self) -> dict[TopicPartition, int]:
        """Send what is left; return the number of records by place."""
        for place, batch in self._open.items():
            await self._send(place, batch)
        await asyncio.gather(*self._in_flight)
        return self._sent

    async def _send(self, place: TopicPartition, batch: Any) -> None:
        batch.close()
        self._sent[place] = self._sent.get(place, 0) + batch.record_count()
        self._in_flight.append(await self._producer.send_batch(batch, place.topic, partition=place.partition))
        if len(self._in_flight) >= BATCHES_IN_FLIGHT_MAX:
            await asyncio.gather(*self._in_flight)
            self._in_flight.clear()


async def _write_rows(
    settings: Settings, producer: AIOKafkaProducer, plan: Plan, on_step: Step
) -> dict[TopicPartition, int]:
    """Write all rows; return the number of records by changelog and partition."""
    batches, done = _Batches(producer), 0
    participants = load_topology().topics["participants"].partition_count(settings.partitions)
    for partition in range(settings.partitions):
        # First of all a record on every partition: a ledger that is started too early stops on each of them.
        await batches.add(
            TopicPartition(changelog_name(settings.application_id, "counters"), partition), RESTORED, None
        )
    for partition, row in plan.rows():
        await batches.add(
            TopicPartition(changelog_name(settings.application_id, row.table), partition), row.key, row.value
        )
        if row.table == "participants":
            # Every process keeps a copy of this compacted topic.
            place = TopicPartition(settings.topic("participants"), partition % participants)
            await batches.add(place, row.key, row.value)
        done += 1
        if done % SHOWN_EVERY == 0:
            on_step("writing rows", done, plan.total)
            await asyncio.sleep(0)
    ends = await batches.end()
    on_step("writing rows", done, done)
    return ends


async def _read_back(
    settings: Settings, written: Mapping[TopicPartition, int], messages: list[RestoredMessage], on_step: Step
) -> BooksOfRows:
    """Read the changelogs as a ledger would, and add them up.

    Raises:
        CopyError: a changelog has not the number of records that was written.
    """
    books = BooksOfRows()
    for one in messages:
        books.add_message(one.value)
    tables = {changelog_name(settings.application_id, table): table for table in load_topology().tables}
    places = [place for place in written if place.topic in tables]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_TIMEOUT_MS,
        max_partition_fetch_bytes=2 * 1024 * 1024,
        **kafka_access(settings),
    )
    await consumer.start()
    try:
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        ends = await consumer.end_offsets(places)
        wrong = [place for place in places if ends[place] != written[place]]
        if wrong:
            raise CopyError(
                f"{wrong[0].topic}/{wrong[0].partition} has other records than were written: somebody else writes"
            )
        done, total = 0, sum(ends.values())
        while done < total:
            fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS, max_records=SHOWN_EVERY)
            for place, records in fetched.items():
                for record in records:
                    if record.key != RESTORED:
                        books.add(StoredRow(tables[place.topic], record.key, record.value))
                done += len(records)
            on_step("checking", done, total)
            await asyncio.sleep(0)
    finally:
        await consumer.stop()
    return books


def _compare(copy: Copy, books: BooksOfRows, plan: Plan) -> None:
    """Check the restored books against themselves and against the manifest.

    Raises:
        CopyError: they do not add up, or rows or money are missing.
    """
    faults = books.faults()
    expected = copy.manifest.balances
    faults += [
        f"{currency} has a balance of {amount}, the copy of {expected.get(currency, 0)}"
        for currency, amount in books.balances().items()
        if amount != expected.get(currency, 0)
    ]
    left_out = sum(plan.left_out.values())
    copied = copy.manifest.rows()
    unequal = [
        f"table {table} has {books.rows[table]} rows, the copy {count}"
        for table, count in copied.items()
        if table not in PER_PARTITION | NOT_RESTORED | {"batches"} and books.rows[table] != count and not left_out
    ]
    if faults or unequal:
        raise CopyError(
            f"what was written does not add up: {'; '.join((faults + unequal)[:3])}. The hub must not be started on "
            "these topics: delete them, and report this"
        )


async def _begin_anew(settings: Settings) -> None:
    """Let the published topics begin after offset 0, so that their readers know that history is missing before them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_access(settings))
    places = [
        TopicPartition(settings.topic(topic), number) for topic in BEGUN_ANEW for number in range(settings.partitions)
    ]
    async with _producer(settings, transactional_id=f"{settings.application_id}-restore") as producer:
        await producer.begin_transaction()
        for place in places:
            await producer.send_and_wait(place.topic, b"", key=b"", partition=place.partition)
        await producer.abort_transaction()
    await admin.start()
    try:
        await admin.delete_records({place: RecordsToDelete(1) for place in places})
    finally:
        await admin.close()


async def _commit(settings: Settings, written: Mapping[TopicPartition, int], messages: list[RestoredMessage]) -> None:
    """Write the messages and the rows of decided offsets in one transaction, with which the hub begins to be one.

    Every changelog gets a record of it, a tombstone of a row that never was: so each ends with a marker, as after a
    round.
    """
    topology = load_topology()
    inputs = [topic.name for topic in topology.group("participants") if "ledger" in topic.readers]
    changelogs = {table: changelog_name(settings.application_id, table) for table in topology.tables}
    name = f"{settings.application_id}-restore"
    async with _producer(settings, transactional_id=name) as producer, producer.transaction():
        sent = [
            await producer.send(settings.topic(one.topic), one.value, key=one.key, partition=one.partition)
            for one in messages
        ]
        for number in range(settings.partitions):
            row = DecidedOffsets(
                row_format=ROW_FORMAT,
                next_offsets=dict.fromkeys(inputs, 0),
                changelog_offsets={
                    table: written.get(TopicPartition(changelog, number), 0) for table, changelog in changelogs.items()
                },
                committed_ms=system_now_ms(),
            )
            for table, changelog in changelogs.items():
                is_own = table == OFFSETS.name
                key, value = (INPUTS.encode(), OFFSETS.encode(row)) if is_own else (RESTORED, None)
                sent.append(await producer.send(changelog, value, key=key, partition=number))
        await asyncio.gather(*sent)
