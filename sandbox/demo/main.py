"""`clearinghub demo`: whole payments and mixed transfers on a running hub, every one of them checked."""

from __future__ import annotations

from secrets import randbelow, token_hex
from typing import Annotated, Final

import typer
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.tools.client.hub_urls import HubUrls
from clearinghub.tools.command_line import App, refuse_usage
from clearinghub.tools.options import Wait, whole
from sandbox.demo.day.plan import CURRENCIES
from sandbox.demo.day.plan import TRANSFERS_MAX as DAY_TRANSFERS_MAX
from sandbox.demo.day.plan import TRANSFERS_MIN as DAY_TRANSFERS_MIN
from sandbox.demo.day.run import run_day
from sandbox.demo.on_hub import play_on_hub
from sandbox.demo.plan import TRANSFERS_MAX, TRANSFERS_MIN, make_plan
from sandbox.demo.run import DemoRun

PAYMENTS: Final = 5
PAYMENTS_MAX: Final = 100  # more would exceed the funds
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
        whole_ones = PAYMENTS if payments is None else payments
        return _play(settings, transfers or TRANSFERS, whole_ones, seed, timeout or TIMEOUT_S, wait)
    if payments is not None:
        refuse_usage(ctx, "--payments is not for --day")
    traded = CURRENCIES if currencies is None else tuple(dict.fromkeys(currencies.split(",")))
    if len(traded) != len(CURRENCIES) or not set(traded) <= currencies_with(settings.currencies_extra):
        refuse_usage(ctx, f"--currencies is three currencies such as {','.join(CURRENCIES)}")
    return run_day(settings, transfers or DAY_TRANSFERS, traded, seed, timeout_s=timeout or DAY_TIMEOUT_S, wait_s=wait)


async def _play(
    settings: Settings, transfers: int, payments: int, seed: int | None, timeout_s: int, wait_s: int
) -> int:
    console = Console()
    mix = randbelow(1_000_000) if seed is None else seed
    suffix = token_hex(3)
    plan = make_plan(transfers, mix, suffix)

    async def play(urls: HubUrls) -> int:
        begun = f"{payments} whole payments of each kind, {transfers} mixed transfers, seed {mix}"
        console.print(begun, highlight=False)
        problems = await DemoRun(settings, urls, plan, suffix, console, payments=payments, timeout_s=timeout_s).run()
        if problems:
            console.print(f"{problems} differences. Run it again with --seed {mix} for the same mix.", style="bold red")
        return problems

    return await play_on_hub(settings, console, wait_s, play)
