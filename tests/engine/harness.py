"""What the engine's tests share: topics, orders, worker processes, and the check that each order counted once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from clearinghub.engine.app import EngineApp
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import PunctuatorView, TableSpec
from tests.engine.toy import ACCOUNTS, BALANCES, COUNTS, PARTITIONS, TABLES, toy_config

REPOSITORY = Path(__file__).parents[2]
READY_WITHIN_S = 60.0


async def create_toy_topics(bootstrap: str, prefix: str) -> None:
    """Create the toy's topics: input, output, dead letters and changelogs."""
    config = toy_config(bootstrap, prefix, Path())
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    topics = [NewTopic(prefix + name, PARTITIONS, 1) for name in ("in", "out")]
    topics.append(NewTopic(prefix + "dead", PARTITIONS, 1))
    compacted = {"cleanup.policy": "compact"}
    topics.extend(NewTopic(config.changelog(table), PARTITIONS, 1, topic_configs=compacted) for table in TABLES)
    await admin.create_topics(topics)
    await admin.close()


def order(number: int, **extra: object) -> tuple[str, bytes]:
    """Return order `number` and its account. Amounts differ, so that a swapped order shows in the balances."""
    account = f"account-{number % ACCOUNTS}"
    line = {"id": f"{number:08d}", "account": account, "amount": number % 7 + 1, **extra}
    return account, orjson.dumps(line)


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a producer without transactions, like that of the ingress."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=131_072
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_orders(bootstrap: str, prefix: str, numbers: Sequence[int], rate_per_s: float | None = None) -> None:
    """Send orders, all at once or at a rate."""
    async with producing(bootstrap) as producer:
        started = time.monotonic()
        sent = []
        for count, number in enumerate(numbers):
            account, value = order(number)
            sent.append(await producer.send(prefix + "in", value, key=account.encode()))
            if rate_per_s is not None and count % 20 == 0:
                await asyncio.sleep(max(0.0, started + count / rate_per_s - time.monotonic()))
        await asyncio.gather(*sent)


class Worker:
    """A toy worker as a process, and its output."""

    def __init__(
        self, bootstrap: str, prefix: str, data_dir: Path, instance: str = "0", standby_replicas: int = 0
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._output = data_dir / f"worker-{instance}-{time.monotonic_ns()}.log"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.engine.toy",
                    bootstrap,
                    prefix,
                    str(data_dir),
                    instance,
                    str(standby_replicas),
                ],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        """All that the process has printed."""
        return self._output.read_text()

    def ready_lines(self) -> list[set[int]]:
        """Return the partitions that the worker has reported at work, one set for each report."""
        return [{int(word) for word in line.split()[1:]} for line in self.said.splitlines() if line[:5] == "ready"]

    async def ready(self, reports: int = 1) -> None:
        """Wait until the worker has made that many reports of partitions at work."""
        deadline = time.monotonic() + READY_WITHIN_S
        while len(self.ready_lines()) < reports:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """Kill the process, as the kernel would, without a chance to clean up."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Stop the process where it is, as a long pause would."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    async def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 30)


class Outputs:
    """Reads and checks the outputs of the toy's committed transactions."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.by_account: dict[str, list[tuple[int, int]]] = {}
        self.count = 0

    @classmethod
    @asynccontextmanager
    async def of(cls, bootstrap: str, prefix: str) -> AsyncIterator[Outputs]:
        """Yield a reader that begins at the first record."""
        consumer = AIOKafkaConsumer(
            prefix + "out", bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        await consumer.start()
        try:
            yield cls(consumer)
        finally:
            await consumer.stop()

    async def read_until(self, count: int, within_s: float) -> None:
        """Read until there are `count` outputs, and a moment longer, so that further ones would show."""
        deadline = time.monotonic() + within_s
        while self.count < count:
            assert time.monotonic() < deadline, f"{self.count} of {count} outputs"
            await self.read(timeout_ms=200)
        await self.read(timeout_ms=1_000)

    async def read(self, timeout_ms: int) -> None:
        for records in (await self._consumer.getmany(timeout_ms=timeout_ms)).values():
            for record in records:
                line = orjson.loads(record.value)
                self.by_account.setdefault(line["account"], []).append((int(line["id"]), line["balance"]))
                self.count += 1

    def check(self, numbers: Sequence[int]) -> None:
        """Check that each order counts exactly once, and each balance is the sum of the orders before it."""
        seen = Counter(number for lines in self.by_account.values() for number, _balance in lines)
        lost = [number for number in numbers if seen[number] == 0]
        twice = [number for number, times in seen.items() if times > 1]
        assert (0, 0) == (len(lost), len(twice)), f"lost {lost[:5]}, twice {twice[:5]}"
        for account, lines in self.by_account.items():
            balance = 0
            for number, reported in lines:
                balance += number % 7 + 1
                assert balance == reported, f"{account} at {number}"


def row_of(table: TableSpec[int], key: str, view: PunctuatorView) -> int | None:
    """Return a row; used as a query to a partition."""
    return view.get(table, key)


async def check_tables(bootstrap: str, prefix: str, data_dir: Path, numbers: Sequence[int]) -> float:
    """Recover into `data_dir`, compare every row with the orders, and return the seconds that recovery took."""
    app = EngineApp(toy_config(bootstrap, prefix, data_dir, instance="check"))
    ready = asyncio.Event()
    app.on_ready.append(ready.set)
    app.finalize()
    started = time.monotonic()
    await app.start()
    await asyncio.wait_for(ready.wait(), READY_WITHIN_S)
    took_s = time.monotonic() - started
    partition_of = Partitioner({"in": PARTITIONS})
    balances: Counter[str] = Counter()
    for number in numbers:
        balances[f"account-{number % ACCOUNTS}"] += number % 7 + 1
    try:
        for account, balance in balances.items():
            stored = await app.read(partition_of("in", account), partial(row_of, BALANCES, account))
            assert balance == stored, account
        for partition in range(PARTITIONS):
            keys = [f"{n:08d}" for n in numbers if partition_of("in", f"account-{n % ACCOUNTS}") == partition]
            counts = {await app.read(partition, partial(row_of, COUNTS, key)) for key in keys}
            assert counts <= {1}, "an order counted twice, or not at all"
    finally:
        await app.stop()
    return took_s
