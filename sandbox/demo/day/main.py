"""The day: transfers, two windows closed under load, settlements, the bank, reports; all checked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clearinghub.config import Settings
from clearinghub.domain.settlement.settlement import ABORTED, RECORDED, RESERVED, SETTLED
from clearinghub.tools.client.admin import AdminClient, AdminError
from clearinghub.tools.client.hub_urls import HubUrls
from clearinghub.tools.client.operations import Operations
from sandbox.demo.day.accounts import Accounts
from sandbox.demo.day.books import DayBooks
from sandbox.demo.day.patience import PatientAdmin
from sandbox.demo.day.plan import CAP_UNITS, FUNDS_UNITS, DayPlan
from sandbox.demo.day.problems import Problems
from sandbox.demo.day.reports import ReportCheck
from sandbox.demo.day.screen import Screen
from sandbox.demo.day.settling import STEPS, Settling
from sandbox.demo.day.traffic import Traffic
from sandbox.demo.day.windows import ClosedWindow, Windows, book_windows
from sandbox.dfsp import SimulatedDfsp
from sandbox.scheme import Scheme

STEP_TIMEOUT_S: Final = 30.0
CREDITS_WITHIN_S: Final = 15.0  # payees' credits and the hub's side of funds follow on other partitions


class Day:
    """One day of one plan on one hub."""

    def __init__(self, settings: Settings, urls: HubUrls, plan: DayPlan, console: Console) -> None:
        self.problems = Problems()
        self._settings = settings
        self._urls = urls
        self._plan = plan
        self._books = DayBooks()
        self._screen = Screen(console, self.problems)
        self._dfsps = {name: SimulatedDfsp(name, urls.fspiop) for name in plan.names}
        self._settled: list[tuple[int, str, str]] = []  # settlement, currency, state
        self._ids: set[str] = set()  # of the transfers

    async def play(self, seed: int) -> int:
        """The whole day; gives how much differs.

        Raises:
            AdminError, SchemeError: the hub refused what the day needs.
        """
        async with AsyncExitStack() as stack:
            admin = await stack.enter_async_context(PatientAdmin(self._urls.admin))
            for dfsp in self._dfsps.values():
                await stack.enter_async_context(dfsp)
            accounts = Accounts(admin, self._settings.hub_name, self._plan)
            await self._set_up(admin, accounts)
            windows = await self._trade(admin, accounts)
            await self._settle(admin, accounts, windows)
            await self._report(admin, accounts, windows)
        self._screen.end(seed)
        return len(self.problems.told)

    async def _set_up(self, admin: AdminClient, accounts: Accounts) -> None:
        schemes = {
            currency: Scheme(admin, self._settings.hub_name, currency, step_timeout_s=STEP_TIMEOUT_S)
            for currency in self._plan.currencies
        }
        with self._screen.console.status("setting the scheme up"):
            for scheme in schemes.values():
                await scheme.ensure_currency()
            await accounts.begin()
            for currency, name in self._plan.accounts:
                is_new = currency == self._plan.currencies[0]  # which all have
                endpoints = self._dfsps[name].endpoints if is_new else {}
                await schemes[currency].ensure_dfsp(name, CAP_UNITS, endpoints)
                added = await schemes[currency].ensure_funds(name, FUNDS_UNITS)
                self._books.add_funds((currency, name), added)
            await Windows(admin, self._settings.settlement_base_path).close_what_was_before()
            await accounts.check("at the beginning", self._books, self.problems, CREDITS_WITHIN_S)
        self._screen.step("the scheme", f"{len(self._plan.names)} DFSPs, {len(self._plan.accounts)} positions, funded")

    async def _trade(self, admin: AdminClient, accounts: Accounts) -> list[ClosedWindow]:
        """All transfers, and two windows closed while they are on their way."""
        windows = Windows(admin, self._settings.settlement_base_path)
        traffic = Traffic(self._plan, self._dfsps, self.problems)
        count = len(self._plan.transfers)
        columns = (TextColumn("  {task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        closed: list[ClosedWindow] = []
        with Progress(*columns, console=self._screen.console, transient=True) as progress:
            bar = progress.add_task("transfers", total=count)
            sending = asyncio.create_task(traffic.run(lambda: progress.advance(bar)))
            try:
                for third in (1, 2):
                    await traffic.reach(count * third // 3)
                    closed.append(await self._close(windows, traffic, third))
                await sending
            finally:
                sending.cancel()
                await asyncio.wait({sending})
        self._ids = {one.transfer_id for one in traffic.sent}
        last = await windows.open_window()
        listed = {number: await windows.transfers(number) for number in (*(one.number for one in closed), last)}
        book_windows(traffic.sent, listed, closed, self._books, self.problems)
        await accounts.check("after the transfers", self._books, self.problems, CREDITS_WITHIN_S)
        committed = sum(transfer.commits for transfer in self._plan.transfers)
        self._screen.step("transfers", f"{committed} committed, {count - committed} not, as they had to")
        return closed

    async def _close(self, windows: Windows, traffic: Traffic, third: int) -> ClosedWindow:
        window = await windows.close(f"part {third} of the day")
        under_way = len(traffic.sent) - traffic.ended
        told = f"closed in {window.took_s:.2f} s, {traffic.ended} transfers over, {under_way} under way"
        self._screen.step(f"window {window.number}", told)
        return window

    async def _settle(self, admin: AdminClient, accounts: Accounts, windows: Sequence[ClosedWindow]) -> None:
        """One with an acknowledgement that fails, one aborted and settled again, the others as they should be."""
        numbers = [window.number for window in windows]
        done: list[Settling] = []
        for index, currency in enumerate(self._plan.currencies):
            model = await self._model(admin, currency)
            if index == 1:
                await self._aborted(self._settling(admin, currency, accounts), model, numbers)
            settling = self._settling(admin, currency, accounts)
            await settling.create(model, numbers)
            told = ""
            for state in STEPS:
                if index == 0 and state is RESERVED:
                    failing = settling.recipient()
                    await settling.step(state, failing=failing)
                    await settling.acknowledge(failing, state)
                    told = f"; the acknowledgement of {failing[1]} failed, and all waited for it"
                else:
                    await settling.step(state)
            self._settled.append((settling.number, currency, SETTLED.value))
            self._screen.step(str(settling), f"{currency}, {settling.size} accounts: SETTLED{told}")
            done.append(settling)
        payments = sum([await settling.bank() for settling in done])
        await accounts.check("after the bank's payments", self._books, self.problems, CREDITS_WITHIN_S)
        self._screen.step("the bank", f"{payments} payments of net amounts, in and out of the DFSPs' funds")

    async def _aborted(self, settling: Settling, model: str, windows: list[int]) -> None:
        await settling.create(model, windows)
        for state in (RECORDED, RESERVED):
            await settling.step(state)
        await settling.abort()
        currency = settling.currency
        self._settled.append((settling.number, currency, ABORTED.value))
        self._screen.step(str(settling), f"{currency}, {settling.size} accounts: ABORTED when reserved, all moved back")

    async def _report(self, admin: AdminClient, accounts: Accounts, windows: Sequence[ClosedWindow]) -> None:
        check = ReportCheck(admin, self._settings.settlement_base_path, self._plan, self._books, self.problems)
        numbers = [window.number for window in windows]
        with self._screen.console.status("reading the reports"):
            for number in numbers:
                await check.window(number)
                await check.transfers(number, self._ids)
            for settlement, currency, state in self._settled:
                await check.settlement(settlement, numbers, currency, state)
            await check.statements(accounts)
        self._screen.step(
            "reports", f"{check.count} read as JSON, CSV and HTML: windows, settlements, transfers, statements"
        )
        self._screen.accounts(self._plan, self._books, accounts, numbers)
        self._screen.reports(self._urls, self._settings.settlement_base_path, [self._settled[0][0]], numbers)

    def _settling(self, admin: AdminClient, currency: str, accounts: Accounts) -> Settling:
        base_path = self._settings.settlement_base_path
        return Settling(admin, base_path, currency, accounts, self._books, self.problems)

    @staticmethod
    async def _model(admin: AdminClient, currency: str) -> str:
        """The name of the model that settles positions in the currency."""
        for model in await Operations(admin).models():
            if (model.currency, model.ledger_account_type, model.active) == (currency, "POSITION", True):
                return model.name
        raise AdminError(f"no settlement model for {currency}")
