"""Nothing lost and nothing twice, whatever happens to the workers (design 4 and 5). Real Kafka, real RocksDB."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from clearinghub.engine.transaction import PartitionProducer
from tests.engine.harness import Outputs, Worker, check_tables, create_toy_topics, order, producing, send_orders
from tests.engine.toy import PARTITIONS, toy_config
from tests.topics import records_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

KILLS = int(os.environ.get("ENGINE_KILLS") or 6)
RECORDS_A_KILL = 8_000
SEED = 20_260_101


async def test_kills_at_random_points(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The worker is killed with -9, again and again; then the tables from the same data and from none."""
    chance = random.Random(SEED)
    numbers = range(KILLS * RECORDS_A_KILL)
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    sending = asyncio.create_task(send_orders(kafka_bootstrap, topic_prefix, numbers, rate_per_s=4_000))
    kills = 0
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "kept")
        while kills < KILLS:
            await worker.ready()
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            worker.kill()
            kills += 1
            await outputs.read(timeout_ms=0)
            worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "kept")
        await sending
        await outputs.read_until(len(numbers), within_s=180)
        assert 0 == await worker.stop()

    outputs.check(numbers)
    await check_tables(kafka_bootstrap, topic_prefix, tmp_path / "kept", numbers)
    await check_tables(kafka_bootstrap, topic_prefix, tmp_path / "empty", numbers)
    print(f"\nkill test: {kills} kills with -9, {len(numbers)} records, lost 0, twice 0")


async def test_paused_worker_is_fenced(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A worker that is paused past the session timeout is replaced; when it resumes, its writes are refused."""
    numbers = range(22_000)
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        first = Worker(kafka_bootstrap, topic_prefix, tmp_path / "first", "first")
        await first.ready()
        second = Worker(kafka_bootstrap, topic_prefix, tmp_path / "second", "second")
        await second.ready()
        sending = asyncio.create_task(send_orders(kafka_bootstrap, topic_prefix, numbers, rate_per_s=2_000))
        await asyncio.sleep(1)
        first.pause()
        reports = len(second.ready_lines())
        await second.ready(reports + 1)
        assert {0, 1, 2, 3} == second.ready_lines()[-1]
        await asyncio.sleep(1)
        first.resume()
        await sending
        await outputs.read_until(len(numbers), within_s=120)
        assert 0 == await second.stop()
        await first.stop()

    outputs.check(numbers)
    await check_tables(kafka_bootstrap, topic_prefix, tmp_path / "empty", numbers)


async def test_scaling_under_load(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """1 worker, 3 workers, 1 worker, while orders keep coming."""
    numbers = range(24_000)
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        workers = [Worker(kafka_bootstrap, topic_prefix, tmp_path / "0", "0")]
        await workers[0].ready()
        sending = asyncio.create_task(send_orders(kafka_bootstrap, topic_prefix, numbers, rate_per_s=1_500))
        for name in ("1", "2"):
            await asyncio.sleep(1)
            workers.append(Worker(kafka_bootstrap, topic_prefix, tmp_path / name, name))
            await workers[-1].ready()
        await asyncio.sleep(2)
        assert 3 == len([worker for worker in workers if worker.ready_lines()[-1]]), "each worker has partitions"
        for worker in workers[1:]:
            await asyncio.sleep(1)
            assert 0 == await worker.stop()
        await sending
        await outputs.read_until(len(numbers), within_s=120)
        assert 0 == await workers[0].stop()

    outputs.check(numbers)
    await check_tables(kafka_bootstrap, topic_prefix, tmp_path / "empty", numbers)


async def test_aborted_transactions_among_the_inputs(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A transaction that another worker left open is aborted; fetching only its markers is no gap."""
    numbers = range(400)
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "kept")
    await worker.ready()
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        for part in (numbers[:200], numbers[200:]):
            await send_aborted(kafka_bootstrap, topic_prefix, part)
            await asyncio.sleep(1)  # only the markers are fetched
            await send_orders(kafka_bootstrap, topic_prefix, part)
            await outputs.read_until(part.stop, within_s=60)
    assert 0 == await worker.stop()

    outputs.check(numbers)
    await check_tables(kafka_bootstrap, topic_prefix, tmp_path / "empty", numbers)


async def send_aborted(bootstrap: str, prefix: str, numbers: Sequence[int]) -> None:
    """Send orders in a transaction that is then aborted."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{prefix}dead")
    async with producer:
        await producer.begin_transaction()
        for number in numbers:
            account, value = order(number)
            await producer.send(prefix + "in", value, key=account.encode())
        await producer.flush()
        await producer.abort_transaction()


async def test_record_that_raises(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """It is dead-lettered with its error, changes nothing, and the partition continues."""
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    numbers = range(2_000)
    async with producing(kafka_bootstrap) as producer:
        for number in numbers:
            account, value = order(number)
            await producer.send(topic_prefix + "in", value, key=account.encode())
            if number % 100 == 50:
                _account, poison = order(number, id=f"{number + 1_000_000:08d}", poison=True)
                await producer.send(topic_prefix + "in", poison, key=account.encode())
    worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "kept")
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        await outputs.read_until(len(numbers), within_s=60)
    assert 0 == await worker.stop()

    outputs.check(numbers)
    dead = await records_of(kafka_bootstrap, topic_prefix + "dead", PARTITIONS)
    assert 20 == len(dead)
    assert all(b"PoisonError" in record.value for record in dead)
    await check_tables(kafka_bootstrap, topic_prefix, tmp_path / "empty", numbers)


async def test_fenced_without_a_rebalance(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Another process fences a partition that still belongs to the worker: it alone is opened again."""
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "kept")
    await worker.ready()
    intruder = PartitionProducer(toy_config(kafka_bootstrap, topic_prefix, tmp_path), 0)
    await intruder.start()
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        await send_orders(kafka_bootstrap, topic_prefix, range(200))
        await outputs.read_until(200, within_s=60)
    await intruder.stop()
    assert 0 == await worker.stop()

    assert 1 == worker.said.count("partition-opens-again")
    assert 1 == len(worker.ready_lines())
    outputs.check(range(200))
