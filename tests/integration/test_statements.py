"""Statements from a real topic: periods, aborted transactions, and records of other participants."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from clearinghub.config import Settings
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement
from clearinghub.engine.partitioner import Partitioner
from clearinghub.kafka.statements import KafkaStatementReader
from clearinghub.ports import LedgerUnavailableError
from tests.apart import settings_apart

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]
PARTITIONS = 2
START_MS = 1_700_000_000_000
MARKERS_WITHIN_S = 10.0
ACCOUNT = Position("dfsp", "XTS", "POSITION", 7, value=999)


class History:
    """Topic `positions`, with times and change numbers as the ledger writes them."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self.topic = settings.topic("positions")
        self.partition = Partitioner({"positions": PARTITIONS})("positions", "dfsp")
        self.reader = KafkaStatementReader(settings)
        self._producer = producer
        self._numbers: dict[int, int] = {}
        self._values: dict[int, int] = {}

    async def book(self, at_ms: int, change: int, *, name: str = "dfsp", account_id: int = 7) -> None:
        number = self._numbers[account_id] = self._numbers.get(account_id, 0) + 1
        value = self._values[account_id] = self._values.get(account_id, 0) + change
        await self._send(self._producer, at_ms, change, number, value, name, account_id)

    async def book_in_transactions(self, ledger: AIOKafkaProducer, at_ms: int) -> None:
        """Write an aborted transaction of 500, then a committed one of 4."""
        await ledger.begin_transaction()
        await self._send(ledger, at_ms, 500, 5, 526, "dfsp", 7)
        await ledger.flush()
        await ledger.abort_transaction()
        async with ledger.transaction():
            await self._send(ledger, at_ms, 4, 5, 30, "dfsp", 7)

    async def period(self, begin_ms: int, end_ms: int, after: int = 0, entries_max: int = 100) -> Statement:
        return await self.reader.statement(ACCOUNT, START_MS + begin_ms, START_MS + end_ms, after, entries_max)

    async def _send(
        self, producer: AIOKafkaProducer, at_ms: int, change: int, number: int, value: int, name: str, account_id: int
    ) -> None:
        row = {
            "v": 1,
            "participant": name,
            "accountId": account_id,
            "accountType": "POSITION",
            "currency": "XTS",
            "change": change,
            "value": value,
            "reserved": 0,
            "changeNumber": number,
            "transferId": f"t-{number}",
            "entryType": "PRINCIPLE_VALUE",
            "atMs": START_MS + at_ms,
        }
        await producer.send_and_wait(
            self.topic, orjson.dumps(row), name.encode(), self.partition, timestamp_ms=START_MS + at_ms
        )


@pytest.fixture
async def history(kafka_bootstrap: str, topic_prefix: str) -> AsyncIterator[History]:
    """Write four changes of the account among those of others."""
    settings = settings_apart(kafka_bootstrap, topic_prefix, partitions=PARTITIONS)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    # No retention: the times below are years ago, and the broker deletes old records every five minutes.
    kept = {"retention.ms": "-1"}
    await admin.create_topics([NewTopic(settings.topic("positions"), PARTITIONS, 1, topic_configs=kept)])
    await producer.start()
    try:
        history = History(settings, producer)
        for at_ms, change in ((0, 10), (1_000, 20), (2_000, -5), (3_000, 1)):
            await history.book(at_ms, 7, name="other", account_id=8)
            await history.book(at_ms, 3, account_id=9)
            await history.book(at_ms, change)
        yield history
    finally:
        await producer.stop()
        await admin.close()


def brief(statement: Statement) -> tuple[int, list[int], int, bool]:
    return statement.opening, [entry.change for entry in statement.entries], statement.closing, statement.is_whole


async def test_periods(history: History) -> None:
    """The balances of consecutive periods meet; a period includes its begin and excludes its end."""
    assert (0, [10, 20, -5, 1], 26, True) == brief(await history.period(0, 10_000))
    assert (0, [10], 10, True) == brief(await history.period(0, 1_000))
    assert (10, [20, -5], 25, True) == brief(await history.period(1_000, 3_000))
    assert (25, [1], 26, True) == brief(await history.period(2_001, 3_001))


async def test_an_entry(history: History) -> None:
    (entry,) = (await history.period(1_000, 1_001)).entries

    assert (2, START_MS + 1_000, "t-2", "PRINCIPLE_VALUE", 20, 30) == (
        entry.change_number,
        entry.at_ms,
        entry.transfer_id,
        entry.entry_type,
        entry.change,
        entry.value,
    )


async def test_periods_without_an_entry(history: History) -> None:
    """Their balance is that before the next change, or without one the account's value."""
    assert (30, [], 30, True) == brief(await history.period(1_500, 2_000))
    assert (0, [], 0, True) == brief(await history.period(-86_400_000, 0))
    assert (999, [], 999, True) == brief(await history.period(3_001, 10_000))


async def test_pages(history: History) -> None:
    first = await history.period(0, 10_000, entries_max=2)
    rest = await history.period(1_000, 10_000, after=first.entries[-1].change_number, entries_max=2)

    assert (0, [10, 20], 30, False) == brief(first)
    assert (30, [-5, 1], 26, True) == brief(rest)
    assert (0, [10, 20], 30, True) == brief(await history.period(0, 2_000, entries_max=2))


async def test_aborted_transactions_are_not_read(history: History, kafka_bootstrap: str) -> None:
    now_ms = time.time_ns() // 1_000_000 - START_MS
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=history.topic) as ledger:
        await history.book_in_transactions(ledger, now_ms)

    deadline = time.monotonic() + MARKERS_WITHIN_S  # a commit is answered before its markers are written
    while not (await history.period(4_000, now_ms + 1)).entries and time.monotonic() < deadline:
        pass
    assert (26, [4], 30, True) == brief(await history.period(4_000, now_ms + 1))
    assert (0, [10, 20, -5, 1, 4], 30, True) == brief(await history.period(0, now_ms + 60_000))
    assert (26, [], 26, True) == brief(await history.period(4_000, now_ms))


async def test_clocks_that_differ(history: History) -> None:
    """A worker with a slow clock takes over: where two periods meet, each entry is in exactly one."""
    for at_ms in (2_500, 3_500, 2_800, 3_600):
        await history.book(at_ms, 2)

    first, second = await history.period(0, 3_500), await history.period(3_500, 10_000)
    assert [10, 20, -5, 1, 2, 2, 2, 2] == [entry.change for part in (first, second) for entry in part.entries]
    assert first.closing == second.opening


async def test_records_that_retention_has_deleted(history: History, kafka_bootstrap: str) -> None:
    assert (await history.period(-5, 10_000)).kept_from_ms is None
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    place = TopicPartition(history.topic, history.partition)
    await admin.delete_records({place: RecordsToDelete(before_offset=3)})  # all records of the first second
    await admin.close()

    cut = await history.period(-5, 10_000)
    assert START_MS + 1_000 == cut.kept_from_ms
    assert 26 == cut.closing
    assert (await history.period(2_500, 10_000)).kept_from_ms is None


async def test_without_a_broker() -> None:
    reader = KafkaStatementReader(Settings(kafka_bootstrap="127.0.0.1:1", partitions=PARTITIONS))

    with pytest.raises(LedgerUnavailableError):
        await reader.statement(ACCOUNT, 0, 1, 0, 1)
