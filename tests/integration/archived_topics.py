"""The analysts' topics of a test, written in transactions as by the ledger, and the command that archives them."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from aiokafka import AIOKafkaProducer

from clearinghub.messages.archived import decode_archived
from clearinghub.tools.archive.datasets import DATASETS
from clearinghub.tools.archive.files import INCOMING
from tests.analysts import TOPICS
from tests.apart import environment_of, settings_apart
from tests.archived import NOON_MS, final, places_in, record, rows_in
from tests.integration.hub_under_test import REPOSITORY
from tests.topics import records_of

PARTITIONS = 3


class Topics:
    """The four topics of a test, and the command that archives them."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.settings = settings_apart(
            bootstrap, prefix, partitions=PARTITIONS, data_dir=folder, run_dir=folder / "run"
        )
        self.root = folder / "archive"
        self.sequences: Counter[int] = Counter()
        self._log = folder / "archive.log"
        self._started: list[subprocess.Popen[bytes]] = []
        self.environment = environment_of(self.settings)

    def start(self, *options: str, **settings: object) -> subprocess.Popen[bytes]:
        extra = {f"CLEARINGHUB_{name.upper()}": str(value) for name, value in settings.items()}
        with self._log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "clearinghub", "archive", *options],
                cwd=REPOSITORY,
                env=self.environment | extra,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill all processes that still run."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()

    async def archive(self, *options: str) -> tuple[int, str]:
        """Run the command to its end; return its exit code and output."""
        process = self.start(*options)
        code = await asyncio.to_thread(process.wait, 240)
        return code, self.output

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def files(self) -> int:
        """Return the number of records on the topics."""
        return sum(1 for _ in self.root.glob("*/**/*.parquet"))

    @property
    def is_committing(self) -> bool:
        """Whether a batch is being written to files, or was when the command was killed."""
        incoming = self.root / INCOMING
        return incoming.is_dir() and any(incoming.iterdir())

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
        """Write records (topic, partition, value) in one transaction."""
        await producer.begin_transaction()
        for topic, partition, value in records:
            await producer.send(self.settings.topic(topic), value, partition=partition)
        await (producer.commit_transaction() if commits else producer.abort_transaction())

    def some(self, chance: random.Random, count: int, *, commits: bool = True) -> list[tuple[str, int, bytes]]:
        """Return records of all four topics, of several days and currencies."""
        records = []
        for _ in range(count):
            partition = chance.randrange(PARTITIONS)
            self.sequences[partition] += commits
            records.append(("transfers", partition, final(self.sequences[partition] + (not commits))))
            at_ms = NOON_MS + chance.randrange(2) * 86_400_000
            records.append(("positions", chance.randrange(PARTITIONS), record("positions", atMs=at_ms)))
        records.append(("settlement-windows", 1, record("settlement-windows", 0)))
        records.append(("settlement-windows", 1, record("settlement-windows", 1)))
        records += [("settlements", 1, record("settlements", number)) for number in range(3)]
        return records

    async def committed(self, topic: str) -> dict[tuple[int, int], bytes]:
        """Return what a read-committed consumer reads of a topic."""
        count = 1 if topic == "archived" else PARTITIONS
        records = await records_of(self.settings.kafka_bootstrap, self.settings.topic(topic), count)
        return {(one.partition, one.offset): one.value for one in records}

    async def check_whole(self) -> dict[str, int]:
        """Assert that the archive has each record of the topics exactly once."""
        counts = {}
        for topic in TOPICS:
            expected = await self.committed(topic)
            names = [name for name in DATASETS if name == topic or name.startswith(f"{topic.removesuffix('s')}-")]
            if topic == "settlements":
                names.remove("settlement-windows")
                names.remove("settlement-window-nets")
            found = sum((Counter(set(places_in(self.root, name))) for name in names), Counter())
            assert set(expected) == set(found), f"{topic}: {len(expected)} expected, {len(found)} found"
            assert {1} >= set(found.values())
            counts[topic] = len(expected)
        for topic in ("transfers", "positions"):  # one row a record
            assert {1} >= set(places_in(self.root, topic).values())
        rows_by_place = await self.committed("transfers")
        for row in rows_in(self.root, "transfers"):
            written = orjson.loads(rows_by_place[row["kafka_partition"], row["kafka_offset"]])
            assert (written["sequence"], written["transferId"], written["currency"], written["finishedAt"][:10]) == (
                row["sequence"],
                row["transfer_id"],
                row["currency"],
                row["day"],
            )
        return counts

    async def check_progress(self) -> None:
        """Assert that all that the ledger was notified of as archived is in the archive."""
        last = {
            (one.topic, one.partition): one for one in map(decode_archived, (await self.committed("archived")).values())
        }
        have = {topic: set(places_in(self.root, topic)) for topic in ("transfers", "positions")}
        for (topic, partition), archived in last.items():
            if topic in have:
                expected = {
                    place for place in await self.committed(topic) if place[0] == partition and place[1] < archived.end
                }
                assert expected <= have[topic], f"{topic}-{partition} is reported as archived to {archived.end}"
            if topic == "transfers":
                sequences = {
                    row["sequence"] for row in rows_in(self.root, topic) if row["kafka_partition"] == partition
                }
                assert set(range(1, (archived.sequence or 0) + 1)) <= sequences
