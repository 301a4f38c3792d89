"""Table `parties`, the built-in oracle: type/identifier -> the FSPs that have the party, on the key's partition."""

from __future__ import annotations

from typing import Any

import orjson

from clearinghub.domain.parties.party import Entries, PartyEntry
from clearinghub.engine.record import TableSpec

PARTIES_VERSION = 1


def encode_entries(row: Entries) -> bytes:
    """An identifier's row as bytes."""
    return orjson.dumps([PARTIES_VERSION, *([one.fsp, one.sub_id, one.currency] for one in row)])


def decode_entries(data: bytes) -> Entries:
    """The entries in a row's bytes. Raises ValueError for a shape of another version."""
    row: list[Any] = orjson.loads(data)
    if row[0] != PARTIES_VERSION:
        raise ValueError(f"parties row of version {row[0]!r}")
    return tuple(PartyEntry(*one) for one in row[1:])


PARTIES: TableSpec[Entries] = TableSpec("parties", encode_entries, decode_entries)
