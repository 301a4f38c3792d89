"""Recovery of a large table into an empty folder: how soon the worker is ready; and with a standby replica."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import orjson
import pytest

from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets
from clearinghub.engine.transaction import NO_HEADERS, PartitionProducer
from clearinghub.rows import ROW_FORMAT
from tests.engine.harness import Outputs, Worker, create_toy_topics, send_orders
from tests.engine.toy import ACCOUNTS, COUNTS, PARTITIONS, toy_config
from tests.topics import records_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ROWS = 200_000
ROWS_OF_A_ROUND = 500
ROW = orjson.dumps("r" * 400)
LATER = (msgspec.Raw(b'"of a later release"'),)
DECIDED = DecidedOffsets(row_format=ROW_FORMAT, next_offsets={"in": 0}, later=LATER)
ROWS_PER_S_MIN = 2_000  # a fault that makes it slow for long, not a busy machine
READY = re.compile(r"partitions-ready .*?rows=(\d+)\s+seconds=([\d.]+)")


def recoveries(worker: Worker) -> list[tuple[int, float]]:
    """Of each opening that a worker has logged: the rows read, and the seconds until all partitions were ready."""
    return [(int(rows), float(seconds)) for rows, seconds in READY.findall(worker.said)]


async def test_recovery_of_200_000_rows(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The rows are written as rounds write them: in transactions of 500 rows."""
    config = toy_config(kafka_bootstrap, topic_prefix, tmp_path)
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    changelog = config.changelog(COUNTS.name)

    async def write(partition: int) -> None:
        producer = PartitionProducer(config, partition)
        await producer.start()
        decided = (config.changelog(OFFSETS.name), partition, INPUTS.encode(), OFFSETS.encode(DECIDED), NO_HEADERS)
        await producer.commit([decided])
        for start in range(0, ROWS // PARTITIONS, ROWS_OF_A_ROUND):
            keys = [f"{partition}-{start + number:07d}".encode() for number in range(ROWS_OF_A_ROUND)]
            await producer.commit([(changelog, partition, key, ROW, NO_HEADERS) for key in keys])
        await producer.stop()

    await asyncio.gather(*(write(partition) for partition in range(PARTITIONS)))
    worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "empty")
    await worker.ready()
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        await send_orders(kafka_bootstrap, topic_prefix, range(ACCOUNTS))
        await outputs.read_until(ACCOUNTS, within_s=60)
    assert 0 == await worker.stop()
    offsets = await records_of(kafka_bootstrap, config.changelog(OFFSETS.name), PARTITIONS)
    stored = {one.partition: one.value for one in offsets if one.key == INPUTS.encode()}
    assert PARTITIONS == len(stored)
    for value in stored.values():
        row = OFFSETS.decode(value)
        assert (LATER, True) == (row.later, row.next_offsets["in"] > 0), "a round writes what it does not know too"

    rows, seconds = recoveries(worker)[0]
    print(f"\nrecovery: {rows} rows of {len(ROW)} bytes, ready after {seconds:.2f} s = {rows / seconds:,.0f} rows/s")
    assert ROWS + PARTITIONS == rows
    assert rows / seconds >= ROWS_PER_S_MIN


async def test_standby_takes_over_with_little_to_read(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """With a standby replica each worker follows the other's partitions; the survivor has nearly all rows already."""
    numbers = range(20_000)
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    workers = []
    for name in ("first", "second"):
        workers.append(Worker(kafka_bootstrap, topic_prefix, tmp_path / name, name, standby_replicas=1))
        await workers[-1].ready()
    first, second = workers
    await asyncio.sleep(2)
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        await send_orders(kafka_bootstrap, topic_prefix, numbers)
        await outputs.read_until(len(numbers), within_s=60)
        await asyncio.sleep(3)
        reports = len(second.ready_lines())
        first.kill()
        await second.ready(reports + 1)
        assert set(range(PARTITIONS)) == second.ready_lines()[-1]
        more = range(len(numbers), len(numbers) + 1_000)
        await send_orders(kafka_bootstrap, topic_prefix, more)
        await outputs.read_until(len(numbers) + len(more), within_s=60)
    assert 0 == await second.stop()

    outputs.check(range(len(numbers) + len(more)))
    rows, _seconds = recoveries(second)[-1]
    assert rows < len(numbers) // 20, f"{rows} rows were still to be read"
