"""Example records of the analysts' topics, and the contents of an archive of them."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from tests.analysts import check_record, schema_of

DAY_MS = 86_400_000
NOON_MS = 1_772_539_200_000  # 2026-03-03T12:00:00Z


def record(topic: str, example: int = 0, **changes: Any) -> bytes:
    """Return the example of the topic's page with some fields changed, checked against the schema."""
    row = {**copy.deepcopy(schema_of(topic)["examples"][example]), **changes}
    value = orjson.dumps(row)
    check_record(topic, value)
    return value


def final(sequence: int, **changes: Any) -> bytes:
    """Return the `sequence`-th final state of a partition; days and currencies alternate."""
    fields = {
        "sequence": sequence,
        "transferId": f"t-{sequence}",
        "currency": ("USD", "EUR")[sequence % 2],
        "finishedAt": f"2026-03-{3 + sequence % 4 // 2:02d}T12:00:00.000Z",
    }
    return record("transfers", **{**fields, **changes})


def rows_in(root: Path, dataset: str) -> list[dict[str, Any]]:
    """Return all rows of a data set, with the day, currency and file of their folder."""
    rows = []
    for path in sorted(root.glob(f"{dataset}/**/*.parquet")):
        day, currency = (folder.partition("=")[2] for folder in path.parts[-3:-1])
        fields = {"day": day, "currency": None if currency.startswith("__") else currency, "file": path.name}
        rows += [{**row, **fields} for row in pq.ParquetFile(path).read().to_pylist()]
    return rows


def places_in(root: Path, dataset: str) -> Counter[tuple[int, int]]:
    """Count how often each record is in a data set, by partition and offset."""
    return Counter((row["kafka_partition"], row["kafka_offset"]) for row in rows_in(root, dataset))
