"""The reports at the end of the day, in every form, beside the day's books."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Final

from clearinghub.tools.client.admin import AdminClient
from clearinghub.tools.client.money import units
from clearinghub.tools.client.reports import REPORT, STATEMENT, Form, Report, ReportPaths, in_form, read_report
from sandbox.demo.day.accounts import POSITION, SETTLEMENT, Accounts
from sandbox.demo.day.books import DayBooks, Gross
from sandbox.demo.day.plan import DayPlan
from sandbox.demo.day.problems import Problems

DAY_BEGIN: Final = "2000-01-01T00:00:00Z"  # before any; the accounts are new
WRONG: Final = "does not add up"


class ReportCheck:
    """All methods raise AdminError; what differs is told to `problems`."""

    def __init__(self, admin: AdminClient, base_path: str, plan: DayPlan, books: DayBooks, problems: Problems) -> None:
        self._admin = admin
        self._paths = ReportPaths(base_path)
        self._plan = plan
        self._books = books
        self._problems = problems
        self.count = 0

    async def window(self, number: int) -> None:
        """A window's, of all currencies of the day."""
        expected = {currency: self._books.gross([number], currency) for currency in self._plan.currencies}
        await self._report(f"report of window {number}", self._paths.window(number), expected)

    async def settlement(self, number: int, windows: Iterable[int], currency: str, state: str) -> None:
        """A settlement's, of its currency."""
        expected = {currency: self._books.gross(windows, currency)}
        what = f"report of settlement {number}"
        report = await self._report(what, self._paths.settlement(number), expected)
        states = {line.state for section in report.sections for line in section.rows}
        self._problems.check(f"{what}: states", (state, {state}), (report.state, states))

    async def transfers(self, number: int, ids: set[str]) -> None:
        """The list of a window's transfers: those that were booked in it, and their sum."""
        what = f"transfers of window {number}"
        path = self._paths.transfers(number)
        rows = [row for row in await self._csv(path) if row["transferId"] in ids]
        sums = sum(units(row["amount"]) for row in rows)
        expected = [
            gross for currency in self._plan.currencies for gross in self._books.gross([number], currency).values()
        ]
        self._problems.check(f"{what}: count", sum(gross.debit_count for gross in expected), len(rows))
        self._problems.check_amount(f"{what}: sum", sum(gross.debits for gross in expected), sums)
        await self._page(what, path)

    async def statements(self, accounts: Accounts) -> None:
        """Of every account: from nothing, change by change, to what it must hold."""
        for account in self._plan.accounts:
            for account_type, expected in (
                (POSITION, self._books.position(account)),
                (SETTLEMENT, self._books.settlement(account)),
            ):
                path = self._paths.statement(account[1], accounts.account_id(account, account_type))
                await self._statement(f"statement of {account[1]} {account_type} {account[0]}", path, expected)

    async def _statement(self, what: str, path: str, expected: int) -> None:
        period = {"from": DAY_BEGIN}
        rows = await self._csv(path, **period)
        value = 0
        for row in rows[1:-1]:
            value += units(row["change"])
            self._problems.check_amount(
                f"{what}: balance behind change {row['changeNumber']}", value, units(row["value"])
            )
        edges = (units(rows[0]["value"]), units(rows[-1]["value"]))
        self._problems.check(f"{what}: opening and closing balance", (0, expected), edges)
        told = await read_report(self._admin, in_form(path, Form.JSON, **period), STATEMENT)
        self._problems.check_amount(f"{what}: opening balance", 0, told.opening_units)
        if told.rest is None:
            self._problems.check_amount(f"{what}: closing balance as JSON", expected, told.closing_units)
        await self._page(what, path, **period)

    async def _report(self, what: str, path: str, expected: Mapping[str, Mapping[str, Gross]]) -> Report:
        """As JSON and as CSV; of others who trade in currencies of their own nothing is known."""
        report = await read_report(self._admin, path, REPORT)
        self._problems.check(f"{what}: faults", (), report.faults)
        told: dict[str, dict[str, Gross]] = {currency: {} for currency in expected}
        for section in report.sections:
            if section.currency not in expected or section.account_type != POSITION:
                continue
            self._problems.check_amount(f"{what}: nets of {section.currency} together", 0, section.total.net_units)
            for line in section.rows:
                gross = Gross(line.debits_units, line.credits_units, line.debit_count, line.credit_count)
                self._problems.check_amount(f"{what}: net of {line.participant}", gross.net, line.net_units)
                told[section.currency][line.participant] = gross
        self._compare(what, expected, told)
        as_csv: dict[str, dict[str, Gross]] = {currency: {} for currency in expected}
        for row in await self._csv(path):
            if row["currency"] in expected and row["ledgerAccountType"] == POSITION:
                as_csv[row["currency"]][row["participant"]] = Gross(
                    units(row["debits"]), units(row["credits"]), int(row["debitCount"]), int(row["creditCount"])
                )
        self._compare(f"{what} as CSV", expected, as_csv)
        await self._page(what, path)
        return report

    def _compare(
        self, what: str, expected: Mapping[str, Mapping[str, Gross]], told: Mapping[str, Mapping[str, Gross]]
    ) -> None:
        for currency, by_name in expected.items():
            for name in sorted(by_name.keys() | told[currency].keys()):
                one, other = by_name.get(name, Gross()), told[currency].get(name, Gross())
                self._problems.check(f"{what}: {name} {currency}", one, other)

    async def _csv(self, path: str, **query: str) -> list[dict[str, str]]:
        text = (await self._whole(path, Form.CSV, **query)).decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))

    async def _page(self, what: str, path: str, **query: str) -> None:
        text = (await self._whole(path, Form.HTML, **query)).decode()
        self._problems.check(f"{what}: a whole page", (True, False), (text.endswith("</html>\n"), WRONG in text))
        self.count += 1

    async def _whole(self, path: str, form: Form, **query: str) -> bytes:
        return b"".join([part async for part in self._admin.download(in_form(path, form, **query))])
