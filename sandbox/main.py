"""`clearinghub sandbox`: two simulated DFSPs on a running hub; one payment is shown hop by hop, others may follow."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.hub_urls import HubDownError
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_OK, App
from clearinghub.tools.options import Wait
from sandbox.playground import Playground, PortInUseError
from sandbox.scheme import SchemeError

PAYER_PORT: Final = 14_001
PAYEE_PORT: Final = 14_002

app = App(exits="0 done or stopped, 1 something went wrong, 2 wrong usage, 3 no hub")


@app.add(
    "sandbox",
    examples=["sandbox", "sandbox --once"],
)
async def sandbox(
    *,
    no_transfer: Annotated[bool, typer.Option("--no-transfer", help="Set the scheme up, send nothing.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Exit after the first transfer.")] = False,
    payer_port: Annotated[
        int, typer.Option("--payer-port", metavar="PORT", help="Where the payer listens.")
    ] = PAYER_PORT,
    payee_port: Annotated[
        int, typer.Option("--payee-port", metavar="PORT", help="Where the payee listens.")
    ] = PAYEE_PORT,
    wait: Wait = 120,
    jws_keys: Annotated[
        Path | None,
        typer.Option(
            "--jws-keys",
            metavar="DIR",
            help="Sign and verify: DIR holds both DFSPs' NAME.key and everybody's NAME.pem, the hub's among them.",
        ),
    ] = None,
) -> int:
    """Set a small scheme up on the running hub, send one transfer, show its way, and stay for more until Ctrl-C."""
    console = Console()
    this_task = asyncio.current_task()
    assert this_task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    playground = Playground(
        Settings(),
        console,
        payer_port=payer_port,
        payee_port=payee_port,
        wait_s=wait,
        jws_keys_dir=jws_keys,
    )
    try:
        is_good = await playground.run(send_first=not no_transfer, stay=not once)
    except asyncio.CancelledError:
        console.print("\nStopped.", style="dim")
        return EXIT_OK
    except HubDownError as error:
        console.print(f"{error}\nIs it running? `make run` starts it.", style="red", markup=False)
        return EXIT_NO_HUB
    except (SchemeError, AdminError, PortInUseError) as error:
        console.print(str(error), style="red", markup=False)
        return EXIT_FAILED
    return EXIT_OK if is_good else EXIT_FAILED
