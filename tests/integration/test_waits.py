"""The waiting times of records, reported over a real broker, and the recorder's batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from clearinghub.clock import BrokerClock, system_now_ms
from clearinghub.config import Settings
from clearinghub.engine.record import VALUE_BYTES_MAX
from clearinghub.kafka.load import VALID_S, LoadReporter, LoadView
from clearinghub.kafka.processes import CLOCKS_APART_MS_MAX, ProcessAnnouncer
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.ports import (
    MessageTooLargeError,
    RecorderBusyError,
    RecorderUnavailableError,
    RecordOutcomeUnknownError,
)
from tests.apart import settings_apart
from tests.fakes import FakeParticipants

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture
async def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    made = settings_apart(kafka_bootstrap, topic_prefix, partitions=3, data_dir=tmp_path)
    await ensure_topics(made, load_topology())
    return made


async def until(view: LoadView, partition: int, low_ms: int, high_ms: int) -> None:
    """Wait until the reported waiting time of the partition is between two values."""
    async with asyncio.timeout(10):
        while not low_ms <= view.waiting_ms(partition) <= high_ms:
            await asyncio.sleep(0.02)


async def test_a_waiting_time_is_reported_and_expires(settings: Settings) -> None:
    reporter = LoadReporter(settings, "ledger", dict)
    view = LoadView(settings, lambda _partition: 0)
    await view.start()
    await reporter.start()
    try:
        reporter.note(1, 3_000)
        reporter.note(1, 9_000)
        reporter.note(2, 50)  # too short to be reported
        await until(view, 1, 9_000, 9_000)
        assert view.waiting_ms(2) < 1_000  # at most this process's own delay
        await until(view, 1, 0, 1_000)
    finally:
        await reporter.stop()
        await view.stop()


async def test_the_end_of_a_wait_is_reported(settings: Settings) -> None:
    reporter = LoadReporter(settings, "ledger", dict)
    view = LoadView(settings, lambda _partition: 0)
    await view.start()
    await reporter.start()
    try:
        reporter.note(1, 9_000)
        await until(view, 1, 9_000, 9_000)
        reported_s = time.monotonic()
        await until(view, 1, 0, 1_000)
        assert time.monotonic() - reported_s < VALID_S / 2
    finally:
        await reporter.stop()
        await view.stop()


async def test_records_that_nobody_reads_are_reported_too(settings: Settings) -> None:
    since_ms = time.time_ns() // 1_000_000 - 60_000
    reporter = LoadReporter(settings, "ledger", lambda: {0: since_ms})
    view = LoadView(settings, lambda _partition: 0)
    await view.start()
    await reporter.start()
    try:
        await until(view, 0, 60_000, 75_000)
    finally:
        await reporter.stop()
        await view.stop()


async def test_unreadable_records_on_the_topic_are_skipped(settings: Settings, kafka_bootstrap: str) -> None:
    view = LoadView(settings, lambda _partition: 0)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await view.start()
    await producer.start()
    try:
        for value in (b"{", b"[]", b'{"waitedMs": 7}', b'{"waitedMs": {"x": 1}}', b'{"waitedMs": {"0": 7000}}'):
            await producer.send_and_wait(settings.topic("load"), value, key=b"ledger-0")
        await until(view, 0, 7_000, 7_000)
    finally:
        await producer.stop()
        await view.stop()


async def test_records_waiting_in_this_process_count_for_their_partition_alone(settings: Settings) -> None:
    view = LoadView(settings, lambda partition: 4_000 if partition == 2 else 0)
    await view.start()
    try:
        await until(view, 2, 4_000, 4_000)
        assert view.waiting_ms(1) < 1_000  # this process' own lag at most
    finally:
        await view.stop()


@pytest.fixture
async def recorder(settings: Settings) -> AsyncIterator[KafkaRecorder]:
    made = KafkaRecorder(settings)
    await made.start()
    yield made
    await made.stop()


async def read(settings: Settings, topic: str, count: int) -> list[tuple[bytes, bytes]]:
    """Return the keys and values of all records of a topic, by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(settings.topic(topic), one) for one in range(settings.partitions)])
        found: list[tuple[int, bytes, bytes]] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    found += [(place.partition, one.key or b"", one.value or b"") for one in records]
        return [(key, value) for _, key, value in sorted(found, key=lambda one: one[0])]
    finally:
        await consumer.stop()


async def test_every_confirmed_record_is_written_once_in_the_order_of_its_key(
    settings: Settings, recorder: KafkaRecorder
) -> None:
    values = {
        f"payer{key}": [b"%d" % number + b"x" * (number * 997 % 90_000) for number in range(60)] for key in range(5)
    }

    await asyncio.gather(
        *(recorder.record("prepare", key, value) for key, numbered in values.items() for value in numbered)
    )

    found = await read(settings, "prepare", 300)
    assert values == {key: [value for of, value in found if of == key.encode()] for key in values}
    assert {0} == {recorder.waiting_ms(partition) for partition in range(settings.partitions)}


async def test_more_records_than_may_wait_are_refused(settings: Settings) -> None:
    small = KafkaRecorder(settings.model_copy(update={"records_waiting_max": 3}))
    await small.start()
    try:
        outcomes = await asyncio.gather(
            *(small.record("prepare", "payer", b"1") for _ in range(5)), return_exceptions=True
        )
        assert 2 == sum(isinstance(one, RecorderBusyError) for one in outcomes)
        await small.record("prepare", "payer", b"1")
    finally:
        await small.stop()


async def test_a_message_that_the_broker_would_refuse_harms_no_other(
    settings: Settings, recorder: KafkaRecorder
) -> None:
    huge = b"x" * (VALUE_BYTES_MAX + 1)
    values = [b"1", huge, b"2", huge[:VALUE_BYTES_MAX], b"3"]

    outcomes = await asyncio.gather(
        *(recorder.record("prepare", "payer", value) for value in values), return_exceptions=True
    )

    assert [type(None), MessageTooLargeError, *[type(None)] * 3] == [type(one) for one in outcomes]
    assert [b"1", b"2", huge[:VALUE_BYTES_MAX], b"3"] == [value for _, value in await read(settings, "prepare", 4)]


async def test_a_cancelled_request_harms_no_other(settings: Settings, recorder: KafkaRecorder) -> None:
    given_up = asyncio.create_task(recorder.record("prepare", "payer", b"1"))
    others = [asyncio.create_task(recorder.record("prepare", "payer", b"2")) for _ in range(20)]
    await asyncio.sleep(0)
    given_up.cancel()

    assert [None] * 20 == await asyncio.gather(*others)
    assert len(await read(settings, "prepare", 20)) >= 20


async def test_without_a_confirmation_in_time_all_waiting_records_fail_and_no_later_one(settings: Settings) -> None:
    hasty = KafkaRecorder(settings.model_copy(update={"record_timeout_ms": 100}))
    await hasty.start()
    try:
        hasty._timeout_s = 0.0001
        outcomes = await asyncio.gather(
            *(hasty.record("prepare", f"payer{one}", b"%d" % one) for one in range(30)), return_exceptions=True
        )
        assert all(isinstance(one, RecorderUnavailableError | RecordOutcomeUnknownError) for one in outcomes)
        hasty._timeout_s = 5.0
        for payer in range(30):  # each partition is on its own
            await hasty.record("prepare", f"payer{payer}", b"later")
        assert {0} == {hasty.waiting_ms(partition) for partition in range(settings.partitions)}
    finally:
        await hasty.stop()
    found = {value for _, value in await read(settings, "prepare", 30)}
    refused = {b"%d" % one for one, error in enumerate(outcomes) if isinstance(error, RecorderUnavailableError)}
    assert set() == refused & found
    assert b"later" in found


async def test_a_process_knows_from_its_first_announcement_how_far_its_clock_is_ahead(settings: Settings) -> None:
    clock = BrokerClock(lambda: system_now_ms() + 2_000)
    announcer = ProcessAnnouncer(settings, "ledger", FakeParticipants(), clock)

    await announcer.start()
    await announcer.stop()

    assert 2_000 <= clock.lead_ms <= 2_500
    assert clock.surely_apart_ms > CLOCKS_APART_MS_MAX
