"""`python -m clearinghub demo --day`: the command."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from secrets import randbelow, token_hex
from typing import Final

from rich.console import Console

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.hub_urls import HubUrls
from sandbox.demo.day.main import Day
from sandbox.demo.day.plan import CURRENCIES, TRANSFERS_MAX, TRANSFERS_MIN, make_day
from sandbox.demo.on_hub import play_on_hub

CURRENCIES_COUNT: Final = 3


def options(settings: Settings, args: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m clearinghub demo --day",
        description="Play a scheme's day on the running hub and check every position, account and sum.",
    )

    def transfers(text: str) -> int:
        if not text.isdecimal() or not TRANSFERS_MIN <= int(text) <= TRANSFERS_MAX:
            raise argparse.ArgumentTypeError(f"between {TRANSFERS_MIN} and {TRANSFERS_MAX}")
        return int(text)

    def currencies(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(text.split(",")))
        if len(found) != CURRENCIES_COUNT or not set(found) <= currencies_with(settings.currencies_extra):
            raise argparse.ArgumentTypeError(f"three currencies such as {','.join(CURRENCIES)}")
        return found

    parser.add_argument("--day", action="store_true", required=True)
    parser.add_argument("--transfers", type=transfers, default=600, metavar="N", help="how many (%(default)s)")
    parser.add_argument(
        "--currencies",
        type=currencies,
        default=CURRENCIES,
        metavar="A,B,C",
        help=f"that nobody else trades in meanwhile ({','.join(CURRENCIES)})",
    )
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier day")
    parser.add_argument("--timeout", type=int, default=300, metavar="S", help="for everything, at most (%(default)s s)")
    parser.add_argument("--wait", type=int, default=60, metavar="S", help="for the hub, at most (%(default)s s)")
    return parser.parse_args(args)


async def run_day(settings: Settings, args: Sequence[str]) -> int:
    """The whole day; gives the exit code: 0 only if everything is exactly right, 1 if not, 3 without a hub."""
    chosen = options(settings, args)
    console = Console()
    seed = chosen.seed if chosen.seed is not None else randbelow(1_000_000)
    plan = make_day(chosen.transfers, seed, token_hex(3), chosen.currencies)

    async def play(urls: HubUrls) -> int:
        told = f"{len(plan.names)} DFSPs, {', '.join(plan.currencies)}, {chosen.transfers} transfers, seed {seed}"
        console.print(f"\n  [bold]A day[/bold]: {told}\n", highlight=False)
        try:
            async with asyncio.timeout(chosen.timeout):
                return await Day(settings, urls, plan, console).play(seed)
        except TimeoutError:
            raise AdminError(f"the day was not over in {chosen.timeout} s") from None

    return await play_on_hub(settings, console, chosen.wait, play)
