"""Checks records against the schemas of the analysts' topics (docs/topics/)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from jsonschema_rs import Draft202012Validator

from tests.topics import records_of

FOLDER: Final = Path(__file__).parents[1] / "docs/topics"
TOPICS: Final = ("transfers", "positions", "settlement-windows", "settlements")


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
    counts = {}
    for topic in TOPICS:
        records = await records_of(bootstrap, prefix + topic, partitions)
        for record in records:
            check_record(topic, record.value)
        counts[topic] = len(records)
    return counts


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
