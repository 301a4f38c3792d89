"""`python -m clearinghub demo`: whole payments and mixed transfers on a running hub, every one of them checked."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from secrets import randbelow, token_hex
from typing import Final

from rich.console import Console

from clearinghub.client.admin import AdminError
from clearinghub.client.hub_urls import HubDownError, HubUrls
from clearinghub.config import Settings
from clearinghub.demo.plan import TRANSFERS_MAX, TRANSFERS_MIN, make_plan
from clearinghub.demo.run import DemoRun
from clearinghub.sandbox.agreement import UnansweredError
from clearinghub.sandbox.scheme import SchemeError

PAYMENTS_MAX: Final = 100  # whose sum stays within the funds, too

EXIT_OK: Final = 0
EXIT_WRONG: Final = 1
EXIT_NO_HUB: Final = 3
EXIT_STOPPED: Final = 130


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
    chosen = options(args)
    console = Console()
    this_task = asyncio.current_task()
    assert this_task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    seed = chosen.seed if chosen.seed is not None else randbelow(1_000_000)
    suffix = token_hex(3)
    plan = make_plan(chosen.transfers, seed, suffix)
    try:
        with console.status("waiting for the hub") as status:
            urls = HubUrls.of(settings)
            await urls.wait_until_healthy(chosen.wait, lambda what: status.update(f"waiting for {what}"))
        told = f"{chosen.payments} whole payments of each kind, {chosen.transfers} mixed transfers, seed {seed}"
        console.print(told, highlight=False)
        problems = await DemoRun(
            settings, urls, plan, suffix, console, payments=chosen.payments, timeout_s=chosen.timeout
        ).run()
    except asyncio.CancelledError:
        console.print("\nStopped.", style="dim")
        return EXIT_STOPPED
    except HubDownError as error:
        console.print(f"{error}\nIs it running? `make run` starts it.", style="red", markup=False)
        return EXIT_NO_HUB
    except (SchemeError, AdminError, UnansweredError) as error:
        console.print(str(error), style="red", markup=False)
        return EXIT_WRONG
    if problems:
        console.print(f"{problems} differences. Run it again with --seed {seed} for the same mix.", style="bold red")
        return EXIT_WRONG
    return EXIT_OK
