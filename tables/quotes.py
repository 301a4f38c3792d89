"""Table `quotes`: resource and id -> StoredQuote, on the id's partition, with `quotes=stored`; indexed by expiry."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.quotes.stored_quote import StoredQuote
from clearinghub.engine.record import TableSpec, row_table

EXPIRES: Final = b"expires:"


def quote_key(resource: str, quote_id: str) -> str:
    """Return the row key of a quote or bulk quote; a quote and a bulk quote may have the same id."""
    return f"{resource}/{quote_id}"


def expires_at(time_ms: int) -> bytes:
    """Return the index entry, without its key, of a time in milliseconds since 1970."""
    return EXPIRES + b"%015d" % time_ms


def index_entries(key: str, row: StoredQuote) -> tuple[tuple[bytes, bool], ...]:
    """Return the row's index entries: at the request's expiry until there is an answer, then at the answer's.

    The request's entry is listed after that too, as absent, because an earlier version of the row may have written it.
    """
    request_entry = expires_at(row.request_until_ms) + key.encode()
    if row.answer is None:
        return ((request_entry, True),)
    answer_entry = expires_at(row.answer.until_ms) + key.encode()
    return ((request_entry, request_entry == answer_entry), (answer_entry, True))


QUOTES: Final[TableSpec[StoredQuote]] = row_table("quotes", StoredQuote, index_entries)
