"""Prints a day: a line for each step, a table of the accounts, and all differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from clearinghub.tools.client.hub_urls import HubUrls
from clearinghub.tools.client.money import shown_amount
from clearinghub.tools.client.reports import ReportPaths
from sandbox.demo.day.day_accounts import POSITION, SETTLEMENT, Accounts
from sandbox.demo.day.day_books import DayBooks
from sandbox.demo.day.day_plan import DayPlan
from sandbox.demo.day.problems import Problems
from sandbox.demo.tables import NOT_OK, OK, new_table, print_differences

LABEL_WIDTH: Final = 18


class Screen:
    """Prints the steps; each is marked by whether a difference was found since the step before."""

    def __init__(self, console: Console, problems: Problems) -> None:
        self.console = console
        self._problems = problems
        self._reported = 0

    def step(self, label: str, text: str) -> None:
        """Print a step that is done, with its mark."""
        mark = OK if len(self._problems.found) == self._reported else NOT_OK
        self._reported = len(self._problems.found)
        self.console.print(f"  {mark} {label:<{LABEL_WIDTH}}{text}", highlight=False, soft_wrap=True)

    def accounts(self, plan: DayPlan, books: DayBooks, accounts: Accounts, windows: Sequence[int]) -> None:
        """Print by currency and DFSP what the settled windows held and what the accounts hold now.

        A DFSP's name is cut to its role, so that the table fits into 80 columns.
        """
        table = new_table()
        table.add_column("ccy")
        table.add_column("DFSP")
        for heading in ("paid", "was paid", "settled net", "position now", "funds"):
            table.add_column(heading, justify="right")
        table.add_column("")
        for currency in plan.currencies:
            gross = books.gross(windows, currency)
            for name in plan.traders[currency]:
                account = (currency, name)
                position, funds = accounts.balances[account, POSITION], accounts.balances[account, SETTLEMENT]
                expected = (books.position(account), books.settlement(account))
                is_right = expected == (position.value_units, funds.value_units)
                sums = gross[name]
                amounts = (sums.debits, sums.credits, sums.net, position.value_units, -funds.value_units)
                table.add_row(currency, name.split("-")[1], *map(shown_amount, amounts), OK if is_right else NOT_OK)
            table.add_section()
        self.console.print(table)

    def reports(self, urls: HubUrls, base_path: str, settlements: Sequence[int], windows: Sequence[int]) -> None:
        """Print the addresses of two reports, to be opened in a browser."""
        paths = ReportPaths(base_path)
        self.console.print("  Two of the reports, for a browser:", style="dim")
        for path in (paths.settlement(settlements[0]), paths.transfers(windows[0])):
            self.console.print(f"  [cyan]{urls.admin}{path}?format=html[/cyan]", highlight=False, soft_wrap=True)

    def end(self, seed: int) -> None:
        """Print the first differences with the seed that repeats the day, or that there are none."""
        problems = self._problems
        print_differences(self.console, problems.found, indent="  ")
        if problems.found:
            text = f"{len(problems.found):,} of {problems.checked:,} comparisons differ. --seed {seed} repeats the day."
            self.console.print(f"\n  {text}", style="bold red", highlight=False)
            return
        text = f"Every position, account and sum is what it must be: {problems.checked:,} comparisons."
        self.console.print(f"\n  ✓ {text}", style="green", highlight=False)
