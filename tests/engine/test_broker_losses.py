"""A real broker deletes records that nobody has decided, while the worker is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from clearinghub.engine.app import EngineApp
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.partitioner import Partitioner
from tests.engine.harness import Outputs, create_toy_topics, order, send_orders
from tests.engine.toy import PARTITIONS, toy_config

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
Accepts = Callable[[int, PartitionStoppedError], bool]


async def started(bootstrap: str, prefix: str, folder: Path, is_accepted: Accepts) -> EngineApp:
    """Return an app all of whose partitions work or are stopped."""
    app = EngineApp(replace(toy_config(bootstrap, prefix, folder), is_accepted=is_accepted))
    ready = asyncio.Event()
    app.on_ready.append(ready.set)
    app.finalize()
    await app.start()
    await asyncio.wait_for(ready.wait(), 60)
    return app


def never(_number: int, _stop: PartitionStoppedError) -> bool:
    return False


async def test_deleted_records_stop_their_partitions_until_an_operator_decides(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        app = await started(kafka_bootstrap, topic_prefix, tmp_path, never)
        await send_orders(kafka_bootstrap, topic_prefix, range(40))
        await outputs.read_until(40, within_s=30)
        await app.stop()
        await send_orders(kafka_bootstrap, topic_prefix, range(40, 80))
        lost = await delete_all(kafka_bootstrap, topic_prefix + "in", {0, 1})
        await send_orders(kafka_bootstrap, topic_prefix, range(80, 120))

        stops = []
        for _start in range(2):
            app = await started(kafka_bootstrap, topic_prefix, tmp_path, never)
            stops.append({number: (stop.code, stop.stop_id) for number, stop in app.stopped_partitions.items()})
            sentences = [app.stopped_partitions[number].sentence for number in (0, 1)]
            ready = app.ready_partitions
            await app.stop()
        assert {0: "input-lost", 1: "input-lost"} == {number: code for number, (code, _id) in stops[0].items()}
        assert stops[0] == stops[1]
        assert set(range(PARTITIONS)) - {0, 1} == ready
        assert all(f"begins at offset {lost[number]}" in sentences[number] for number in (0, 1)), sentences

        decided = {stop_id for _code, stop_id in stops[0].values()}
        app = await started(kafka_bootstrap, topic_prefix, tmp_path, lambda _number, stop: stop.stop_id in decided)
        assert set(range(PARTITIONS)) == app.ready_partitions
        partition_of = Partitioner({"in": PARTITIONS})
        kept = [number for number in range(40, 80) if partition_of("in", order(number)[0]) not in lost]
        expected = [*range(40), *kept, *range(80, 120)]
        await outputs.read_until(len(expected), within_s=30)
        await app.stop()
    seen = sorted(number for lines in outputs.by_account.values() for number, _balance in lines)
    assert expected == seen, "an order that was there was lost, or decided twice"


async def delete_all(bootstrap: str, topic: str, numbers: set[int]) -> dict[int, int]:
    """Delete all records of some partitions, and return where each begins now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        places = {TopicPartition(topic, number): RecordsToDelete(-1) for number in numbers}
        deleted = await admin.delete_records(places)
    finally:
        await admin.close()
    return {place.partition: offset for place, offset in deleted.items()}
