"""Compares the hub's reports at the end of the day, as JSON, CSV and HTML, with the day's books."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping
from typing import Final

from clearinghub.tools.client.admin import AdminClient
from clearinghub.tools.client.money import units
from clearinghub.tools.client.reports import REPORT, STATEMENT, Form, Report, ReportPaths, in_form, read_report
from sandbox.demo.day.day_accounts import POSITION, SETTLEMENT, Accounts
from sandbox.demo.day.day_books import DayBooks, Gross
from sandbox.demo.day.day_plan import DayPlan
from sandbox.demo.day.problems import Problems

DAY_BEGIN: Final = "2000-01-01T00:00:00Z"  # before every change, since the accounts are new
STATEMENTS_AT_ONCE: Final = 4  # as many as the hub reads at a time
WRONG: Final = "does not add up"  # on a page whose figures are wrong


class ReportCheck:
    """Reads reports and notes differences in `problems`; `count` reports were read. All methods raise AdminError."""

    def __init__(self, admin: AdminClient, base_path: str, plan: DayPlan, books: DayBooks, problems: Problems) -> None:
        self._admin = admin
        self._paths = ReportPaths(base_path)
        self._plan = plan
        self._books = books
        self._problems = problems
        self.count = 0

    async def window(self, number: int) -> None:
        """Check the report of a window for all currencies of the day."""
        expected = {currency: self._books.gross([number], currency) for currency in self._plan.currencies}
        await self._report(f"report of window {number}", self._paths.window(number), expected)

    async def settlement(self, number: int, windows: Iterable[int], currency: str, state: str) -> None:
        """Check the report of a settlement of these windows in its currency."""
        expected = {currency: self._books.gross(windows, currency)}
        what = f"report of settlement {number}"
        report = await self._report(what, self._paths.settlement(number), expected)
        states = {row.state for section in report.sections for row in section.rows}
        self._problems.check(f"{what}: states", (state, {state}), (report.state, states))

    async def transfers(self, number: int, ids: set[str]) -> None:
        """Check the number and sum of a window's listed transfers; `ids` are the day's, others are left out."""
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
        """Check the statement of every account: from zero, change by change, to what the account must hold."""
        statements = [
            (
                f"statement of {account[1]} {account_type} {account[0]}",
                self._paths.statement(account[1], accounts.account_id(account, account_type)),
                expected,
            )
            for account in self._plan.accounts
            for account_type, expected in (
                (POSITION, self._books.position(account)),
                (SETTLEMENT, self._books.settlement(account)),
            )
        ]
        for begin in range(0, len(statements), STATEMENTS_AT_ONCE):
            some = statements[begin : begin + STATEMENTS_AT_ONCE]
            await asyncio.gather(*(self._statement(*one) for one in some))

    async def _statement(self, what: str, path: str, expected: int) -> None:
        period = {"from": DAY_BEGIN}
        rows = await self._csv(path, **period)
        value = 0
        for row in rows[1:-1]:
            value += units(row["change"])
            self._problems.check_amount(
                f"{what}: balance after change {row['changeNumber']}", value, units(row["value"])
            )
        edges = (units(rows[0]["value"]), units(rows[-1]["value"]))
        self._problems.check(f"{what}: opening and closing balance", (0, expected), edges)
        statement = await read_report(self._admin, in_form(path, Form.JSON, **period), STATEMENT)
        self._problems.check_amount(f"{what}: opening balance", 0, statement.opening_units)
        if statement.rest is None:
            self._problems.check_amount(f"{what}: closing balance as JSON", expected, statement.closing_units)
        await self._page(what, path, **period)

    async def _report(self, what: str, path: str, expected: Mapping[str, Mapping[str, Gross]]) -> Report:
        """Check a report as JSON, CSV and HTML and return it; other currencies than the expected are left out."""
        report = await read_report(self._admin, path, REPORT)
        self._problems.check(f"{what}: faults", (), report.faults)
        as_json: dict[str, dict[str, Gross]] = {currency: {} for currency in expected}
        for section in report.sections:
            if section.currency not in expected or section.account_type != POSITION:
                continue
            self._problems.check_amount(f"{what}: nets of {section.currency} together", 0, section.total.net_units)
            for row in section.rows:
                gross = Gross(row.debits_units, row.credits_units, row.debit_count, row.credit_count)
                self._problems.check_amount(f"{what}: net of {row.participant}", gross.net, row.net_units)
                as_json[section.currency][row.participant] = gross
        self._compare(what, expected, as_json)
        as_csv: dict[str, dict[str, Gross]] = {currency: {} for currency in expected}
        for fields in await self._csv(path):
            if fields["currency"] in expected and fields["ledgerAccountType"] == POSITION:
                as_csv[fields["currency"]][fields["participant"]] = Gross(
                    *(units(fields[name]) for name in ("debits", "credits")),
                    *(int(fields[name]) for name in ("debitCount", "creditCount")),
                )
        self._compare(f"{what} as CSV", expected, as_csv)
        await self._page(what, path)
        return report

    def _compare(
        self, what: str, expected: Mapping[str, Mapping[str, Gross]], seen: Mapping[str, Mapping[str, Gross]]
    ) -> None:
        for currency, by_name in expected.items():
            for name in sorted(by_name.keys() | seen[currency].keys()):
                gross = seen[currency].get(name, Gross())
                self._problems.check(f"{what}: {name} {currency}", by_name.get(name, Gross()), gross)

    async def _csv(self, path: str, **query: str) -> list[dict[str, str]]:
        text = (await self._download(path, Form.CSV, **query)).decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))

    async def _page(self, what: str, path: str, **query: str) -> None:
        text = (await self._download(path, Form.HTML, **query)).decode()
        self._problems.check(
            f"{what}: page is complete, says that it is wrong",
            (True, False),
            (text.endswith("</html>\n"), WRONG in text),
        )
        self.count += 1

    async def _download(self, path: str, form: Form, **query: str) -> bytes:
        return b"".join([part async for part in self._admin.download(in_form(path, form, **query))])
