"""The archive on a real broker: each record exactly once through kills, and an error for what cannot be archived."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import OffsetOutOfRangeError

from clearinghub.kafka.broker import LocalBroker
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.tools.archive.batch import Batch
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.folder import opened
from clearinghub.tools.archive.reader import Reader, cluster_id
from tests.archived import final, places_in, record, rows_in
from tests.commands import run_aside
from tests.integration.archived_topics import Topics
from tests.integration.hub_under_test import free_port, request

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = int(os.environ.get("ARCHIVE_KILLS", "5"))
SEED = 20_260_303
MANY = int(os.environ.get("ARCHIVE_RECORDS", "240000"))
AT_ONCE = 10_000
GROWTH_MIB_MAX = 64
STOP_S_MAX = 14  # less than the time limit of an announcement


@pytest.fixture
async def topics(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Topics]:
    topics = Topics(kafka_bootstrap, topic_prefix, tmp_path)
    await ensure_topics(topics.settings, load_topology())
    yield topics
    topics.close()


async def test_an_archive_killed_at_any_moment_has_each_record_once(topics: Topics) -> None:
    chance = random.Random(SEED)
    stop = asyncio.Event()

    async def keep_writing() -> None:
        async with topics.producer() as producer:
            while not stop.is_set():
                commits = chance.random() < 0.8
                await topics.write(producer, topics.some(chance, 40, commits=commits), commits=commits)
                await asyncio.sleep(0.02)

    writing = asyncio.create_task(keep_writing())
    amid = 0
    for number in range(KILLS):
        before = topics.files
        process = topics.start("--follow", "--every-s", "1", archive_port=free_port())
        async with asyncio.timeout(60):
            while topics.files == before:
                assert process.poll() is None, topics.output
                await asyncio.sleep(0.005)
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        async with asyncio.timeout(60):
            while number % 2 and not topics.is_committing:
                await asyncio.sleep(0.0005)
        process.kill()
        process.wait()
        amid += topics.is_committing
        await topics.check_progress()
        for name in ("transfers", "positions"):
            assert {1} >= set(places_in(topics.root, name).values())
    stop.set()
    await writing
    code, output = await topics.archive()

    assert 0 == code, output
    counts = await topics.check_whole()
    await topics.check_progress()
    assert amid, "some were to be killed in the midst of a batch"
    print(f"\n{KILLS} kills with -9, {amid} amid a batch, {topics.files} files, {counts}: missing 0, twice 0")


async def test_a_second_run_continues_after_the_first(topics: Topics) -> None:
    chance = random.Random(SEED)
    async with topics.producer() as producer:
        await topics.write(producer, topics.some(chance, 30))
        await topics.write(producer, topics.some(chance, 5, commits=False), commits=False)
        first, output = await topics.archive()
        assert (0, "65 records archived in ") == (first, output[:23])
        assert (0, "0 records archived in 0 files") == ((await topics.archive())[0], topics.output[:29])
        await topics.write(producer, topics.some(chance, 4))
        assert (0, "13 records") == ((await topics.archive())[0], topics.output[:10])

    counts = await topics.check_whole()
    assert {"transfers": 34, "positions": 34, "settlement-windows": 4, "settlements": 6} == counts
    await topics.check_progress()


async def test_open_transactions_are_not_archived(topics: Topics) -> None:
    async with topics.producer() as producer, topics.producer("other") as other:
        await other.begin_transaction()
        await other.send_and_wait(topics.settings.topic("positions"), record("positions"), partition=0)
        await topics.write(producer, [("positions", 0, record("positions")), ("positions", 1, record("positions"))])
        assert 0 == (await topics.archive())[0]
        assert {(1, 0): 1} == places_in(topics.root, "positions")
        await other.commit_transaction()
        assert 0 == (await topics.archive())[0]

    await topics.check_whole()


async def test_it_follows_until_it_is_stopped_and_reports_its_progress(topics: Topics) -> None:
    chance, port = random.Random(SEED), free_port()
    process = topics.start("--follow", "--every-s", "1", archive_port=port)
    try:
        async with topics.producer() as producer:
            for _ in range(3):
                await topics.write(producer, topics.some(chance, 10))
                await rows_are(topics, len(await topics.committed("transfers")))
        second = await run_aside(topics.environment, "archive")
        assert (1, True) == (second.code, "in use" in second.said), second.said
        status, metrics = await request("GET", f"http://127.0.0.1:{port}/metrics", None, {})
        assert 200 == status
        assert b'clearinghub_archived_records_total{topic="transfers"} 30.0' in metrics
    finally:
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 20)
    assert 0 == code, topics.output


async def test_it_waits_for_a_lost_broker_and_can_be_stopped_meanwhile(topic_prefix: str, tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "kafka", pid_file=tmp_path / "kafka.pid")
    topics = Topics(broker.start(), topic_prefix, tmp_path)
    try:
        await ensure_topics(topics.settings, load_topology())
        async with topics.producer() as producer:
            await topics.write(producer, [("transfers", 0, final(1))])
        process = topics.start("--follow", "--every-s", "1", archive_port=free_port())
        await rows_are(topics, 1)
        broker.stop(timeout_s=5)
        await asyncio.sleep(6)
        assert process.poll() is None, topics.output
        broker.start()
        async with topics.producer() as producer:
            await topics.write(producer, [("transfers", 0, final(2))])
        await rows_are(topics, 2)
        broker.stop(timeout_s=5)
        await asyncio.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.to_thread(process.wait, STOP_S_MAX), topics.output
    finally:
        topics.close()
        broker.stop(timeout_s=5)


async def rows_are(topics: Topics, count: int) -> None:
    async with asyncio.timeout(120):
        while places_in(topics.root, "transfers").total() < count:
            await asyncio.sleep(0.2)


async def test_records_that_a_topic_has_dropped_are_reported(topics: Topics) -> None:
    async with topics.producer() as producer:
        await topics.write(producer, [("transfers", 0, final(number)) for number in range(1, 6)])
        assert 0 == (await topics.archive())[0]
        await topics.write(producer, [("transfers", 0, final(number)) for number in range(6, 21)])
        await drop_records(topics, before=10)

        code, output = await topics.archive()
        assert (1, True) == (code, "transfers-0 has dropped offsets 6 to 9 before they were archived" in output), output
        code, output = await topics.archive("--accept-loss")
        assert (0, True) == (code, "transfers-0 has offsets 6 to 9 no more" in output), output
        code, output = await topics.archive()
        assert (0, True) == (code, "0 records archived" in output), output

    sequences = sorted(row["sequence"] for row in rows_in(topics.root, "transfers"))
    assert [*range(1, 6), *range(10, 21)] == sequences


async def test_records_dropped_while_they_are_read_are_not_skipped_silently(topics: Topics) -> None:
    async with topics.producer() as producer:
        await topics.write(producer, [("transfers", 0, final(number)) for number in range(1, 21)])
    reader = Reader(topics.settings)
    await reader.start()
    try:
        (extent,) = (one for one in await reader.extents() if one[:2] == ("transfers", 0))
        assert (0, 21) == extent[2:]
        await drop_records(topics, before=10)
        with pytest.raises(OffsetOutOfRangeError):
            await offsets_of(reader, Span(*extent))
        assert list(range(10, 20)) == await offsets_of(reader, Span("transfers", 0, 10, 21))
    finally:
        await reader.stop()


async def test_lost_files_are_copied_again(topics: Topics) -> None:
    async with topics.producer() as producer:
        for first in (1, 6, 11):
            await topics.write(producer, [("transfers", 0, final(number)) for number in range(first, first + 5)])
            assert 0 == (await topics.archive())[0]
    for path in topics.root.glob(f"transfers/**/transfers-0000-{6:019d}-*"):  # those that begin there
        path.unlink()
    assert [*range(5), *range(12, 17)] == sorted(offset for _partition, offset in places_in(topics.root, "transfers"))
    announced = await topics.committed("archived")

    code, output = await topics.archive()
    assert (0, "5 records archived") == (code, output[:18])
    await topics.check_whole()
    again = await topics.committed("archived")
    assert [*announced.values(), list(announced.values())[-1]] == list(again.values())


async def test_the_ledger_is_not_notified_while_a_file_is_missing(topics: Topics) -> None:
    """Records missing between two files: until they are copied, the ledger keeps its rows."""
    good = record("positions")
    async with topics.producer() as producer:
        await topics.write(producer, [("positions", 0, value) for value in (good, b'{"v":1}', good)])
    with opened(topics.root, await cluster_id(topics.settings), topics.settings.topic_prefix) as folder:
        for offset, end in ((0, 1), (2, 4)):
            batch = Batch("positions", 0, offset, None)
            batch.add(offset, good)
            folder.commit(batch, end)
    code, output = await topics.archive()

    assert (1, True) == (code, "positions-0 at offset 1 cannot be read by this version" in output), output
    assert {} == await topics.committed("archived")


async def offsets_of(reader: Reader, span: Span) -> list[int]:
    return [record.offset async for fetched in reader.read(span) for record in fetched.records]


async def drop_records(topics: Topics, before: int) -> None:
    """Delete records of topic `transfers`, partition 0, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.settings.kafka_bootstrap)
    await admin.start()
    place = TopicPartition(topics.settings.topic("transfers"), 0)
    await admin.delete_records({place: RecordsToDelete(before_offset=before)})
    await admin.close()


async def test_an_unreadable_record_stops_it_and_the_records_before_are_kept(topics: Topics) -> None:
    async with topics.producer() as producer:
        good, bad = ("positions", 0, record("positions")), ("positions", 0, b'{"v":1}')
        await topics.write(producer, [good, good, bad, good, ("transfers", 2, final(1))])
    code, output = await topics.archive()

    assert (1, True) == (code, "positions-0 at offset 2 cannot be read by this version" in output), output
    assert {(0, 0): 1, (0, 1): 1} == places_in(topics.root, "positions")
    assert {(2, 0): 1} == places_in(topics.root, "transfers")
    assert (1, True) == ((await topics.archive())[0], "at offset 2" in topics.output)


async def test_new_topics_are_not_mistaken_for_deleted_ones_of_the_same_name(topics: Topics) -> None:
    async with topics.producer() as producer:
        await topics.write(producer, [("transfers", 0, final(number)) for number in range(1, 6)])
        assert 0 == (await topics.archive())[0]
        await topics.write(producer, [("transfers", 0, final(1))])
    code, output = await topics.archive()

    assert (1, True) == (code, "this is not the topic that was archived so far" in output), output


async def test_without_topics_it_says_that_no_hub_has_run(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    code, output = await Topics(kafka_bootstrap, topic_prefix, tmp_path).archive()

    assert (3, True) == (code, "no hub has run with these settings" in output), output


async def test_memory_does_not_grow_with_the_number_of_records(topics: Topics) -> None:
    peaks_mib = []
    value = record("positions")
    async with topics.producer() as producer:
        for count in (MANY // 4, MANY):
            for _ in range(count // AT_ONCE):
                await topics.write(producer, [("positions", 0, value)] * AT_ONCE)
            process = topics.start()
            _pid, status, usage = await asyncio.to_thread(os.wait4, process.pid, 0)
            assert 0 == os.waitstatus_to_exitcode(status), topics.output
            process.returncode = 0
            peaks_mib.append(usage.ru_maxrss / 1024)
    assert MANY + MANY // 4 == places_in(topics.root, "positions").total()
    assert peaks_mib[1] - peaks_mib[0] < GROWTH_MIB_MAX, peaks_mib
    print(f"\n{MANY // 4:,} and {MANY:,} records: at most {peaks_mib[0]:.0f} and {peaks_mib[1]:.0f} MiB")
