"""How far the archive is, for the ledger: topic `archived`, compacted, one record for each partition."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

import orjson

from clearinghub.messages import VERSION


class ArchivedMessage(TypedDict):
    """On topic `archived`, keyed by topic and partition: all before `end` is in files that the disk has."""

    v: int
    topic: str
    partition: int
    end: int
    sequence: int | None  # of the last final state among them, on topic `transfers`


class Archived(NamedTuple):
    """What such a record says."""

    topic: str
    partition: int
    end: int
    sequence: int | None


def archived_key(topic: str, partition: int) -> str:
    """The key of a partition."""
    return f"{topic}/{partition}"


def encode_archived(message: ArchivedMessage) -> bytes:
    """A record's value."""
    return orjson.dumps(message)


def decode_archived(value: bytes) -> Archived:
    """What a record says.

    Raises:
        KeyError, TypeError, ValueError: it is none of this version.
    """
    row = orjson.loads(value)
    if row["v"] != VERSION:
        raise ValueError(f"version {row['v']!r}")
    return Archived(row["topic"], int(row["partition"]), int(row["end"]), row["sequence"])
