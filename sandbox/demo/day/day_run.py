"""Runs a day: transfers, two windows that are closed meanwhile, settlements, funds, reports; each step is checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clearinghub.config import Settings
from clearinghub.domain.settlement.settlement import ABORTED, RECORDED, RESERVED, SETTLED
from clearinghub.tools.client.admin import AdminClient, AdminError, HubNotReadyError, Reply
from clearinghub.tools.client.hub_urls import HubUrls
from clearinghub.tools.client.operations import Operations
from sandbox.demo.day.day_accounts import Accounts
from sandbox.demo.day.day_books import DayBooks
from sandbox.demo.day.day_plan import CAP_UNITS, FUNDS_UNITS, DayPlan
from sandbox.demo.day.day_screen import Screen
from sandbox.demo.day.day_settlement import STEPS, DaySettlement
from sandbox.demo.day.problems import Problems
from sandbox.demo.day.report_check import ReportCheck
from sandbox.demo.day.traffic import Traffic
from sandbox.demo.day.windows import ClosedWindow, Windows, book_windows
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.scheme import Scheme

Content = TypeVar("Content")

NOT_READY_TIMEOUT_S: Final = 60.0
NOT_READY_PAUSE_S: Final = 0.5
STEP_TIMEOUT_S: Final = 30.0
CREDITS_WITHIN_S: Final = 15.0  # payees' credits and the hub's side of funds follow, on other partitions


class PatientAdmin(AdminClient):
    """An admin client for a busy machine: repeats GET and PUT for a minute while the hub is not ready.

    A PUT is safe to repeat: a settlement's account enters a state once, and funds out are completed once. A POST is
    not repeated.
    """

    async def call(self, method: str, path: str, body: Any = None) -> Reply:
        """Send a request that must be accepted; raises AdminError."""
        if method not in ("GET", "PUT"):
            return await super().call(method, path, body)
        return await _repeat_while_not_ready(lambda: AdminClient.call(self, method, path, body))

    async def get(self, path: str) -> Any:
        """Return the content of a resource, or None if there is none; raises AdminError."""
        return await _repeat_while_not_ready(lambda: AdminClient.get(self, path))


async def _repeat_while_not_ready(send: Callable[[], Awaitable[Content]]) -> Content:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + NOT_READY_TIMEOUT_S
    while True:
        try:
            return await send()
        except HubNotReadyError:
            if loop.time() >= deadline_s:
                raise
            await asyncio.sleep(NOT_READY_PAUSE_S)


class DayRun:
    """One run of a day's plan on one hub; `problems` has what differs."""

    def __init__(self, settings: Settings, urls: HubUrls, plan: DayPlan, console: Console) -> None:
        self.problems = Problems()
        self._settings = settings
        self._urls = urls
        self._plan = plan
        self._books = DayBooks()
        self._screen = Screen(console, self.problems)
        self._dfsps = {name: SimulatedDfsp(name, urls.fspiop) for name in plan.names}
        self._settled: list[tuple[int, str, str]] = []  # settlement, currency, state
        self._transfer_ids: set[str] = set()

    async def run(self, seed: int) -> int:
        """Run the whole day and return how many differences there are; `seed` is printed if there are any.

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
        return len(self.problems.found)

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
                is_new = currency == self._plan.currencies[0]  # every DFSP has the first currency
                endpoints = self._dfsps[name].endpoints if is_new else {}
                await schemes[currency].ensure_dfsp(name, CAP_UNITS, endpoints)
                added = await schemes[currency].ensure_funds(name, FUNDS_UNITS)
                self._books.add_funds((currency, name), added)
            await Windows(admin, self._settings.settlement_base_path).close_earlier_window()
            await accounts.check("at the beginning", self._books, self.problems, CREDITS_WITHIN_S)
        self._screen.step("the scheme", f"{len(self._plan.names)} DFSPs, {len(self._plan.accounts)} positions, funded")

    async def _trade(self, admin: AdminClient, accounts: Accounts) -> list[ClosedWindow]:
        """Send all transfers and close two windows meanwhile; return these windows."""
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
        self._transfer_ids = {sent.transfer_id for sent in traffic.sent}
        last = await windows.open_window()
        listed = {number: await windows.transfers(number) for number in (*(window.number for window in closed), last)}
        book_windows(traffic.sent, listed, closed, self._books, self.problems)
        await accounts.check("after the transfers", self._books, self.problems, CREDITS_WITHIN_S)
        committed = sum(transfer.commits for transfer in self._plan.transfers)
        self._screen.step("transfers", f"{committed} committed, {count - committed} not, as they had to")
        return closed

    async def _close(self, windows: Windows, traffic: Traffic, third: int) -> ClosedWindow:
        window = await windows.close(f"part {third} of the day")
        in_flight = len(traffic.sent) - traffic.ended
        text = f"closed in {window.took_s:.2f} s, {traffic.ended} transfers had ended, {in_flight} were in flight"
        self._screen.step(f"window {window.number}", text)
        return window

    async def _settle(self, admin: AdminClient, accounts: Accounts, windows: Sequence[ClosedWindow]) -> None:
        """Settle each currency: the first with an acknowledgement that fails, the second once aborted, then again."""
        numbers = [window.number for window in windows]
        settlements: list[DaySettlement] = []
        for index, currency in enumerate(self._plan.currencies):
            model = await self._model(admin, currency)
            if index == 1:
                await self._abort_one(self._new_settlement(admin, currency, accounts), model, numbers)
            settlement = self._new_settlement(admin, currency, accounts)
            await settlement.create(model, numbers)
            remark = ""
            for state in STEPS:
                if index == 0 and state is RESERVED:
                    failing = settlement.largest_recipient()
                    await settlement.step(state, failing=failing)
                    await settlement.acknowledge(failing, state)
                    remark = f"; the acknowledgement of {failing[1]} failed, and all waited for it"
                else:
                    await settlement.step(state)
            self._settled.append((settlement.number, currency, SETTLED.value))
            self._screen.step(str(settlement), f"{currency}, {settlement.size} accounts: SETTLED{remark}")
            settlements.append(settlement)
        payments = sum([await settlement.book_bank_payments() for settlement in settlements])
        await accounts.check("after the bank's payments", self._books, self.problems, CREDITS_WITHIN_S)
        self._screen.step("the bank", f"{payments} payments of net amounts, in and out of the DFSPs' funds")

    async def _abort_one(self, settlement: DaySettlement, model: str, windows: list[int]) -> None:
        await settlement.create(model, windows)
        for state in (RECORDED, RESERVED):
            await settlement.step(state)
        await settlement.abort()
        currency = settlement.currency
        self._settled.append((settlement.number, currency, ABORTED.value))
        self._screen.step(
            str(settlement), f"{currency}, {settlement.size} accounts: ABORTED when reserved, all moved back"
        )

    async def _report(self, admin: AdminClient, accounts: Accounts, windows: Sequence[ClosedWindow]) -> None:
        check = ReportCheck(admin, self._settings.settlement_base_path, self._plan, self._books, self.problems)
        numbers = [window.number for window in windows]
        with self._screen.console.status("reading the reports"):
            for number in numbers:
                await check.window(number)
                await check.transfers(number, self._transfer_ids)
            for settlement, currency, state in self._settled:
                await check.settlement(settlement, numbers, currency, state)
            await check.statements(accounts)
        self._screen.step(
            "reports", f"{check.count} read as JSON, CSV and HTML: windows, settlements, transfers, statements"
        )
        self._screen.accounts(self._plan, self._books, accounts, numbers)
        self._screen.reports(self._urls, self._settings.settlement_base_path, [self._settled[0][0]], numbers)

    def _new_settlement(self, admin: AdminClient, currency: str, accounts: Accounts) -> DaySettlement:
        base_path = self._settings.settlement_base_path
        return DaySettlement(admin, base_path, currency, accounts, self._books, self.problems)

    @staticmethod
    async def _model(admin: AdminClient, currency: str) -> str:
        """Return the name of the model that settles positions in the currency; raises AdminError if there is none."""
        for model in await Operations(admin).models():
            if (model.currency, model.ledger_account_type, model.active) == (currency, "POSITION", True):
                return model.name
        raise AdminError(f"no settlement model for {currency}")
