"""`python -m clearinghub demo`: whole payments and mixed transfers on a running hub, every one of them checked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from secrets import randbelow, token_hex
from typing import Final

from rich.console import Console

from clearinghub.config import Settings
from clearinghub.tools.client.hub_urls import HubUrls
from sandbox.demo.day.run import run_day
from sandbox.demo.on_hub import play_on_hub
from sandbox.demo.plan import TRANSFERS_MAX, TRANSFERS_MIN, make_plan
from sandbox.demo.run import DemoRun

PAYMENTS_MAX: Final = 100  # whose sum stays within the funds, too


def _transfers(text: str) -> int:
    count = int(text)
    if not TRANSFERS_MIN <= count <= TRANSFERS_MAX:
        raise argparse.ArgumentTypeError(f"between {TRANSFERS_MIN} and {TRANSFERS_MAX}")
    return count


def _payments(text: str) -> int:
    count = int(text)
    if not 0 <= count <= PAYMENTS_MAX:
        raise argparse.ArgumentTypeError(f"between 0 and {PAYMENTS_MAX}")
    return count


def options(args: Sequence[str]) -> argparse.Namespace:
    """The command line of the demo."""
    parser = argparse.ArgumentParser(
        prog="python -m clearinghub demo",
        description="Make whole payments of every kind through the running hub, one at a time, then send it mixed "
        "transfers; check every callback and every account.",
    )
    parser.add_argument("--day", action="store_true", help="a whole day instead, with settlement; see --day --help")
    parser.add_argument("--transfers", type=_transfers, default=200, metavar="N", help="how many (%(default)s)")
    parser.add_argument(
        "--payments", type=_payments, default=5, metavar="N", help="whole ones of each kind before that (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=None, help="repeat the mix of an earlier run")
    parser.add_argument("--timeout", type=int, default=120, metavar="S", help="for everything, at most (%(default)s s)")
    parser.add_argument("--wait", type=int, default=60, metavar="S", help="for the hub, at most (%(default)s s)")
    return parser.parse_args(args)


async def run(settings: Settings, args: Sequence[str]) -> int:
    """The whole demo; gives the exit code: 0 only if everything is exactly right, 1 if not, 3 without a hub."""
    if "--day" in args:
        return await run_day(settings, args)
    chosen = options(args)
    console = Console()
    seed = chosen.seed if chosen.seed is not None else randbelow(1_000_000)
    suffix = token_hex(3)
    plan = make_plan(chosen.transfers, seed, suffix)

    async def play(urls: HubUrls) -> int:
        told = f"{chosen.payments} whole payments of each kind, {chosen.transfers} mixed transfers, seed {seed}"
        console.print(told, highlight=False)
        problems = await DemoRun(
            settings, urls, plan, suffix, console, payments=chosen.payments, timeout_s=chosen.timeout
        ).run()
        if problems:
            told = f"{problems} differences. Run it again with --seed {seed} for the same mix."
            console.print(told, style="bold red")
        return problems

    return await play_on_hub(settings, console, chosen.wait, play)
