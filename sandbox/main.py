"""`python -m clearinghub sandbox`: a small scheme on a running hub, one transfer shown hop by hop, and room to play."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from clearinghub.config import Settings
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.hub_urls import HubDownError
from sandbox.playground import Playground, PortTakenError
from sandbox.scheme import SchemeError

EXIT_OK: Final = 0
EXIT_WRONG: Final = 1
EXIT_NO_HUB: Final = 3


def options(args: Sequence[str]) -> argparse.Namespace:
    """The command line of the sandbox."""
    parser = argparse.ArgumentParser(
        prog="python -m clearinghub sandbox",
        description="Set a small scheme up on the running hub, send one transfer, show its way, and stay for more.",
    )
    parser.add_argument("--no-transfer", action="store_true", help="set the scheme up, send nothing")
    parser.add_argument("--once", action="store_true", help="exit after the first transfer")
    parser.add_argument("--payer-port", type=int, default=14001, help="where the payer listens (%(default)s)")
    parser.add_argument("--payee-port", type=int, default=14002, help="where the payee listens (%(default)s)")
    parser.add_argument("--wait", type=int, default=120, metavar="S", help="for the hub, at most (%(default)s s)")
    parser.add_argument(
        "--jws-keys",
        type=Path,
        metavar="DIR",
        help="sign and verify: DIR holds both DFSPs' NAME.key and everybody's NAME.pem, the hub's among them",
    )
    return parser.parse_args(args)


async def run(settings: Settings, args: Sequence[str]) -> int:
    """The sandbox until SIGINT or SIGTERM; gives the exit code: 0, 1 if something went wrong, 3 without a hub."""
    chosen = options(args)
    console = Console()
    this_task = asyncio.current_task()
    assert this_task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    playground = Playground(
        settings,
        console,
        payer_port=chosen.payer_port,
        payee_port=chosen.payee_port,
        wait_s=chosen.wait,
        jws_keys_dir=chosen.jws_keys,
    )
    try:
        is_good = await playground.run(send_first=not chosen.no_transfer, stay=not chosen.once)
    except asyncio.CancelledError:
        console.print("\nStopped.", style="dim")
        return EXIT_OK
    except HubDownError as error:
        console.print(f"{error}\nIs it running? `make run` starts it.", style="red", markup=False)
        return EXIT_NO_HUB
    except (SchemeError, AdminError, PortTakenError) as error:
        console.print(str(error), style="red", markup=False)
        return EXIT_WRONG
    return EXIT_OK if is_good else EXIT_WRONG
