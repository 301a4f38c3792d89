"""Queries for reports: where each report is, what of it is shown, and what of it the books must confirm."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from clearinghub.tools.client.admin import AdminClient, AdminError
from clearinghub.tools.client.operations import Operations
from clearinghub.tools.client.reports import REPORT, STATEMENT, TRANSFERS, Form, ReportPaths, in_form, read_report
from clearinghub.tools.report.figures import (
    Figures,
    ReportFigures,
    StatementFigures,
    TransfersFigures,
)
from clearinghub.tools.report.screen import report_answer, statement_answer, transfers_answer
from clearinghub.tools.screen import Answer

SHOWN_MAX: Final = 1_000  # transfers on the screen
QUIET: Final = timedelta(seconds=5)  # younger movements may not be booked yet


@dataclass(frozen=True, slots=True)
class Source:
    """Where reports come from; `verifies` if what they say will be compared with the books."""

    admin: AdminClient
    paths: ReportPaths
    verifies: bool


class ReportQuery(ABC):
    """A request for one report. All methods may raise AdminError."""

    def __init__(self, admin: AdminClient, path: str) -> None:
        self.admin = admin
        self._path = path

    def path(self, form: Form) -> str:
        """Return the report's path on the admin port in one of its forms."""
        return in_form(self._path, form)

    @abstractmethod
    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        """Return the report for the screen, and why it does not add up."""

    @abstractmethod
    async def figures(self) -> Figures:
        """Return what the report says, to be compared with the books."""

    async def faults(self) -> tuple[str, ...]:
        """Return why the report does not add up, where it is written in a form that does not say so."""
        return ()


class NetsQuery(ReportQuery):
    """The report of a window or of a settlement (`kind`)."""

    def __init__(self, source: Source, kind: str, number: int) -> None:
        paths = source.paths
        super().__init__(source.admin, paths.window(number) if kind == "window" else paths.settlement(number))
        self._kind = kind
        self._number = number

    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        report = await read_report(self.admin, self._path, REPORT)
        return report_answer(f"{self._kind} {self._number}", report), report.faults

    async def figures(self) -> Figures:
        """Return the sums of each participant in each netting group."""
        return ReportFigures(self._kind, self._number, await read_report(self.admin, self._path, REPORT))

    async def faults(self) -> tuple[str, ...]:
        """Return the faults that the report itself names."""
        return (await read_report(self.admin, self._path, REPORT)).faults


class TransfersQuery(ReportQuery):
    """The transfers of a window."""

    def __init__(self, source: Source, number: int) -> None:
        super().__init__(source.admin, source.paths.transfers(number))
        self._number = number

    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        """Return the first SHOWN_MAX transfers."""
        path = in_form(self._path, Form.JSON, limit=SHOWN_MAX)
        found = await read_report(self.admin, path, TRANSFERS)
        return transfers_answer(self._number, found), found.faults

    async def figures(self) -> Figures:
        """Return the sums of all transfers."""
        figures = TransfersFigures(self._number)
        await _read(figures, self.admin.download(self.path(Form.CSV)))
        return figures


class StatementQuery(ReportQuery):
    """The statement of an account over a period."""

    def __init__(self, source: Source, about: str, account_id: int, begin: str | None, end: str) -> None:
        name = about.split(" ", maxsplit=1)[0]
        super().__init__(source.admin, source.paths.statement(name, account_id))
        self._about = about
        self._account_id = account_id
        self._begin = begin
        self._end = end

    @classmethod
    async def of_account(
        cls, source: Source, name: str, currency: str, account_type: str, period: tuple[str | None, str | None]
    ) -> StatementQuery:
        """Find the account; a period without an end ends now.

        Raises:
            NoSuchAccountError: the participant has no such account.
        """
        account = await Operations(source.admin).account(name, currency, account_type)
        begin, end = period
        # The end is fixed here: two requests for the statement must be for the same period.
        now = datetime.now(UTC) - (QUIET if source.verifies else timedelta(0))
        end = end or now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return cls(source, f"{name} {currency} {account_type}", account.account_id, begin, end)

    def path(self, form: Form) -> str:
        """Return the path with the period."""
        return in_form(self._path, form, to=self._end, **{"from": self._begin})

    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        """Return the first entries, between the balances."""
        return statement_answer(self._about, await read_report(self.admin, self.path(Form.JSON), STATEMENT)), ()

    async def figures(self) -> Figures:
        """Return the balances, and all changes between them."""
        figures = StatementFigures(self._about, self._account_id)
        await _read(figures, self.admin.download(self.path(Form.CSV)))
        return figures


async def _read(figures: TransfersFigures | StatementFigures, body: AsyncGenerator[bytes, None]) -> None:
    try:
        await figures.read(body)
    except (KeyError, ValueError, csv.Error) as error:
        raise AdminError(f"the hub's answer cannot be read: {error!r}") from error
