"""All that a topic has, read by a consumer of its own from the beginning to the end that it has at the call."""

from __future__ import annotations

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

FETCH_TIMEOUT_MS: Final = 200


async def records_of(bootstrap: str, topic: str, partitions: int) -> list[Any]:
    """Return all committed records of partitions 0 to `partitions` - 1, those of one partition in their order."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False)
    async with consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)).values():
                found += records
    return found
