"""Table `bulks`: bulk transfer id -> Bulk, on the payer's partition; with an index by expiry and by end."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.engine.record import row_table
from tables.transfers import DUE, FINISHED, at


def entries(key: str, row: Bulk) -> tuple[tuple[bytes, bool], ...]:
    """Return the index entries of a bulk: an open one by its expiry, a final one by the end of its validity."""
    finished_at_ms = row.finished_at_ms
    due = (at(DUE, row.expires_at_ms) + key.encode(), finished_at_ms is None)
    if finished_at_ms is None:
        return (due,)
    return (due, (at(FINISHED, max(finished_at_ms, row.expires_at_ms)) + key.encode(), True))


BULKS: Final = row_table("bulks", Bulk, entries)
