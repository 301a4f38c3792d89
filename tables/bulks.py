"""Table `bulks`: bulk transfer id -> Bulk, on the payer's partition; found also by what is due and what is old."""

from __future__ import annotations

from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.engine.record import TableSpec
from tables.codec import decode_bulk, encode_bulk
from tables.transfers import DUE, FINISHED, at


def entries(key: str, row: Bulk) -> tuple[tuple[bytes, bool], ...]:
    """A bulk with pending lines stands in the order of expiry, a finished one in the order of its end."""
    finished_at_ms = row.finished_at_ms
    due = (at(DUE, row.expires_at_ms) + key.encode(), finished_at_ms is None)
    if finished_at_ms is None:
        return (due,)
    return (due, (at(FINISHED, finished_at_ms) + key.encode(), True))


BULKS: TableSpec[Bulk] = TableSpec("bulks", encode_bulk, decode_bulk, entries)
