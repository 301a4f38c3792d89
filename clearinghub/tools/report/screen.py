"""Reports as tables for the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clearinghub.tools.client.reports import Report, ReportNet, ReportSection, Statement, WindowTransfers
from clearinghub.tools.screen import Answer, Column, money

_NET_COLUMNS: Final = tuple(Column(heading, is_number=True) for heading in ("debits", "no.", "credits", "no.", "net"))
_TRANSFER_COLUMNS: Final = (
    Column("transfer"),
    Column("payer"),
    Column("payee"),
    Column("ccy"),
    Column("amount", is_number=True),
    Column("fee", is_number=True),
    Column("finished"),
)
_STATEMENT_COLUMNS: Final = (
    Column("no.", is_number=True),
    Column("booked"),
    Column("transfer"),
    Column("entry"),
    Column("change", is_number=True),
    Column("balance", is_number=True),
)


def report_answer(about: str, report: Report) -> Answer:
    """Show the report of a window or a settlement: a table for each currency and ledger account type."""
    done = f"{about} is {report.state}" + (f": {report.reason}" if report.reason else "")
    return Answer(None, sentences=(done,), more=[_section(section) for section in report.sections])


def transfers_answer(number: int, found: WindowTransfers) -> Answer:
    """Show the first transfers of a window."""
    rows = [
        (
            one.transfer_id,
            one.payer,
            one.payee,
            one.currency,
            money(one.amount_units),
            money(one.fee_units),
            one.finished_at,
        )
        for one in found.transfers
    ]
    more = [] if found.rest is None else ["there are more: --format csv has them all"]
    return Answer(None, _TRANSFER_COLUMNS, rows, [f"window {number} is {found.state}", *more])


def statement_answer(about: str, found: Statement) -> Answer:
    """Show the first entries of a statement, between the balances before and after them."""
    rows: list[Sequence[str]] = [("", found.from_at, "", "opening balance", "", money(found.opening_units))]
    rows += [
        (str(one.number), one.at, one.transfer_id, one.entry_type, money(one.change_units), money(one.value_units))
        for one in found.entries
    ]
    closing = "closing balance" if found.rest is None else "carried forward"
    rows.append(("", found.to_at if found.rest is None else "", "", closing, "", money(found.closing_units)))
    notes = [] if found.rest is None else ["there are more lines: --format csv has them all"]
    if found.kept_from is not None:
        notes.append(f"what was booked before {found.kept_from} is no longer kept")
    return Answer(None, _STATEMENT_COLUMNS, rows, notes, title=about)


def _section(section: ReportSection) -> Answer:
    by_pairs = any(row.counterparty for row in section.rows)
    has_state = any(row.state for row in section.rows)
    columns = [Column("participant"), *([Column("against")] if by_pairs else []), *_NET_COLUMNS]
    columns += [Column("state")] if has_state else []
    rows = [
        (
            row.participant,
            *([row.counterparty or ""] if by_pairs else []),
            *_cells(row),
            *([row.state or ""] if has_state else []),
        )
        for row in section.rows
    ]
    total = ("all", *([""] if by_pairs else []), *_cells(section.total), *([""] if has_state else []))
    gross = ", settled one by one" if section.granularity == "GROSS" else ""
    return Answer(None, columns, [*rows, total], title=f"{section.currency} {section.account_type}{gross}")


def _cells(net: ReportNet) -> tuple[str, ...]:
    return (
        money(net.debits_units),
        f"{net.debit_count:,}",
        money(net.credits_units),
        f"{net.credit_count:,}",
        money(net.net_units),
    )
