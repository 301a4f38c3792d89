"""Records as the analysts' topics have them, and what an archive of them holds."""

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
    """An example of the topic's page, with some fields changed; still as the page says."""
    row = {**copy.deepcopy(schema_of(topic)["examples"][example]), **changes}
    value = orjson.dumps(row)
    check_record(topic, value)
    return value


def final(sequence: int, **changes: Any) -> bytes:
    """The `sequence`th final state of a partition: days and currencies alternate."""
    told = {
        "sequence": sequence,
        "transferId": f"t-{sequence}",
        "currency": ("USD", "EUR")[sequence % 2],
        "finishedAt": f"2026-03-{3 + sequence % 4 // 2:02d}T12:00:00.000Z",
    }
    return record("transfers", **{**told, **changes})


def rows_in(root: Path, dataset: str) -> list[dict[str, Any]]:
    """All rows of a data set, with what its folders tell."""
    rows = []
    for path in sorted(root.glob(f"{dataset}/**/*.parquet")):
        day, currency = (folder.partition("=")[2] for folder in path.parts[-3:-1])
        told = {"day": day, "currency": None if currency.startswith("__") else currency, "file": path.name}
        rows += [{**row, **told} for row in pq.ParquetFile(path).read().to_pylist()]
    return rows


def places_in(root: Path, dataset: str) -> Counter[tuple[int, int]]:
    """How often each record is in a data set, by its place on the topic."""
    return Counter((row["kafka_partition"], row["kafka_offset"]) for row in rows_in(root, dataset))
