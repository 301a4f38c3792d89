"""Table `transfers`: transfer id -> Transfer, on the payer's partition; found also by what is due and what is old."""

from __future__ import annotations

from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.engine.record import TableSpec
from tables.codec import decode_transfer, encode_transfer

DUE = b"due:"
FINISHED = b"finished:"


def at(prefix: bytes, time_ms: int) -> bytes:
    """The place of a time in one of the two orders."""
    return prefix + b"%015d" % time_ms


def entries(key: str, row: Transfer) -> tuple[tuple[bytes, bool], ...]:
    """A pending transfer stands in the order of expiry, a finished one in the order of its end; a bulk's line in none.

    A bulk's lines expire and leave the table together with it (tables/bulks.py).
    """
    if row.bulk_id is not None:
        return ()
    due = (at(DUE, row.expires_at_ms) + key.encode(), row.kind == "transfer" and not row.state.is_final)
    if not row.state.is_final:
        return (due,)
    return (due, (at(FINISHED, row.changed_at_ms) + key.encode(), True))


TRANSFERS: TableSpec[Transfer] = TableSpec("transfers", encode_transfer, decode_transfer, entries)
