"""What a report says, beside what the audit has counted from the topics."""

from __future__ import annotations

import csv
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from clearinghub.tools.audit.books import Books
from clearinghub.tools.audit.records import Entry, change_of, row_of
from clearinghub.tools.audit.settlements import Counted, Sums
from clearinghub.tools.client.money import shown_amount, units
from clearinghub.tools.client.reports import Report

FAULTS_MAX: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING: Final = Sums(0, 0, 0, 0)


class Figures(ABC):
    """The figures of one report."""

    def watch(self, entry: Entry) -> None:
        """See a record that the audit has seen."""
        del entry  # the audit's own sums are enough for most

    @abstractmethod
    def faults(self, books: Books) -> list[str]:
        """Where the books say otherwise; they have seen everything."""


class ReportFigures(Figures):
    """Of a window or of a settlement."""

    def __init__(self, kind: str, number: int, report: Report) -> None:
        self._kind = kind
        self._number = number
        self._told: Counted = {}
        for section in report.sections:
            flow = (section.currency, section.account_type, section.granularity)
            for line in section.lines:
                sums = Sums(line.debits_units, line.credits_units, line.debit_count, line.credit_count)
                _add(self._told, flow, line.participant, sums)

    def faults(self, books: Books) -> list[str]:
        """By participant and flow."""
        counted = books.settlements.sums_of_window if self._kind == "window" else books.settlements.sums_of_settlement
        return _differences(self._told, counted(self._number))


class TransfersFigures(Figures):
    """Of the transfers of a window."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._told: Counted = {}

    async def read(self, body: AsyncGenerator[bytes, None]) -> None:
        """Add all of them up, from CSV."""
        async for row in _rows(body):
            amount, fee, currency = units(row["amount"]), units(row["interchangeFee"]), row["currency"]
            payer, payee = row["payer"], row["payee"]
            flow = (currency, "POSITION", "GROSS" if row["state"] == "SETTLED" else "NET")
            _add(self._told, flow, payer, Sums(amount, 0, 1, 0))
            _add(self._told, flow, payee, Sums(0, amount, 0, 1))
            if fee:
                owing, owed = (payer, payee) if fee > 0 else (payee, payer)
                of_fees = (currency, "INTERCHANGE_FEE", "NET")
                _add(self._told, of_fees, owing, Sums(abs(fee), 0, 1, 0))
                _add(self._told, of_fees, owed, Sums(0, abs(fee), 0, 1))

    def faults(self, books: Books) -> list[str]:
        """By participant and flow."""
        return _differences(self._told, books.settlements.sums_of_window(self._number))


class StatementFigures(Figures):
    """Of an account's statement: the balances, and the changes between them, of which only a digest is kept."""

    def __init__(self, about: str, account_id: int) -> None:
        self._about = about
        self._account_id = account_id
        self._period = (0, 0)
        self._told = _Changes()
        self._counted = _Changes()
        self._is_over = False

    async def read(self, body: AsyncGenerator[bytes, None]) -> None:
        """The statement, from CSV."""
        edges = []
        async for row in _rows(body):
            if row["changeNumber"]:
                self._told.add(units(row["change"]))
            else:
                edges.append(row)
        first, last = edges
        self._period = (_milliseconds(first["at"]), _milliseconds(last["at"]))
        self._told.opening, self._told.closing = units(first["value"]), units(last["value"])

    def watch(self, entry: Entry) -> None:
        """Count what the account's own records say: from the first that is not too early to the first too late."""
        if entry.topic != "positions" or self._is_over:
            return
        row = row_of(entry.value)
        if row["accountId"] != self._account_id:
            return
        change, (from_ms, to_ms), counted = change_of(row), self._period, self._counted
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
        """The account; `books` have judged how one balance follows from the other."""
        del books
        told, counted = self._told, self._counted
        pairs = (
            ("opening balance", shown_amount(told.opening or 0), shown_amount(counted.opening or 0)),
            ("closing balance", shown_amount(told.closing or 0), shown_amount(counted.closing or 0)),
            ("number of changes", f"{told.count:,}", f"{counted.count:,}"),
            ("changes, by their digest,", told.digest, counted.digest),
        )
        return [f"{self._about}: {name} {one}, counted {other}" for name, one, other in pairs if one != other]


class _Changes:
    """A run of changes of an account in memory that does not grow with it."""

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


def _differences(told: Mapping[tuple[tuple[str, str, str], str], Sums], counted: Counted) -> list[str]:
    found = [
        f"{' '.join(flow)} of {name}: told {_words(told.get(key, _NOTHING))}, counted "
        f"{_words(counted.get(key, _NOTHING))}"
        for key in sorted(told.keys() | counted.keys())
        for flow, name in [key]
        if told.get(key) != counted.get(key)
    ]
    more = len(found) - FAULTS_MAX
    return [*found[:FAULTS_MAX], f"and {more} more"] if more > 0 else found


def _words(sums: Sums) -> str:
    debits, credits_ = shown_amount(sums.debits), shown_amount(sums.credits)
    return f"{debits} in {sums.debit_count} debits and {credits_} in {sums.credit_count} credits"


def _add(told: Counted, flow: tuple[str, str, str], name: str, sums: Sums) -> None:
    told[flow, name] = told.get((flow, name), _NOTHING).plus(sums)


async def _rows(body: AsyncGenerator[bytes, None]) -> AsyncIterator[dict[str, str]]:
    """The rows of CSV whose cells have no line ends, as they come."""
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
