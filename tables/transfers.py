"""Table `transfers`: transfer id -> Transfer, on the payer's partition; with an index by expiry and by end."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.transfers.transfer import TRANSFER_KIND, Transfer
from clearinghub.engine.record import row_table

DUE: Final = b"due:"
FINISHED: Final = b"finished:"
NUMBERED: Final = b"number:"


def at(prefix: bytes, time_ms: int) -> bytes:
    """Return the place of a time in one of the two orders, DUE or FINISHED."""
    return prefix + b"%015d" % time_ms


def numbered(number: int) -> bytes:
    """Return the place of a number in the order of numbers."""
    return NUMBERED + b"%015d" % number


def valid_until_ms(row: Transfer) -> int:
    """Return the time from which on no copy of the transfer's messages can have an effect; the retention follows it.

    Until its expiration the prepare could reserve again if the transfer were not known any more.
    """
    return max(row.changed_at_ms, row.expires_at_ms)


def entries(key: str, row: Transfer) -> tuple[tuple[bytes, bool], ...]:
    """Return the index entries of a transfer: an open one is found by its expiry, a final one by its end.

    The end is that of its validity (`valid_until_ms`), for the retention begins then.

    All are found by their numbers. An item of a bulk has no other entry: it expires and leaves the table together with
    its bulk (tables/bulks.py).
    """
    by_number = () if row.number is None else ((numbered(row.number) + key.encode(), True),)
    if row.bulk_id is not None:
        return by_number
    due = (at(DUE, row.expires_at_ms) + key.encode(), row.kind == TRANSFER_KIND and not row.state.is_final)
    if not row.state.is_final:
        return (due, *by_number)
    return (due, (at(FINISHED, valid_until_ms(row)) + key.encode(), True), *by_number)


TRANSFERS: Final = row_table("transfers", Transfer, entries)
