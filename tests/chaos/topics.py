"""Final states and dead letters, read from the topics when all is quiet."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from clearinghub.kafka.topology import load_topology
from tests.integration.hub_under_test import PARTITIONS
from tests.topics import records_of


async def final_states(bootstrap: str) -> dict[str, list[str]]:
    """Return all final states of every transfer, by id."""
    found: dict[str, list[str]] = {}
    for value in await _values(bootstrap, "transfers"):
        row = orjson.loads(value)
        if row["kind"] == "transfer":
            found.setdefault(row["transferId"], []).append(row["state"])
    return found


async def dead_letters(bootstrap: str) -> Counter[str]:
    """Return the dead letters by topic, receiver of the callback and error, with their counts."""
    found: Counter[str] = Counter()
    for value in await _values(bootstrap, "dead-letter"):
        about: dict[str, Any] = orjson.loads(value.partition(b"\n")[0])
        found[f"{about['topic']} {about.get('receiver', '')} {about['error']}"] += 1
    return found


async def _values(bootstrap: str, topic: str) -> list[bytes]:
    count = load_topology().topics[topic].partition_count(PARTITIONS)
    return [record.value for record in await records_of(bootstrap, topic, count)]
