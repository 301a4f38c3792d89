"""Whether this release can read the rows that an earlier release has left in the changelogs."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.engine.record import INPUTS, OFFSETS, read_decided_offsets
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.topology.declared import changelog_name

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 10.0
FETCH_TIMEOUT_MS: Final = 200


async def check_stored_format(settings: Settings) -> None:
    """Check the rows of table `offsets`, whose topic must be there: each says in which format its partition's rows are.

    The first row of a partition is enough, because a release never writes beside rows of another format. If the broker
    does not answer in time nothing is refused here: the ledger checks again when it has recovered.

    Raises:
        StoredFormatError: the rows are of another format.
    """
    topic = changelog_name(settings.application_id, OFFSETS.name)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **kafka_access(settings),
    )
    await consumer.start()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await _check_first_rows(consumer, [TopicPartition(topic, number) for number in range(settings.partitions)])
    except TimeoutError:
        log.warning("stored-format-not-checked", topic=topic)
    finally:
        await consumer.stop()


async def _check_first_rows(consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> None:
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    await consumer.seek_to_beginning(*places)
    unread = set(places)
    while unread:
        fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)
        for place, records in fetched.items():
            value = next((one.value for one in records if one.key == INPUTS.encode() and one.value is not None), None)
            if value is not None:
                read_decided_offsets(place.partition, value)
                unread.discard(place)
                consumer.pause(place)
        for place in tuple(unread):  # a partition may be empty, or hold nothing but markers of transactions
            if await consumer.position(place) >= ends[place]:
                unread.discard(place)
