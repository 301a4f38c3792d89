"""What a report says, to be compared with what the audit has counted from the topics."""

from __future__ import annotations

import csv
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from clearinghub.tools.audit.books import Books
from clearinghub.tools.audit.records import CHANGE, Entry, read
from clearinghub.tools.audit.settlements import NOTHING, NettingGroupOf, Sums, Tallies
from clearinghub.tools.client.money import shown_amount, units
from clearinghub.tools.client.reports import Report

FAULTS_MAX: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Figures(ABC):
    """The figures of one report."""

    def watch(self, entry: Entry) -> None:
        """See a record that the audit has entered."""
        del entry  # the audit's own sums are enough for most

    @abstractmethod
    def faults(self, books: Books) -> list[str]:
        """Return where the report differs from the books, which have all records up to the cut."""


class ReportFigures(Figures):
    """The sums of a window's or a settlement's report."""

    def __init__(self, kind: str, number: int, report: Report) -> None:
        self._kind = kind
        self._number = number
        self._reported = Tallies()
        for section in report.sections:
            group = (section.currency, section.account_type, section.granularity)
            for row in section.rows:
                sums = Sums(row.debits_units, row.credits_units, row.debit_count, row.credit_count)
                self._reported.add(group, row.participant, sums)

    def faults(self, books: Books) -> list[str]:
        """Compare by participant and netting group."""
        settlements = books.settlements
        counted = settlements.sums_of_window if self._kind == "window" else settlements.sums_of_settlement
        return _differences(self._reported.sums, counted(self._number))


class TransfersFigures(Figures):
    """The sums of the transfers of a window."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._reported = Tallies()

    async def read(self, body: AsyncGenerator[bytes, None]) -> None:
        """Add all transfers up, from CSV."""
        async for row in _rows(body):
            self._reported.add_transfer(
                row["currency"],
                (row["payer"], row["payee"]),
                units(row["amount"]),
                units(row["interchangeFee"]),
                is_gross=row["state"] == "SETTLED",
            )

    def faults(self, books: Books) -> list[str]:
        """Compare by participant and netting group."""
        return _differences(self._reported.sums, books.settlements.sums_of_window(self._number))


class StatementFigures(Figures):
    """The balances of an account's statement, and a digest of the changes between them."""

    def __init__(self, about: str, account_id: int) -> None:
        self._about = about
        self._account_id = account_id
        self._period = (0, 0)
        self._reported = _Changes()
        self._counted = _Changes()
        self._is_over = False

    async def read(self, body: AsyncGenerator[bytes, None]) -> None:
        """Read the statement, from CSV."""
        edges = []
        async for row in _rows(body):
            if row["changeNumber"]:
                self._reported.add(units(row["change"]))
            else:
                edges.append(row)
        first, last = edges
        self._period = (_milliseconds(first["at"]), _milliseconds(last["at"]))
        self._reported.opening, self._reported.closing = units(first["value"]), units(last["value"])

    def watch(self, entry: Entry) -> None:
        """Count the account's own records within the period."""
        if entry.topic != "positions" or self._is_over:
            return
        change = read(CHANGE, entry.value)
        if change.account_id != self._account_id:
            return
        (from_ms, to_ms), counted = self._period, self._counted
        if entry.at_ms < from_ms and not counted.count:
            counted.opening = counted.closing = change.value
            return
        if counted.opening is None:
            counted.opening = counted.closing = change.value - change.change
        self._is_over = entry.at_ms >= to_ms
        if not self._is_over:
            counted.add(change.change)
            counted.closing = change.value

    def faults(self, books: Books) -> list[str]:
        """Compare the account; `books` have judged how one balance follows from the other."""
        del books
        reported, counted = self._reported, self._counted
        pairs = (
            ("opening balance", shown_amount(reported.opening or 0), shown_amount(counted.opening or 0)),
            ("closing balance", shown_amount(reported.closing or 0), shown_amount(counted.closing or 0)),
            ("number of changes", f"{reported.count:,}", f"{counted.count:,}"),
            ("changes, by their digest,", reported.digest, counted.digest),
        )
        return [f"{self._about}: {name} {one}, counted {other}" for name, one, other in pairs if one != other]


class _Changes:
    """A run of changes of an account, in memory that does not grow with their number."""

    def __init__(self) -> None:
        self.opening: int | None = None
        self.closing: int | None = None
        self.count = 0
        self._digest = hashlib.sha256()

    def add(self, change: int) -> None:
        self.count += 1
        self._digest.update(b"%d\n" % change)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()[:12]


def _differences(
    reported: Mapping[tuple[NettingGroupOf, str], Sums], counted: Mapping[tuple[NettingGroupOf, str], Sums]
) -> list[str]:
    found = [
        f"{' '.join(group)} of {name}: reported {reported.get(key, NOTHING)}, counted {counted.get(key, NOTHING)}"
        for key in sorted(reported.keys() | counted.keys())
        for group, name in [key]
        if reported.get(key) != counted.get(key)
    ]
    more = len(found) - FAULTS_MAX
    return [*found[:FAULTS_MAX], f"and {more} more"] if more > 0 else found


async def _rows(body: AsyncGenerator[bytes, None]) -> AsyncIterator[dict[str, str]]:
    """Yield the rows of CSV as they come; no cell has a line end."""
    names: list[str] | None = None
    rest = b""
    async with aclosing(body) as parts:
        async for part in parts:
            *lines, rest = (rest + part).split(b"\r\n")
            for cells in csv.reader(_decoded(lines)):
                if names is None:
                    names = cells
                else:
                    yield dict(zip(names, cells, strict=True))


def _decoded(lines: list[bytes]) -> Iterator[str]:
    return (line.decode() for line in lines)


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
