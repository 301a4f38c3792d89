"""The reports: where each is, what of it is shown, and what of it the books must bear out."""

from __future__ import annotations

import argparse
import csv
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

from clearinghub.tools.admin.screen import Answer
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

SHOWN_MAX = 1_000  # transfers on the screen
QUIET = timedelta(seconds=5)  # what is younger may still be on its way to the ledger's books


class Wanted(ABC):
    """One report that is wanted; all methods raise AdminError."""

    def __init__(self, admin: AdminClient, path: str) -> None:
        self.admin = admin
        self._path = path

    def path(self, form: Form) -> str:
        """Where it is."""
        return in_form(self._path, form)

    @abstractmethod
    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        """It for the screen, and why it does not add up."""

    @abstractmethod
    async def figures(self) -> Figures:
        """What it says, to be compared."""

    async def faults(self) -> tuple[str, ...]:
        """Why it does not add up, where it is not shown."""
        return ()


class WantedReport(Wanted):
    """The report of a window or of a settlement."""

    def __init__(self, admin: AdminClient, paths: ReportPaths, kind: str, number: int) -> None:
        super().__init__(admin, paths.window(number) if kind == "window" else paths.settlement(number))
        self._kind = kind
        self._number = number

    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        """All of it."""
        report = await read_report(self.admin, self._path, REPORT)
        return report_answer(f"{self._kind} {self._number}", report), report.faults

    async def figures(self) -> Figures:
        """What each participant has in each flow."""
        return ReportFigures(self._kind, self._number, await read_report(self.admin, self._path, REPORT))

    async def faults(self) -> tuple[str, ...]:
        """As it says itself."""
        return (await read_report(self.admin, self._path, REPORT)).faults


class WantedTransfers(Wanted):
    """The transfers of a window."""

    def __init__(self, admin: AdminClient, paths: ReportPaths, number: int) -> None:
        super().__init__(admin, paths.transfers(number))
        self._number = number

    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        """The first of them."""
        path = in_form(self._path, Form.JSON, limit=SHOWN_MAX)
        found = await read_report(self.admin, path, TRANSFERS)
        return transfers_answer(self._number, found), found.faults

    async def figures(self) -> Figures:
        """What all of them add up to."""
        figures = TransfersFigures(self._number)
        await _read(figures, self.admin.download(self.path(Form.CSV)))
        return figures


class WantedStatement(Wanted):
    """The statement of an account."""

    def __init__(self, admin: AdminClient, chosen: argparse.Namespace, account_id: int) -> None:
        super().__init__(admin, ReportPaths.statement(chosen.name, account_id))
        self._account_id = account_id
        self._about = f"{chosen.name} {chosen.currency} {chosen.type}"
        # Two requests for it must be for the same period.
        now = datetime.now(UTC) - (QUIET if chosen.verify else timedelta(0))
        self._end = chosen.end or now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._begin = chosen.begin

    def path(self, form: Form) -> str:
        """Where it is."""
        return in_form(self._path, form, to=self._end, **{"from": self._begin})

    async def answer(self) -> tuple[Answer, tuple[str, ...]]:
        """The first lines."""
        return statement_answer(self._about, await read_report(self.admin, self.path(Form.JSON), STATEMENT)), ()

    async def figures(self) -> Figures:
        """The balances, and all changes between them."""
        figures = StatementFigures(self._about, self._account_id)
        await _read(figures, self.admin.download(self.path(Form.CSV)))
        return figures


async def _read(figures: TransfersFigures | StatementFigures, body: AsyncGenerator[bytes, None]) -> None:
    try:
        await figures.read(body)
    except (KeyError, ValueError, csv.Error) as error:
        raise AdminError(f"the hub's answer cannot be read: {error!r}") from error


async def wanted_of(admin: AdminClient, base_path: str, chosen: argparse.Namespace) -> Wanted:
    """The report that the command line asks for."""
    paths = ReportPaths(base_path)
    if chosen.kind == "statement":
        account = await Operations(admin).account(chosen.name, chosen.currency, chosen.type)
        return WantedStatement(admin, chosen, account.account_id)
    if chosen.kind == "transfers":
        return WantedTransfers(admin, paths, chosen.number)
    return WantedReport(admin, paths, chosen.kind, chosen.number)
