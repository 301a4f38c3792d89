"""One run of the demo: sets up DFSPs, makes whole payments one by one and mixed transfers side by side, checks all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clearinghub.config import Settings
from clearinghub.tools.client.admin import AdminClient
from clearinghub.tools.client.hub_urls import HubUrls
from sandbox.demo.demo_report import (
    print_accounts,
    print_latencies,
    print_problems,
    print_repeats,
    print_success,
    print_transfers,
)
from sandbox.demo.payments.actors import make_actors
from sandbox.demo.payments.deals import PaymentKind
from sandbox.demo.payments.exchange import HopLog
from sandbox.demo.payments.payment_result import PaymentResult
from sandbox.demo.payments.payment_series import PaymentSeries, how_often
from sandbox.demo.payments.payment_table import print_payments
from sandbox.demo.payments.scenario_runner import ScenarioRunner
from sandbox.demo.transfers.balances import RECONCILIATION, AccountCheck, BalanceChecker, ExpectedBalances
from sandbox.demo.transfers.expectations import CallbackLabels
from sandbox.demo.transfers.plan import Plan, trading_names
from sandbox.demo.transfers.session import Session, TransferResult
from sandbox.demo.transfers.verdict import Verdict, check_transfer
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.scheme import Scheme, SchemeError

CURRENCY: Final = "XTS"  # ISO 4217's code for tests
BALANCES_SHARE: Final = 9  # a ninth of the time limit is for reading the accounts
STEP_TIMEOUT_S: Final = 20.0
STRAY_WAIT_S: Final = 0.5  # so that callbacks that must not come are noticed


class DemoRun:
    """One run of a plan against one hub, after `payments` whole payments of each kind. `suffix` is the plan's."""

    def __init__(
        self,
        settings: Settings,
        urls: HubUrls,
        plan: Plan,
        suffix: str,
        console: Console,
        *,
        payments: int,
        timeout_s: float,
    ) -> None:
        self._settings = settings
        self._urls = urls
        self._plan = plan
        self._suffix = suffix
        self._console = console
        self._timeout_s = timeout_s
        self._payments = payments
        self._labels = CallbackLabels(settings.hub_name, settings.confirm_to_payee)
        self._expected = ExpectedBalances(settings.hub_name)
        self._log = HopLog()
        self._dfsps = {
            dfsp.name: SimulatedDfsp(dfsp.name, urls.fspiop, observe=self._log.observe) for dfsp in plan.dfsps
        }

    async def run(self) -> int:
        """Send everything, check it, print the report, and return how many differences there are.

        Raises:
            SchemeError, AdminError: the hub refused to set up the DFSPs, or took too long.
            UnansweredError: the hub did not register the parties.
        """
        balances_timeout_s = self._timeout_s / BALANCES_SHARE
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s - balances_timeout_s
        async with AsyncExitStack() as stack:
            admin = await stack.enter_async_context(AdminClient(self._urls.admin))
            for dfsp in self._dfsps.values():
                await stack.enter_async_context(dfsp)
            session = Session(self._dfsps, self._labels, CURRENCY, deadline_s)
            series = self._payment_series(session)
            with self._console.status(f"setting {len(self._dfsps)} DFSPs up"):
                checker = await self._set_up_by(admin, deadline_s)
                await series.register()
            payments, results, other_problems = await self._send(session, series, checker)
            for result in results:
                self._expected.add_transfer(result.case)
            balances = await checker.check_at_end(self._expected, self._dfsps, balances_timeout_s)
            verdicts = [check_transfer(result, self._dfsps, self._labels) for result in results]
            self._check_transfers_of(payments)
        return self._report(payments, verdicts, balances, other_problems)

    def _payment_series(self, session: Session) -> PaymentSeries:
        actors = make_actors(trading_names(self._plan), self._suffix)
        runner = ScenarioRunner(self._dfsps, session, self._log, self._settings.hub_name)
        return PaymentSeries(self._dfsps, actors, runner, session, self._expected, self._settings, CURRENCY)

    def _check_transfers_of(self, payments: Sequence[PaymentResult]) -> None:
        for payment in payments:
            if payment.transfer is not None:
                payment.problems += check_transfer(payment.transfer, self._dfsps, self._labels).problems

    def _report(
        self,
        payments: Sequence[PaymentResult],
        verdicts: Sequence[Verdict],
        balances: Sequence[AccountCheck],
        others: list[str],
    ) -> int:
        if payments:
            print_payments(self._console, payments, CURRENCY)
        print_transfers(self._console, verdicts)
        print_accounts(self._console, balances, CURRENCY)
        print_latencies(self._console, verdicts)
        print_repeats(self._console, verdicts)
        others += [f"{payment.kind.value}: {problem}" for payment in payments for problem in payment.problems]
        problems = print_problems(self._console, verdicts, balances, others)
        if not problems:
            print_success(self._console, len(payments), len(verdicts), self._log.callbacks)
        return problems

    async def _set_up_by(self, admin: AdminClient, deadline_s: float) -> BalanceChecker:
        try:
            async with asyncio.timeout_at(deadline_s):
                return await self._set_up(admin)
        except TimeoutError:
            raise SchemeError("the hub was too slow: the scheme was not set up in time") from None

    async def _set_up(self, admin: AdminClient) -> BalanceChecker:
        hub_name = self._settings.hub_name
        scheme = Scheme(admin, hub_name, CURRENCY, step_timeout_s=STEP_TIMEOUT_S)
        await scheme.ensure_currency()
        account = await admin.account(hub_name, CURRENCY, RECONCILIATION)
        before_units = account.value_units if account is not None else 0
        for dfsp in self._plan.dfsps:
            await scheme.ensure_dfsp(dfsp.name, dfsp.net_debit_cap_units, self._dfsps[dfsp.name].endpoints)
            self._expected.add_funds(dfsp.name, await scheme.ensure_funds(dfsp.name, dfsp.funds_units))
        return BalanceChecker(admin, hub_name, CURRENCY, before_units)

    async def _send(
        self, session: Session, series: PaymentSeries, checker: BalanceChecker
    ) -> tuple[list[PaymentResult], list[TransferResult], list[str]]:
        """Make the payments, send the transfers, GET each; return both, and what is wrong with GETs to be refused."""
        count = len(self._plan.limit_fillers) + len(self._plan.cases)
        payments_count = sum(how_often(kind, self._payments) for kind in PaymentKind)
        columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            paying = progress.add_task("whole payments", total=payments_count)
            sending = progress.add_task("transfers", total=count, start=False)
            getting = progress.add_task("GET by both sides", total=count, start=False)
            payments = await series.make_all(self._payments, checker, lambda: progress.advance(paying))
            progress.start_task(sending)
            results = await session.send_all(self._plan.limit_fillers, lambda: progress.advance(sending))
            results += await session.send_all(self._plan.cases, lambda: progress.advance(sending))
            progress.start_task(getting)
            transfers = [payment.transfer for payment in payments if payment.transfer is not None]
            await session.get_all(transfers, lambda: None)
            await session.get_all(results, lambda: progress.advance(getting))
            other_problems = await session.get_what_is_refused(results[0])
        await asyncio.sleep(STRAY_WAIT_S)
        return payments, results, other_problems
