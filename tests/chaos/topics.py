"""Final states and dead letters, read from the topics when all is quiet."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.kafka.topology import load_topology
from tests.integration.hub_under_test import PARTITIONS

FETCH_TIMEOUT_MS: Final = 1_000


async def final_states(bootstrap: str) -> dict[str, list[str]]:
    """Return all final states of every transfer, by id."""
    found: dict[str, list[str]] = {}
    for value in await _read_all(bootstrap, "transfers"):
        row = orjson.loads(value)
        if row["kind"] == "transfer":
            found.setdefault(row["transferId"], []).append(row["state"])
    return found


async def dead_letters(bootstrap: str) -> Counter[str]:
    """Return the dead letters by topic, receiver of the callback and error, with their counts."""
    found: Counter[str] = Counter()
    for value in await _read_all(bootstrap, "dead-letter"):
        about: dict[str, Any] = orjson.loads(value.partition(b"\n")[0])
        found[f"{about['topic']} {about.get('receiver', '')} {about['error']}"] += 1
    return found


async def _read_all(bootstrap: str, topic: str) -> list[bytes]:
    count = load_topology().topics[topic].partition_count(PARTITIONS)
    places = [TopicPartition(topic, number) for number in range(count)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place, beginning in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, beginning)
        values: list[bytes] = []
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)).values():
                values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()
