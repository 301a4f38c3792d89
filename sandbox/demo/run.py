"""One run of the demo: the DFSPs set up, whole payments at rest, mixed transfers at once, and every account."""

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
from sandbox.demo.audit import AuditLine, Auditor
from sandbox.demo.books import RECONCILIATION, Books
from sandbox.demo.check import Verdict, judge
from sandbox.demo.labels import Labels
from sandbox.demo.payments.cast import make_cast
from sandbox.demo.payments.exchange import HopLog
from sandbox.demo.payments.kinds import PaymentKind
from sandbox.demo.payments.payment import Payment
from sandbox.demo.payments.report import print_payments
from sandbox.demo.payments.run import WholePayments, how_often
from sandbox.demo.payments.teller import Teller
from sandbox.demo.plan import Plan, trading_names
from sandbox.demo.report import (
    print_accounts,
    print_latencies,
    print_problems,
    print_repeats,
    print_success,
    print_transfers,
)
from sandbox.demo.stage import Played, Stage
from sandbox.dfsp import SimulatedDfsp
from sandbox.scheme import Scheme, SchemeError

CURRENCY: Final = "XTS"  # ISO 4217's code for tests
AUDIT_SHARE: Final = 9  # one part in so many of the whole time is kept for reading the accounts
STEP_TIMEOUT_S: Final = 20.0
STRAY_WAIT_S: Final = 0.5  # for callbacks that must not come


class DemoRun:
    """One run of a plan against one hub. `suffix` is the plan's; whole `payments` of each kind come first."""

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
        self._labels = Labels(settings.hub_name, settings.confirm_to_payee)
        self._books = Books(settings.hub_name)
        self._log = HopLog()
        self._dfsps = {
            player.name: SimulatedDfsp(player.name, urls.fspiop, observe=self._log.observe) for player in plan.players
        }

    async def run(self) -> int:
        """Play, check, report; gives how much differs."""
        audit_timeout_s = self._timeout_s / AUDIT_SHARE
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s - audit_timeout_s
        async with AsyncExitStack() as stack:
            admin = await stack.enter_async_context(AdminClient(self._urls.admin))
            for dfsp in self._dfsps.values():
                await stack.enter_async_context(dfsp)
            stage = Stage(self._dfsps, self._labels, CURRENCY, deadline_s)
            whole = self._whole_payments(stage)
            with self._console.status(f"setting {len(self._dfsps)} DFSPs up"):
                auditor = await self._set_up_by(admin, deadline_s)
                await whole.register()
            payments, plays, other_problems = await self._play(stage, whole, auditor)
            for played in plays:
                self._books.add_transfer(played.case)
            lines = await auditor.audit(self._books, self._dfsps, audit_timeout_s)
            verdicts = [judge(played, self._dfsps, self._labels) for played in plays]
            self._judge_payments(payments)
        return self._report(payments, verdicts, lines, other_problems)

    def _whole_payments(self, stage: Stage) -> WholePayments:
        cast = make_cast(trading_names(self._plan), self._suffix)
        teller = Teller(self._dfsps, stage, self._log, self._settings.hub_name)
        return WholePayments(self._dfsps, cast, teller, stage, self._books, self._settings, CURRENCY)

    def _judge_payments(self, payments: Sequence[Payment]) -> None:
        for payment in payments:
            if payment.played is not None:
                payment.problems += judge(payment.played, self._dfsps, self._labels).problems

    def _report(
        self, payments: Sequence[Payment], verdicts: Sequence[Verdict], lines: Sequence[AuditLine], others: list[str]
    ) -> int:
        if payments:
            print_payments(self._console, payments, CURRENCY)
        print_transfers(self._console, verdicts)
        print_accounts(self._console, lines, CURRENCY)
        print_latencies(self._console, verdicts)
        print_repeats(self._console, verdicts)
        others += [f"{payment.kind.value}: {problem}" for payment in payments for problem in payment.problems]
        problems = print_problems(self._console, verdicts, lines, others)
        if not problems:
            print_success(self._console, len(payments), len(verdicts), self._log.callbacks)
        return problems

    async def _set_up_by(self, admin: AdminClient, deadline_s: float) -> Auditor:
        try:
            async with asyncio.timeout_at(deadline_s):
                return await self._set_up(admin)
        except TimeoutError:
            raise SchemeError("the hub was too slow: the scheme was not set up in time") from None

    async def _set_up(self, admin: AdminClient) -> Auditor:
        hub_name = self._settings.hub_name
        scheme = Scheme(admin, hub_name, CURRENCY, step_timeout_s=STEP_TIMEOUT_S)
        await scheme.ensure_currency()
        account = await admin.account(hub_name, CURRENCY, RECONCILIATION)
        before_units = account.value_units if account is not None else 0
        for player in self._plan.players:
            await scheme.ensure_dfsp(player.name, player.net_debit_cap_units, self._dfsps[player.name].endpoints)
            self._books.add_funds(player.name, await scheme.ensure_funds(player.name, player.funds_units))
        return Auditor(admin, hub_name, CURRENCY, before_units)

    async def _play(
        self, stage: Stage, whole: WholePayments, auditor: Auditor
    ) -> tuple[list[Payment], list[Played], list[str]]:
        """All that is paid, sent and asked for; what was wrong with the answers to strangers comes last."""
        count = len(self._plan.openers) + len(self._plan.cases)
        whole_count = sum(how_often(kind, self._payments) for kind in PaymentKind)
        columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            paying = progress.add_task("whole payments", total=whole_count)
            sending = progress.add_task("transfers", total=count, start=False)
            asking = progress.add_task("GET by both sides", total=count, start=False)
            payments = await whole.make_all(self._payments, auditor, lambda: progress.advance(paying))
            progress.start_task(sending)
            plays = await stage.play_all(self._plan.openers, lambda: progress.advance(sending))
            plays += await stage.play_all(self._plan.cases, lambda: progress.advance(sending))
            progress.start_task(asking)
            await stage.ask_all([one.played for one in payments if one.played is not None], lambda: None)
            await stage.ask_all(plays, lambda: progress.advance(asking))
            other_problems = await stage.ask_strangely(plays[0])
        await asyncio.sleep(STRAY_WAIT_S)
        return payments, plays, other_problems
