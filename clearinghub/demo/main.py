"""`python -m clearinghub demo`: hundreds of mixed transfers on a running hub, every one of them checked."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from secrets import randbelow, token_hex
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clearinghub.client.admin import AdminClient, AdminError
from clearinghub.client.hub_urls import HubDownError, HubUrls
from clearinghub.config import Settings
from clearinghub.demo.audit import Auditor
from clearinghub.demo.books import RECONCILIATION, Books
from clearinghub.demo.check import judge
from clearinghub.demo.day.run import run_day
from clearinghub.demo.labels import Labels
from clearinghub.demo.plan import TRANSFERS_MAX, TRANSFERS_MIN, Plan, make_plan
from clearinghub.demo.report import (
    print_accounts,
    print_latencies,
    print_problems,
    print_repeats,
    print_success,
    print_transfers,
)
from clearinghub.demo.stage import Played, Stage
from clearinghub.sandbox.dfsp import SimulatedDfsp
from clearinghub.sandbox.scheme import Scheme, SchemeError

CURRENCY: Final = "XTS"  # ISO 4217's code for tests
AUDIT_SHARE: Final = 9  # one part in so many of the whole time is kept for reading the accounts
STEP_TIMEOUT_S: Final = 20.0
STRAY_WAIT_S: Final = 0.5  # for callbacks that must not come

EXIT_OK: Final = 0
EXIT_WRONG: Final = 1
EXIT_NO_HUB: Final = 3
EXIT_STOPPED: Final = 130


def _transfers(text: str) -> int:
    count = int(text)
    if not TRANSFERS_MIN <= count <= TRANSFERS_MAX:
        raise argparse.ArgumentTypeError(f"between {TRANSFERS_MIN} and {TRANSFERS_MAX}")
    return count


def options(args: Sequence[str]) -> argparse.Namespace:
    """The command line of the demo."""
    parser = argparse.ArgumentParser(
        prog="python -m clearinghub demo",
        description="Send mixed transfers through the running hub and check every outcome and every account.",
    )
    parser.add_argument("--day", action="store_true", help="a whole day instead, with settlement; see --day --help")
    parser.add_argument("--transfers", type=_transfers, default=200, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="repeat the mix of an earlier run")
    parser.add_argument("--timeout", type=int, default=90, metavar="S", help="for everything, at most (%(default)s s)")
    parser.add_argument("--wait", type=int, default=60, metavar="S", help="for the hub, at most (%(default)s s)")
    return parser.parse_args(args)


async def run(settings: Settings, args: Sequence[str]) -> int:
    """The whole demo; gives the exit code: 0 only if everything is exactly right, 1 if not, 3 without a hub."""
    if "--day" in args:
        return await run_day(settings, args)
    chosen = options(args)
    console = Console()
    this_task = asyncio.current_task()
    assert this_task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    seed = chosen.seed if chosen.seed is not None else randbelow(1_000_000)
    plan = make_plan(chosen.transfers, seed, token_hex(3))
    try:
        with console.status("waiting for the hub") as status:
            urls = HubUrls.of(settings)
            await urls.wait_until_healthy(chosen.wait, lambda what: status.update(f"waiting for {what}"))
        console.print(f"{chosen.transfers} transfers, seed {seed}", highlight=False)
        problems = await _Demo(settings, urls, plan, console, chosen.timeout).run()
    except asyncio.CancelledError:
        console.print("\nStopped.", style="dim")
        return EXIT_STOPPED
    except HubDownError as error:
        console.print(f"{error}\nIs it running? `make run` starts it.", style="red", markup=False)
        return EXIT_NO_HUB
    except (SchemeError, AdminError) as error:
        console.print(str(error), style="red", markup=False)
        return EXIT_WRONG
    if problems:
        console.print(f"{problems} differences. Run it again with --seed {seed} for the same mix.", style="bold red")
        return EXIT_WRONG
    return EXIT_OK


class _Demo:
    """One run of a plan against one hub."""

    def __init__(self, settings: Settings, urls: HubUrls, plan: Plan, console: Console, timeout_s: float) -> None:
        self._hub_name = settings.hub_name
        self._urls = urls
        self._plan = plan
        self._console = console
        self._timeout_s = timeout_s
        self._labels = Labels(settings.hub_name, settings.confirm_to_payee)
        self._books = Books(settings.hub_name)
        self._dfsps = {player.name: SimulatedDfsp(player.name, urls.fspiop) for player in plan.players}

    async def run(self) -> int:
        """Play, check, report; gives how much differs."""
        audit_timeout_s = self._timeout_s / AUDIT_SHARE
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s - audit_timeout_s
        async with AsyncExitStack() as stack:
            admin = await stack.enter_async_context(AdminClient(self._urls.admin))
            for dfsp in self._dfsps.values():
                await stack.enter_async_context(dfsp)
            with self._console.status(f"setting {len(self._dfsps)} DFSPs up"):
                auditor = await self._set_up_by(admin, deadline_s)
            stage = Stage(self._dfsps, self._labels, CURRENCY, deadline_s)
            plays, other_problems = await self._play(stage)
            for played in plays:
                self._books.add_transfer(played.case)
            lines = await auditor.audit(self._books, self._dfsps, audit_timeout_s)
            verdicts = [judge(played, self._dfsps, self._labels) for played in plays]
        print_transfers(self._console, verdicts)
        print_accounts(self._console, lines, CURRENCY)
        print_latencies(self._console, verdicts)
        print_repeats(self._console, verdicts)
        problems = print_problems(self._console, verdicts, lines, other_problems)
        if not problems:
            print_success(self._console, verdicts)
        return problems

    async def _set_up_by(self, admin: AdminClient, deadline_s: float) -> Auditor:
        try:
            async with asyncio.timeout_at(deadline_s):
                return await self._set_up(admin)
        except TimeoutError:
            raise SchemeError("the hub was too slow: the scheme was not set up in time") from None

    async def _set_up(self, admin: AdminClient) -> Auditor:
        scheme = Scheme(admin, self._hub_name, CURRENCY, step_timeout_s=STEP_TIMEOUT_S)
        await scheme.ensure_currency()
        account = await admin.account(self._hub_name, CURRENCY, RECONCILIATION)
        before_units = account.value_units if account is not None else 0
        for player in self._plan.players:
            await scheme.ensure_dfsp(player.name, player.net_debit_cap_units, self._dfsps[player.name].endpoints)
            self._books.add_funds(player.name, await scheme.ensure_funds(player.name, player.funds_units))
        return Auditor(admin, self._hub_name, CURRENCY, before_units)

    async def _play(self, stage: Stage) -> tuple[list[Played], list[str]]:
        """Everything sent and asked for; what was wrong with the answers to strangers comes second."""
        count = len(self._plan.openers) + len(self._plan.cases)
        columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            sending = progress.add_task("transfers", total=count)
            asking = progress.add_task("GET by both sides", total=count, start=False)
            plays = await stage.play_all(self._plan.openers, lambda: progress.advance(sending))
            plays += await stage.play_all(self._plan.cases, lambda: progress.advance(sending))
            progress.start_task(asking)
            await stage.ask_all(plays, lambda: progress.advance(asking))
            other_problems = await stage.ask_strangely(plays[0])
        await asyncio.sleep(STRAY_WAIT_S)
        return plays, other_problems
