"""What the day prints: a line for each step, one table, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from clearinghub.tools.client.hub_urls import HubUrls
from clearinghub.tools.client.money import shown_amount
from clearinghub.tools.client.reports import ReportPaths
from sandbox.demo.day.accounts import POSITION, SETTLEMENT, Accounts
from sandbox.demo.day.books import DayBooks
from sandbox.demo.day.plan import DayPlan
from sandbox.demo.day.problems import Problems

PROBLEMS_SHOWN_MAX: Final = 20
LABEL_WIDTH: Final = 18
OK: Final = "[green]✓[/green]"
NOT_OK: Final = "[bold red]✗[/bold red]"


class Screen:
    """Says of each step whether anything differed since the one before."""

    def __init__(self, console: Console, problems: Problems) -> None:
        self.console = console
        self._problems = problems
        self._told = 0

    def step(self, label: str, text: str) -> None:
        """One line, aligned with the others."""
        mark = OK if len(self._problems.told) == self._told else NOT_OK
        self._told = len(self._problems.told)
        self.console.print(f"  {mark} {label:<{LABEL_WIDTH}}{text}", highlight=False, soft_wrap=True)

    def accounts(self, plan: DayPlan, books: DayBooks, accounts: Accounts, windows: Sequence[int]) -> None:
        """By currency and DFSP: what the settled windows held, and what the accounts hold now.

        A DFSP's name is cut to its role, so that amounts have room on 80 columns.
        """
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("ccy")
        table.add_column("DFSP")
        for heading in ("paid", "was paid", "settled net", "position now", "funds"):
            table.add_column(heading, justify="right")
        table.add_column("")
        for currency in plan.currencies:
            gross = books.gross(windows, currency)
            for name in plan.traders[currency]:
                account = (currency, name)
                position, funds = accounts.held[account, POSITION], accounts.held[account, SETTLEMENT]
                expected = (books.position(account), books.settlement(account))
                is_right = expected == (position.value_units, funds.value_units)
                sums = gross[name]
                amounts = (sums.debits, sums.credits, sums.net, position.value_units, -funds.value_units)
                table.add_row(currency, name.split("-")[1], *map(shown_amount, amounts), OK if is_right else NOT_OK)
            table.add_section()
        self.console.print(table)

    def reports(self, urls: HubUrls, base_path: str, settlements: Sequence[int], windows: Sequence[int]) -> None:
        """Where there is something to look at, and to print."""
        paths = ReportPaths(base_path)
        for path in (paths.settlement(settlements[0]), paths.transfers(windows[0])):
            self.console.print(f"  [cyan]{urls.admin}{path}?format=html[/cyan]", highlight=False, soft_wrap=True)

    def end(self, seed: int) -> None:
        """Whether the day was good."""
        problems = self._problems
        for problem in problems.told[:PROBLEMS_SHOWN_MAX]:
            self.console.print(f"  ✗ {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
        if len(problems.told) > PROBLEMS_SHOWN_MAX:
            self.console.print(f"  … and {len(problems.told) - PROBLEMS_SHOWN_MAX:,} more", style="red")
        if problems.told:
            told = f"{len(problems.told):,} of {problems.checked:,} comparisons differ. --seed {seed} plays it again."
            self.console.print(f"\n  {told}", style="bold red", highlight=False)
            return
        told = f"Every position, account and sum is what it must be: {problems.checked:,} comparisons."
        self.console.print(f"\n  ✓ {told}", style="green", highlight=False)
