"""How an account's row becomes bytes: JSON, so that a person can read a changelog; first the version of its form."""

from __future__ import annotations

from typing import Any

import orjson

from clearinghub.domain.participants.position import Position

POSITION_VERSION = 1


def encode_position(row: Position) -> bytes:
    """Return an account's row as bytes."""
    return orjson.dumps([POSITION_VERSION, *row])


def decode_position(data: bytes) -> Position:
    """Return the account in a row's bytes. Raises ValueError for another version."""
    row: list[Any] = orjson.loads(data)
    if row[0] != POSITION_VERSION:
        raise ValueError(f"position row of version {row[0]!r}")
    return Position(*row[1:])
