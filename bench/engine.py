"""Measure the engine alone: records/s through one worker process, and through the same job in plain Faust, in one run.

    make bench-engine                     # or: python -m bench.engine --records 200000

Each record is about 1 KB and leads to two table rows and one output. A worker is timed from its first committed output
to its last; its CPU is read from /proc. The input topic is full before a worker starts.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import orjson
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table as RichTable

from clearinghub.config import Settings
from clearinghub.kafka.broker import LocalBroker
from tests.engine.harness import create_toy_topics, producing
from tests.engine.toy import ACCOUNTS, PARTITIONS

PADDING = "x" * 900
TIMEOUT_S = 300.0
QUIET_S = 4.0  # without a new output for so long a worker counts as finished


class Result(NamedTuple):
    """What one worker did; `cpu_s` and `seconds` are between its first and its last output."""

    records: int
    seconds: float
    cpu_s: float
    memory_mb: float


async def fill(bootstrap: str, prefix: str, records: int) -> None:
    """Write `records` records to the input topic."""
    async with producing(bootstrap) as producer:
        sent = []
        for number in range(records):
            account = f"account-{number % ACCOUNTS}"
            value = orjson.dumps({"id": f"{number:08d}", "account": account, "amount": 1, "padding": PADDING})
            sent.append(await producer.send(prefix + "in", value, key=account.encode()))
        await asyncio.gather(*sent)


async def measure(bootstrap: str, prefix: str, module: str, records: int) -> Result:
    """Run one worker (a module) until it has consumed the input; return what it did."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", module, bootstrap, prefix, folder, "0", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        watched = psutil.Process(process.pid)
        try:
            return await _watch(bootstrap, prefix, watched, records)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 30)


async def _watch(bootstrap: str, prefix: str, worker: psutil.Process, records: int) -> Result:
    consumer = AIOKafkaConsumer(
        prefix + "out", bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    deadline = time.monotonic() + TIMEOUT_S
    partitions = [TopicPartition(prefix + "out", number) for number in range(PARTITIONS)]
    try:
        while not sum((await consumer.end_offsets(partitions)).values()):
            await asyncio.sleep(0.01)
        began_at, cpu_before = time.monotonic(), _cpu_s(worker)
        # The outputs are counted afterwards: a reader at the same time would compete with the worker for a core. Until
        # then the output topic's end offsets show progress; the final QUIET_S without any do not count.
        last_end, moved_at = 0, began_at
        while time.monotonic() < min(deadline, moved_at + QUIET_S):
            await asyncio.sleep(0.05)
            end = sum((await consumer.end_offsets(partitions)).values())
            if end != last_end:
                last_end, moved_at, cpu_after = end, time.monotonic(), _cpu_s(worker)
        count = 0
        while count < records and (fetched := await consumer.getmany(timeout_ms=3_000)):
            count += sum(map(len, fetched.values()))
        return Result(count, moved_at - began_at, cpu_after - cpu_before, worker.memory_info().rss / 1e6)
    finally:
        await consumer.stop()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def run(bootstrap: str, records: int, plain_records: int) -> int:
    """Measure both workers one after the other; return the exit code, 1 if a record is missing."""
    results = {}
    for name, module, load in (
        ("engine: rounds of group commit", "tests.engine.toy", records),
        ("plain Faust, at least once", "bench.plain_faust", plain_records),
    ):
        prefix = f"bench{uuid.uuid4().hex[:6]}-"
        await create_toy_topics(bootstrap, prefix)
        await fill(bootstrap, prefix, load)
        results[name] = await measure(bootstrap, prefix, module, load)
    table = RichTable("worker", "records", "records/s", "CPU us/record", "memory MB")
    for name, result in results.items():
        rate = result.records / result.seconds
        cpu_us = result.cpu_s / result.records * 1e6
        table.add_row(name, f"{result.records:,}", f"{rate:,.0f}", f"{cpu_us:,.0f}", f"{result.memory_mb:,.0f}")
    console = Console(width=110)
    console.print(table)
    engine, plain = (result.records / result.seconds for result in results.values())
    console.print(f"ratio {engine / plain:.1f} in this run")
    return 0 if [records, plain_records] == [result.records for result in results.values()] else 1


def main() -> int:
    """Measure on KAFKA_BOOTSTRAP if that is set, otherwise on a broker of our own."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=150_000)
    arguments.add_argument("--plain-records", type=int, default=15_000)
    chosen = arguments.parse_args()
    bootstrap = Settings().kafka_bootstrap
    if bootstrap:
        return asyncio.run(run(bootstrap, chosen.records, chosen.plain_records))
    with tempfile.TemporaryDirectory() as folder:
        broker = LocalBroker(Path(folder) / "data", pid_file=Path(folder) / "kafka.pid")
        try:
            return asyncio.run(run(broker.start(), chosen.records, chosen.plain_records))
        finally:
            broker.stop(timeout_s=5)


if __name__ == "__main__":
    sys.exit(main())
