"""Table `transfers`: transfer id -> Transfer, on the payer's partition; with an index by expiry and by end."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.transfers.transfer import TRANSFER_KIND, Transfer
from clearinghub.engine.record import row_table

DUE: Final = b"due:"
FINISHED: Final = b"finished:"


def at(prefix: bytes, time_ms: int) -> bytes:
    """Return the place of a time in one of the two orders, DUE or FINISHED."""
    return prefix + b"%015d" % time_ms


def entries(key: str, row: Transfer) -> tuple[tuple[bytes, bool], ...]:
    """Return the index entries of a transfer: an open one is found by its expiry, a final one by its end.

    An item of a bulk has none: it expires and leaves the table together with its bulk (tables/bulks.py).
    """
    if row.bulk_id is not None:
        return ()
    due = (at(DUE, row.expires_at_ms) + key.encode(), row.kind == TRANSFER_KIND and not row.state.is_final)
    if not row.state.is_final:
        return (due,)
    return (due, (at(FINISHED, row.changed_at_ms) + key.encode(), True))


TRANSFERS: Final = row_table("transfers", Transfer, entries)
