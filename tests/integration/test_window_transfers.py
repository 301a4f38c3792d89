"""The transfers of a window from a real topic, among other windows' and aborted transactions, in pages."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from clearinghub.config import Settings
from clearinghub.domain.settlement.netting import NettingGroup
from clearinghub.domain.settlement.window import Content, Window, WindowState
from clearinghub.domain.settlement.window_transfer import Place, WindowTransfer
from clearinghub.kafka.window_transfers import CLOCK_SLACK_MS, KafkaWindowTransfers
from clearinghub.ports import LedgerUnavailableError
from tests.apart import settings_apart

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]
PARTITIONS = 2
START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def window(number: int, *, is_open: bool = False) -> Window:
    """Return a window; each window is an hour long."""
    opened_ms = START_MS + (number - 1) * HOUR_MS
    if is_open:
        return Window(number, WindowState.OPEN, None, opened_ms, opened_ms)
    closed_ms = opened_ms + HOUR_MS
    content = Content(1, NettingGroup("XTS", "POSITION", "NET"), WindowState.CLOSED, closed_ms, closed_ms, 1)
    return Window(number, WindowState.CLOSED, "r", opened_ms, closed_ms, used=True, contents=(content,))


@dataclass
class Topic:
    """Topic `transfers`, written by hand."""

    name: str
    producer: AIOKafkaProducer
    reader: KafkaWindowTransfers
    ids: list[int] = field(default_factory=list)

    async def end(
        self,
        partition: int,
        number: int | None,
        at_ms: int,
        producer: AIOKafkaProducer | None = None,
        **changes: object,
    ) -> None:
        """Return the final record of a transfer in window `number`."""
        row = {
            "v": 1,
            "transferId": f"t-{partition}-{at_ms}",
            "kind": "transfer",
            "payer": "alpha",
            "payee": "beta",
            "amount": 5,
            "currency": "XTS",
            "state": "COMMITTED" if number else "ABORTED_ERROR",
            "window": number,
            "interchangeFee": 0,
            "errorCode": None,
            "errorDescription": None,
            "preparedAt": "p",
            "finishedAt": "f",
        } | changes
        await (producer or self.producer).send_and_wait(
            self.name, orjson.dumps(row), b"key", partition, timestamp_ms=START_MS + at_ms
        )

    async def ids_of(self, one: Window, after: Place | None = None) -> list[str]:
        return [transfer.transfer_id for transfer in await self.of(one, after)]

    async def of(self, one: Window, after: Place | None = None) -> list[WindowTransfer]:
        return [transfer async for batch in self.reader.read(one, after) for transfer in batch]


@pytest.fixture
async def topic(kafka_bootstrap: str, topic_prefix: str) -> AsyncIterator[Topic]:
    """Write three windows; on partition 1 the second begins later, and funds and aborted records are in between."""
    settings = settings_apart(kafka_bootstrap, topic_prefix, partitions=PARTITIONS)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    kept = {"retention.ms": "-1"}
    await admin.create_topics([NewTopic(settings.topic("transfers"), PARTITIONS, 1, topic_configs=kept)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await producer.start()
    made = Topic(settings.topic("transfers"), producer, KafkaWindowTransfers(settings))
    try:
        for partition, number, at_ms in (
            (0, 1, 1),
            (0, 1, 2),
            (0, 2, HOUR_MS + 1),
            (0, None, HOUR_MS + 2),
            (0, 2, HOUR_MS + 3),
            (1, 1, 1),
            (1, None, 2),
            (1, 1, HOUR_MS + 1),
            (1, 2, HOUR_MS + 2),
            (0, 3, 2 * HOUR_MS + 1),
        ):
            await made.end(partition, number, at_ms)
        await made.end(0, None, 2 * HOUR_MS + 2, kind="funds-in")
        yield made
    finally:
        await producer.stop()


async def test_windows(topic: Topic) -> None:
    """A partition may leave a window somewhat later than the coordinator."""
    assert ["t-0-1", "t-0-2", "t-1-1", f"t-1-{HOUR_MS + 1}"] == await topic.ids_of(window(1))
    assert [f"t-0-{HOUR_MS + 1}", f"t-0-{HOUR_MS + 3}", f"t-1-{HOUR_MS + 2}"] == await topic.ids_of(window(2))
    assert [f"t-0-{2 * HOUR_MS + 1}"] == await topic.ids_of(window(3, is_open=True))
    assert [] == await topic.ids_of(window(4, is_open=True))


async def test_a_transfer(topic: Topic) -> None:
    first, *_ = await topic.of(window(1))

    assert WindowTransfer(Place(0, 0), "t-0-1", "alpha", "beta", "XTS", 5, 0, "COMMITTED", "p", "f") == first


async def test_a_page_begins_after_a_place(topic: Topic) -> None:
    whole = await topic.of(window(1))
    for index, one in enumerate(whole):
        assert whole[index + 1 :] == await topic.of(window(1), one.place)


async def test_clocks_of_ledger_workers_may_differ_from_the_brokers(topic: Topic) -> None:
    await topic.end(1, 3, 2 * HOUR_MS - CLOCK_SLACK_MS // 2)
    await topic.end(1, 3, 3 * HOUR_MS + CLOCK_SLACK_MS // 2)

    assert 3 == len(await topic.of(window(3)))


async def test_aborted_transactions_are_not_read(topic: Topic, kafka_bootstrap: str) -> None:
    now_ms = time.time_ns() // 1_000_000 - START_MS
    number = now_ms // HOUR_MS + 1
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=topic.name) as ledger:
        await ledger.begin_transaction()
        await topic.end(0, number, now_ms, ledger)
        await ledger.flush()
        await ledger.abort_transaction()
        async with ledger.transaction():
            await topic.end(0, number, now_ms + 1, ledger)

    deadline = time.monotonic() + 10.0  # a commit is answered before its markers are written
    found: list[str] = []
    while not found and time.monotonic() < deadline:
        found = await topic.ids_of(window(number, is_open=True))
    assert [f"t-0-{now_ms + 1}"] == found


async def test_records_that_retention_has_deleted(topic: Topic, kafka_bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(topic.name, 0): RecordsToDelete(before_offset=1)})
    await admin.close()

    assert ["t-0-2", "t-1-1", f"t-1-{HOUR_MS + 1}"] == await topic.ids_of(window(1))


async def test_a_reader_that_stops_early_frees_its_turn(topic: Topic) -> None:
    for _ in range(5):
        reading = topic.reader.read(window(1), None)
        assert await anext(reading)
        await reading.aclose()

    assert 4 == len(await topic.of(window(1)))


async def test_without_a_broker() -> None:
    reader = KafkaWindowTransfers(Settings(kafka_bootstrap="127.0.0.1:1", partitions=PARTITIONS))

    with pytest.raises(LedgerUnavailableError):
        await anext(reader.read(window(1), None))


async def test_after_the_last_partition_there_is_nothing(topic: Topic) -> None:
    """The page is empty, and the reading task is not cancelled, as closing an unused client would do."""
    await topic.end(1, 1, 10)

    assert [] == await topic.ids_of(window(1), Place(PARTITIONS, 0))
    assert [] == await topic.ids_of(window(1), Place(9054, 0))
