"""The archive on a real broker: exactly once through kills, resumable, and honest about what it cannot do."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from clearinghub.archive.progress import decode_archived
from clearinghub.archive.shapes import DATASETS
from clearinghub.config import Settings
from clearinghub.topology import ensure_topics, load_topology
from tests.analysts import TOPICS
from tests.archived import NOON_MS, final, places_in, record, rows_in
from tests.integration.hub_under_test import REPOSITORY, free_port, request

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

PARTITIONS = 3
KILLS = int(os.environ.get("ARCHIVE_KILLS", "10"))
SEED = 20_260_303
MANY = int(os.environ.get("ARCHIVE_RECORDS", "300000"))
GROWTH_MIB_MAX = 64


class Topics:
    """The four topics of a test, and the command that archives them."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.settings = Settings(
            kafka_bootstrap=bootstrap, topic_prefix=prefix, application_id=f"{prefix}hub", partitions=PARTITIONS
        )
        self.root = folder / "archive"
        self.sequences: Counter[int] = Counter()
        self._log = folder / "archive.log"
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": bootstrap,
            "CLEARINGHUB_TOPIC_PREFIX": prefix,
            "CLEARINGHUB_DATA_DIR": str(folder),
            "CLEARINGHUB_RUN_DIR": str(folder / "run"),
        }

    def start(self, *options: str, **settings: object) -> subprocess.Popen[bytes]:
        extra = {f"CLEARINGHUB_{name.upper()}": str(value) for name, value in settings.items()}
        with self._log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "clearinghub", "archive", *options],
                cwd=REPOSITORY, env=self.environment | extra, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    async def archive(self, *options: str) -> tuple[int, str]:
        """Run it to its end; gives its exit code and what it said."""
        process = self.start(*options)
        code = await asyncio.to_thread(process.wait, 240)
        return code, self.said

    @property
    def said(self) -> str:
        return self._log.read_text()

    @asynccontextmanager
    async def producer(self, name: str = "ledger") -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka_bootstrap, transactional_id=f"{self.settings.topic_prefix}{name}"
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def write(
        self, producer: AIOKafkaProducer, records: Iterable[tuple[str, int, bytes]], *, commits: bool = True
    ) -> None:
        """One transaction of records: topic, partition and value."""
        await producer.begin_transaction()
        for topic, partition, value in records:
            await producer.send(self.settings.topic(topic), value, partition=partition)
        await (producer.commit_transaction() if commits else producer.abort_transaction())

    def some(self, chance: random.Random, count: int, *, commits: bool = True) -> list[tuple[str, int, bytes]]:
        """Records of all four topics, of several days and currencies."""
        records = []
        for _ in range(count):
            partition = chance.randrange(PARTITIONS)
            self.sequences[partition] += commits
            records.append(("transfers", partition, final(self.sequences[partition] + (not commits))))
            at_ms = NOON_MS + chance.randrange(2) * 86_400_000
            records.append(("positions", chance.randrange(PARTITIONS), record("positions", atMs=at_ms)))
        records.append(("settlement-windows", 1, record("settlement-windows", 0)))
        records.append(("settlement-windows", 1, record("settlement-windows", 1)))
        records.append(("settlements", 1, record("settlements")))
        return records

    async def committed(self, topic: str) -> dict[tuple[int, int], bytes]:
        """What a read-committed reader sees of a topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        try:
            count = 1 if topic == "archived" else PARTITIONS
            places = [TopicPartition(self.settings.topic(topic), number) for number in range(count)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            found: dict[tuple[int, int], bytes] = {}
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found |= {(one.partition, one.offset): one.value for one in records}
        finally:
            await consumer.stop()
        return found

    async def check_whole(self) -> dict[str, int]:
        """The archive has what the topics have: nothing is missing, and nothing is there twice."""
        counts = {}
        for topic in TOPICS:
            expected = await self.committed(topic)
            names = [name for name in DATASETS if name.startswith(topic.removesuffix("s"))]
            if topic == "settlements":
                names = [topic]
            found = sum((Counter(set(places_in(self.root, name))) for name in names), Counter())
            assert set(expected) == set(found), f"{topic}: {len(expected)} expected, {len(found)} found"
            assert {1} >= set(found.values())
            counts[topic] = len(expected)
        for topic in ("transfers", "positions"):  # one row a record
            assert {1} >= set(places_in(self.root, topic).values())
        told = await self.committed("transfers")
        for row in rows_in(self.root, "transfers"):
            line = orjson.loads(told[row["kafka_partition"], row["kafka_offset"]])
            assert (line["sequence"], line["transferId"], line["currency"], line["finishedAt"][:10]) == (
                row["sequence"], row["transfer_id"], row["currency"], row["day"],
            )  # fmt: skip
        return counts

    async def check_progress(self) -> None:
        """What the ledger is told is archived, is archived."""
        last = {
            (one.topic, one.partition): one for one in map(decode_archived, (await self.committed("archived")).values())
        }
        have = {topic: set(places_in(self.root, topic)) for topic in ("transfers", "positions")}
        for (topic, partition), told in last.items():
            if topic in have:
                expected = {
                    place for place in await self.committed(topic) if place[0] == partition and place[1] < told.end
                }
                assert expected <= have[topic], f"{topic}-{partition} was told to be archived to {told.end}"
            if topic == "transfers":
                sequences = {
                    row["sequence"] for row in rows_in(self.root, topic) if row["kafka_partition"] == partition
                }
                assert set(range(1, (told.sequence or 0) + 1)) <= sequences


@pytest.fixture
async def topics(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Topics:
    topics = Topics(kafka_bootstrap, topic_prefix, tmp_path)
    await ensure_topics(topics.settings, load_topology())
    return topics


async def test_killed_at_any_moment_it_leaves_neither_gaps_nor_doubles(topics: Topics) -> None:
    chance = random.Random(SEED)
    stop = asyncio.Event()

    async def keep_writing() -> None:
        async with topics.producer() as producer:
            while not stop.is_set():
                commits = chance.random() < 0.8
                await topics.write(producer, topics.some(chance, 40, commits=commits), commits=commits)
                await asyncio.sleep(0.02)

    writing = asyncio.create_task(keep_writing())
    sizes = set()
    for _ in range(KILLS):
        process = topics.start("--follow", "--every-s", "1", archive_port=free_port())
        await asyncio.sleep(chance.uniform(1.5, 5.0))
        assert process.poll() is None, topics.said
        process.kill()
        process.wait()
        sizes.add(len(list(topics.root.glob("*/**/*.parquet"))))
        await topics.check_progress()
        for name in ("transfers", "positions"):
            assert {1} >= set(places_in(topics.root, name).values())
    stop.set()
    await writing
    code, said = await topics.archive()

    assert 0 == code, said
    counts = await topics.check_whole()
    await topics.check_progress()
    files = len(list(topics.root.glob("*/**/*.parquet")))
    assert len(sizes) > KILLS // 2, "it was killed before it did anything"
    print(f"\n{KILLS} kills with -9, {files} files, records {counts}: missing 0, twice 0")


async def test_once_again_and_on(topics: Topics) -> None:
    chance = random.Random(SEED)
    async with topics.producer() as producer:
        await topics.write(producer, topics.some(chance, 30))
        await topics.write(producer, topics.some(chance, 5, commits=False), commits=False)
        first, said = await topics.archive()
        assert (0, "63 records archived in ") == (first, said[:23])
        assert (0, "0 records archived in 0 files") == ((await topics.archive())[0], topics.said[:29])
        await topics.write(producer, topics.some(chance, 4))
        assert (0, "11 records") == ((await topics.archive())[0], topics.said[:10])

    counts = await topics.check_whole()
    assert {"transfers": 34, "positions": 34, "settlement-windows": 4, "settlements": 2} == counts
    await topics.check_progress()


async def test_what_is_not_decided_is_not_archived(topics: Topics) -> None:
    async with topics.producer() as producer, topics.producer("other") as other:
        await other.begin_transaction()
        await other.send_and_wait(topics.settings.topic("positions"), record("positions"), partition=0)
        await topics.write(producer, [("positions", 0, record("positions")), ("positions", 1, record("positions"))])
        assert 0 == (await topics.archive())[0]
        assert {(1, 0): 1} == places_in(topics.root, "positions")
        await other.commit_transaction()
        assert 0 == (await topics.archive())[0]

    await topics.check_whole()


async def test_it_follows_until_it_is_stopped_and_tells_how_it_does(topics: Topics) -> None:
    chance, port = random.Random(SEED), free_port()
    process = topics.start("--follow", "--every-s", "1", archive_port=port)
    try:
        async with topics.producer() as producer:
            for _ in range(3):
                await topics.write(producer, topics.some(chance, 10))
                total = len(await topics.committed("transfers"))
                async with asyncio.timeout(60):
                    while len(places_in(topics.root, "transfers")) < total:
                        await asyncio.sleep(0.2)
        busy, said = await asyncio.to_thread(second, topics)
        assert (1, True) == (busy, "in use" in said), said
        status, told = await request("GET", f"http://127.0.0.1:{port}/metrics", None, {})
        assert 200 == status
        assert b'clearinghub_archived_records_total{topic="transfers"} 30.0' in told
    finally:
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 20)
    assert 0 == code, topics.said


def second(topics: Topics) -> tuple[int, str]:
    """Another archive of the same folder."""
    ended = subprocess.run(
        [sys.executable, "-m", "clearinghub", "archive"], cwd=REPOSITORY, env=topics.environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return ended.returncode, ended.stderr


async def test_records_that_a_topic_has_dropped_are_told(topics: Topics) -> None:
    async with topics.producer() as producer:
        await topics.write(producer, [("transfers", 0, final(number)) for number in range(1, 6)])
        assert 0 == (await topics.archive())[0]
        await topics.write(producer, [("transfers", 0, final(number)) for number in range(6, 21)])
        admin = AIOKafkaAdminClient(bootstrap_servers=topics.settings.kafka_bootstrap)
        await admin.start()
        place = TopicPartition(topics.settings.topic("transfers"), 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=10)})
        await admin.close()

        code, said = await topics.archive()
        assert (1, True) == (code, "transfers-0 has dropped offsets 6 to 9 before they were archived" in said), said
        code, said = await topics.archive("--accept-loss")
        assert (0, True) == (code, "transfers-0 has offsets 6 to 9 no more" in said), said
        code, said = await topics.archive()
        assert (0, True) == (code, "0 records archived" in said), said

    sequences = sorted(row["sequence"] for row in rows_in(topics.root, "transfers"))
    assert [*range(1, 6), *range(10, 21)] == sequences


async def test_a_record_that_cannot_be_read_stops_it_and_keeps_what_was_before(topics: Topics) -> None:
    async with topics.producer() as producer:
        good, bad = ("positions", 0, record("positions")), ("positions", 0, b'{"v":1}')
        await topics.write(producer, [good, good, bad, good, ("transfers", 2, final(1))])
    code, said = await topics.archive()

    assert (1, True) == (code, "positions-0 at offset 2 cannot be read by this version" in said), said
    assert {(0, 0): 1, (0, 1): 1} == places_in(topics.root, "positions")
    assert {(2, 0): 1} == places_in(topics.root, "transfers")
    assert (1, True) == ((await topics.archive())[0], "at offset 2" in topics.said)


async def test_topics_that_were_made_anew_are_not_taken_for_the_old_ones(topics: Topics) -> None:
    async with topics.producer() as producer:
        await topics.write(producer, [("transfers", 0, final(number)) for number in range(1, 6)])
        assert 0 == (await topics.archive())[0]
        await topics.write(producer, [("transfers", 0, final(1))])
    code, said = await topics.archive()

    assert (1, True) == (code, "this is not the topic that was archived so far" in said), said


async def test_no_hub_has_run(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    code, said = await Topics(kafka_bootstrap, topic_prefix, tmp_path).archive()

    assert (3, True) == (code, "no hub has run with these settings" in said), said


async def test_memory_does_not_grow_with_what_there_is_to_do(topics: Topics) -> None:
    peaks_mib = []
    value = record("positions")
    async with topics.producer() as producer:
        for count in (MANY // 4, MANY):
            await topics.write(producer, (("positions", 0, value) for _ in range(count)))
            process = topics.start()
            _pid, status, usage = await asyncio.to_thread(os.wait4, process.pid, 0)
            assert 0 == os.waitstatus_to_exitcode(status), topics.said
            process.returncode = 0
            peaks_mib.append(usage.ru_maxrss / 1024)
    assert MANY + MANY // 4 == places_in(topics.root, "positions").total()
    assert peaks_mib[1] - peaks_mib[0] < GROWTH_MIB_MAX, peaks_mib
    print(f"\n{MANY // 4:,} and {MANY:,} records: at most {peaks_mib[0]:.0f} and {peaks_mib[1]:.0f} MiB")
