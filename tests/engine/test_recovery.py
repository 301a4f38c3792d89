"""Recovery of a large table into an empty folder: how fast, and how soon the worker is ready behind it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import orjson
import pytest

from clearinghub.engine.transaction import PartitionProducer
from tests.engine.harness import Worker, create_toy_topics
from tests.engine.toy import COUNTS, PARTITIONS, toy_config

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ROWS = 200_000
ROWS_OF_A_ROUND = 500
ROW = orjson.dumps("r" * 400)
READY_AFTER_MS_MAX = 2_000


async def test_recovery_of_200_000_rows(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Written as rounds write them: transactions of 500 rows, with their markers."""
    config = toy_config(kafka_bootstrap, topic_prefix, tmp_path)
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    changelog = config.changelog(COUNTS.name)

    async def write(partition: int) -> None:
        producer = PartitionProducer(config, partition)
        await producer.start()
        for start in range(0, ROWS // PARTITIONS, ROWS_OF_A_ROUND):
            keys = [f"{partition}-{start + number:07d}".encode() for number in range(ROWS_OF_A_ROUND)]
            await producer.commit([(changelog, partition, key, ROW) for key in keys])
        await producer.stop()

    await asyncio.gather(*(write(partition) for partition in range(PARTITIONS)))
    worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "empty")
    await worker.ready()
    await asyncio.sleep(0.5)
    assert 0 == await worker.stop()

    report = re.search(r"ready_after_ms=(\d+)\s+rows=(\d+)\s+seconds=([\d.]+)", worker.said)
    assert report is not None, worker.said
    ready_after_ms, rows, seconds = int(report[1]), int(report[2]), float(report[3])
    print(f"\nrecovery: {rows} rows of {len(ROW)} bytes in {seconds:.2f} s = {rows / seconds:,.0f} rows/s, "
          f"ready {ready_after_ms} ms behind the last")  # fmt: skip
    assert ROWS == rows
    assert ready_after_ms <= READY_AFTER_MS_MAX
