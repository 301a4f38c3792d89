"""`clearinghub demo`: whole payments and mixed transfers on a running hub, or a scheme's day; all of it is checked."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from secrets import randbelow, token_hex
from typing import Annotated, Final

import typer
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.hub_urls import HubDownError, HubUrls
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_OK, EXIT_STOPPED, App, refuse_usage
from clearinghub.tools.options import Wait, whole
from sandbox.demo.day.day_plan import CURRENCIES, make_day
from sandbox.demo.day.day_plan import TRANSFERS_MAX as DAY_TRANSFERS_MAX
from sandbox.demo.day.day_plan import TRANSFERS_MIN as DAY_TRANSFERS_MIN
from sandbox.demo.day.day_run import DayRun
from sandbox.demo.demo_run import DemoRun
from sandbox.demo.transfers.plan import TRANSFERS_MAX, TRANSFERS_MIN, make_plan
from sandbox.dfsp.agreements import UnansweredError
from sandbox.scheme import SchemeError

PAYMENTS: Final = 5
PAYMENTS_MAX: Final = 100  # the sum of so many of each kind stays within the funds
TRANSFERS: Final = 200
DAY_TRANSFERS: Final = 600
TIMEOUT_S: Final = 120
DAY_TIMEOUT_S: Final = 300

app = App(exits="0 everything is exactly right, 1 something is not, 2 wrong usage, 3 no hub, 130 stopped")


@app.add(
    "demo",
    examples=["demo", "demo --payments 1 --transfers 20 --seed 7", "demo --day"],
)
def demo(
    ctx: typer.Context,
    *,
    day: Annotated[bool, typer.Option("--day", help="Play a scheme's whole day instead, with settlement.")] = False,
    transfers: Annotated[
        int | None,
        typer.Option(
            "--transfers",
            metavar="N",
            parser=whole(0),
            help=f"How many; {TRANSFERS} without it, of a day {DAY_TRANSFERS}.",
        ),
    ] = None,
    payments: Annotated[
        int | None,
        typer.Option(
            "--payments",
            metavar="N",
            parser=whole(0, PAYMENTS_MAX),
            help=f"Whole payments of each kind before that; {PAYMENTS} without it. Not of a day.",
        ),
    ] = None,
    currencies: Annotated[
        str | None,
        typer.Option(
            "--currencies",
            metavar="A,B,C",
            help=f"Of a day: three that nobody else trades in meanwhile; {','.join(CURRENCIES)} without it.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Repeat an earlier run.")] = None,
    timeout: Annotated[
        int | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help=f"The longest time for everything; {TIMEOUT_S} without it, for a day {DAY_TIMEOUT_S}.",
        ),
    ] = None,
    wait: Wait = 60,
) -> object:
    """Make payments of every kind through the running hub, then send it mixed transfers; check every one of them.

    Every callback and every account must be exactly as planned.
    """
    settings = Settings()
    least, most = (DAY_TRANSFERS_MIN, DAY_TRANSFERS_MAX) if day else (TRANSFERS_MIN, TRANSFERS_MAX)
    if transfers is not None and not least <= transfers <= most:
        refuse_usage(ctx, f"--transfers is between {least} and {most}")
    if not day:
        if currencies is not None:
            refuse_usage(ctx, "--currencies is for --day")
        count = PAYMENTS if payments is None else payments
        return _run_demo(settings, transfers or TRANSFERS, count, seed, timeout or TIMEOUT_S, wait)
    if payments is not None:
        refuse_usage(ctx, "--payments is not for --day")
    traded = CURRENCIES if currencies is None else tuple(dict.fromkeys(currencies.split(",")))
    if len(traded) != len(CURRENCIES) or not set(traded) <= currencies_with(settings.currencies_extra):
        refuse_usage(ctx, f"--currencies is three currencies such as {','.join(CURRENCIES)}")
    return _run_day(settings, transfers or DAY_TRANSFERS, traded, seed, timeout_s=timeout or DAY_TIMEOUT_S, wait_s=wait)


async def _run_demo(
    settings: Settings, transfers: int, payments: int, seed: int | None, timeout_s: int, wait_s: int
) -> int:
    """Run payments and mixed transfers; return the exit code."""
    console = Console()
    drawn = randbelow(1_000_000) if seed is None else seed
    suffix = token_hex(3)
    plan = make_plan(transfers, drawn, suffix)

    async def run_on(urls: HubUrls) -> int:
        heading = f"Whole payments of each kind: {payments}, mixed transfers: {transfers}, seed {drawn}"
        console.print(heading, highlight=False)
        run = DemoRun(settings, urls, plan, suffix, console, payments=payments, timeout_s=timeout_s)
        problems = await run.run()
        if problems:
            console.print(f"{problems} differences. --seed {drawn} sends the same transfers again.", style="bold red")
        return problems

    return await _on_healthy_hub(settings, console, wait_s, run_on)


async def _run_day(
    settings: Settings,
    transfers: int,
    currencies: tuple[str, ...],
    seed: int | None,
    *,
    timeout_s: int,
    wait_s: int,
) -> int:
    """Run a scheme's day; return the exit code."""
    console = Console()
    drawn = randbelow(1_000_000) if seed is None else seed
    plan = make_day(transfers, drawn, token_hex(3), currencies)

    async def run_on(urls: HubUrls) -> int:
        heading = f"{len(plan.names)} DFSPs, {', '.join(plan.currencies)}, {transfers} transfers, seed {drawn}"
        console.print(f"\n  [bold]A day[/bold]: {heading}\n", highlight=False)
        try:
            async with asyncio.timeout(timeout_s):
                return await DayRun(settings, urls, plan, console).run(drawn)
        except TimeoutError:
            raise AdminError(f"the day was not over in {timeout_s} s") from None

    return await _on_healthy_hub(settings, console, wait_s, run_on)


async def _on_healthy_hub(
    settings: Settings, console: Console, wait_s: float, run: Callable[[HubUrls], Awaitable[int]]
) -> int:
    """Wait for the hub, then `run`, which returns how many differences it found; return the exit code.

    Ctrl-C and SIGTERM stop it.
    """
    this_task = asyncio.current_task()
    assert this_task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    urls = HubUrls.of(settings)
    try:
        with console.status("waiting for the hub") as status:
            await urls.wait_until_healthy(wait_s, lambda what: status.update(f"waiting for {what}"))
        return EXIT_FAILED if await run(urls) else EXIT_OK
    except asyncio.CancelledError:
        console.print("\nStopped.", style="dim")
        return EXIT_STOPPED
    except HubDownError as error:
        console.print(f"{error}\nIs it running? `make run` starts it.", style="red", markup=False)
        return EXIT_NO_HUB
    except (SchemeError, AdminError, UnansweredError) as error:
        console.print(str(error), style="red", markup=False)
        return EXIT_FAILED
