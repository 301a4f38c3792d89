"""An aborted transaction in an input is no gap; on a real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clearinghub.engine.transaction import PartitionProducer
from tests.engine.harness import Outputs, Worker, create_toy_topics, order, send_orders
from tests.engine.toy import PARTITIONS, toy_config

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

IDLE_S = 3.0  # longer than a fetch waits


async def test_aborted_records_alone_are_no_gap(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A worker that died leaves such credits in the inputs of others; it may be long until a record follows."""
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    worker = Worker(kafka_bootstrap, topic_prefix, tmp_path / "data")
    await worker.ready()
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        await send_orders(kafka_bootstrap, topic_prefix, range(100))
        await outputs.read_until(100, within_s=30)
        await _write_and_abort(kafka_bootstrap, topic_prefix, tmp_path)
        await asyncio.sleep(IDLE_S)
        await send_orders(kafka_bootstrap, topic_prefix, range(100, 200))
        await outputs.read_until(200, within_s=30)
    assert 0 == await worker.stop()

    assert 1 == len(worker.ready_lines()), worker.said
    outputs.check(range(200))


async def _write_and_abort(bootstrap: str, prefix: str, data_dir: Path) -> None:
    """Send as an owner that dies in its commit: the start of the next owner aborts its transaction."""
    config = toy_config(bootstrap, f"{prefix}other-", data_dir)
    owner = PartitionProducer(config, 0)
    await owner.start()
    _account, value = order(1_000)
    await owner._producer.begin_transaction()
    for partition in range(PARTITIONS):
        sent = await owner._producer.send(prefix + "in", value, key=b"never", partition=partition)
        await sent
    successor = PartitionProducer(config, 0)
    await successor.start()
    await successor.stop()
    await owner.stop()
