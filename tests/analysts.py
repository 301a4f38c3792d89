"""Checks records against the schemas of the analysts' topics (docs/topics/)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from jsonschema_rs import Draft202012Validator

FOLDER: Final = Path(__file__).parents[1] / "docs/topics"
TOPICS: Final = ("transfers", "positions", "settlement-windows", "settlements")
FETCH_TIMEOUT_MS: Final = 200


@cache
def schema_of(topic: str) -> dict[str, Any]:
    """Return the topic's published schema."""
    (path,) = FOLDER.glob(f"{topic}.v*.schema.json")
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


@cache
def validator_of(topic: str) -> Draft202012Validator:
    """Return a validator of the topic's records that also refuses unknown fields, which readers must accept."""
    return Draft202012Validator(_closed(schema_of(topic)), validate_formats=True)


def check_record(topic: str, value: bytes) -> None:
    """Raise ValidationError for a record that breaks its topic's schema; ignore other topics."""
    if topic in TOPICS:
        validator_of(topic).validate(orjson.loads(value))


async def check_written(bootstrap: str, prefix: str, partitions: int) -> dict[str, int]:
    """Check all committed records of the four topics, as `check_record`; return the number of records by topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        return {topic: await _check_topic(consumer, topic, prefix, partitions) for topic in TOPICS}
    finally:
        await consumer.stop()


async def _check_topic(consumer: AIOKafkaConsumer, topic: str, prefix: str, partitions: int) -> int:
    places = [TopicPartition(prefix + topic, number) for number in range(partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends = await consumer.end_offsets(places)
    count = 0
    for place, end in ends.items():
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(place, timeout_ms=FETCH_TIMEOUT_MS)).get(place, ()):
                check_record(topic, record.value)
                count += 1
    return count


def _closed(schema: Any) -> Any:
    """Return the schema, changed to refuse all fields that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: value if key in ("examples", "enum", "const") else _closed(value) for key, value in schema.items()}
    if schema.get("type") == "object":
        closed["unevaluatedProperties"] = False
    return closed
