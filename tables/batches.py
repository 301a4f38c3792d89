"""Table `batches`: requestId/source -> Batch, on the request id's partition, while its parties are being registered."""

from __future__ import annotations

from typing import Any

import orjson

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.parties.batch import Batch, batch_items
from clearinghub.engine.record import TableSpec

BATCH_VERSION = 1


def batch_key(source: str, request_id: str) -> str:
    """Two DFSPs may choose the same id; a request id holds no slash."""
    return f"{request_id}/{source}"


def encode_batch(row: Batch) -> bytes:
    """A batch's row as bytes."""
    items = [[one.party.id_type, one.party.identifier, one.party.sub_id, one.fsp] for one in row.items]
    errors = [[number, error.code, error.description] for number, error in row.errors.items()]
    return orjson.dumps([BATCH_VERSION, row.run, items, row.currency, sorted(row.waiting), errors, row.trace])


def decode_batch(data: bytes) -> Batch:
    """The batch in a row's bytes. Raises ValueError for a shape of another version."""
    row: list[Any] = orjson.loads(data)
    if row[0] != BATCH_VERSION:
        raise ValueError(f"batch row of version {row[0]!r}")
    _, run, items, currency, waiting, errors, trace = row
    by_number = {number: ErrorInformation(code, description) for number, code, description in errors}
    return Batch(run, batch_items(items), currency, frozenset(waiting), by_number, trace)


BATCHES: TableSpec[Batch] = TableSpec("batches", encode_batch, decode_batch)
