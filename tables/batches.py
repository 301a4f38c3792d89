"""Table `batches`: requestId/source -> Batch, on the request id's partition, while its parties are being registered."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.parties.batch import Batch
from clearinghub.engine.record import TableSpec, row_table

BATCHES: Final[TableSpec[Batch]] = row_table("batches", Batch)


def batch_key(source: str, request_id: str) -> str:
    """Return the row key of a batch; two DFSPs may choose the same id, and a request id contains no slash."""
    return f"{request_id}/{source}"


def split_batch_key(key: str) -> tuple[str, str]:
    """Return the request id and the source of a row key."""
    request_id, _, source = key.partition("/")
    return request_id, source
