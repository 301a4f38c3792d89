"""An account's statement as CSV and as a page; web/admin/statement.py has the JSON form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement, StatementEntry
from clearinghub.domain.time import timestamp_text
from web.reports.page import page_begin, page_end, page_link, page_note, page_table
from web.reports.table import Cell, Column, Kind, csv_header, csv_lines

OPENING: Final = "OPENING_BALANCE"
CLOSING: Final = "CLOSING_BALANCE"

_ABOUT: Final = (Column("participant", "participant"), Column("accountId", "account", Kind.COUNT))
_ENTRY: Final = (
    Column("changeNumber", "number", Kind.COUNT),
    Column("at", "booked, UTC", Kind.TIME),
    Column("transferId", "transfer", Kind.ID),
    Column("entryType", "entry"),
    Column("change", "change", Kind.AMOUNT),
    Column("value", "balance", Kind.AMOUNT),
)
_COLUMNS: Final = (*_ABOUT, Column("currency", "currency"), *_ENTRY)


async def statement_csv(
    account: Position, from_ms: int, to_ms: int, pages: AsyncIterator[Statement]
) -> AsyncGenerator[bytes, None]:
    """Yield a row for each entry, between a row for the balance before and a row for the balance after them."""
    about = (account.participant, account.account_id, account.currency)
    closing: int | None = None
    async for page in pages:
        rows: list[tuple[Cell, ...]] = [(*about, *_cells(entry)) for entry in page.entries]
        lead = b""
        if closing is None:
            rows.insert(0, (*about, *_balance(from_ms, OPENING, page.opening)))
            lead = csv_header(_COLUMNS)
        closing = page.closing
        yield lead + csv_lines(_COLUMNS, rows)
    yield csv_lines(_COLUMNS, [(*about, *_balance(to_ms, CLOSING, closing))])


def statement_page(
    hub_name: str, account: Position, period: tuple[int, int], pages: Sequence[Statement], rest: str | None
) -> bytes:
    """Return the statement as a page to print.

    `period` is in milliseconds since 1970; `rest` is the path of what does not fit on the page.
    """
    from_ms, to_ms = period
    first, last = pages[0], pages[-1]
    rows: list[tuple[Cell, ...]] = [
        _balance(from_ms, "opening balance", first.opening),
        *(_cells(entry) for page in pages for entry in page.entries),
    ]
    until_ms = to_ms if rest is None else last.entries[-1].at_ms
    name = "closing balance" if rest is None else "balance carried forward"
    facts = [
        ("Account", f"{account.account_id}, {account.account_type}"),
        ("Currency", account.currency),
        ("From", timestamp_text(from_ms)),
        ("To, not included", timestamp_text(to_ms)),
    ]
    parts = [
        page_begin(hub_name, f"Statement of {account.participant}", facts, "account statement"),
        ""
        if first.kept_from_ms is None
        else page_note(f"What was booked before {timestamp_text(first.kept_from_ms)} is no longer kept."),
        page_table(None, _ENTRY, rows, _balance(until_ms, name, last.closing)),
        "" if rest is None else page_link("The rest of the period", rest),
        page_end(),
    ]
    return "".join(parts).encode()


def _cells(entry: StatementEntry) -> tuple[Cell, ...]:
    return (
        entry.change_number,
        timestamp_text(entry.at_ms),
        entry.transfer_id,
        entry.entry_type,
        entry.change,
        entry.value,
    )


def _balance(at_ms: int, name: str, value: int | None) -> tuple[Cell, ...]:
    return (None, timestamp_text(at_ms), None, name, None, value)
