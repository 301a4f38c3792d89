"""How a demo ends: it waits for a hub, plays, and gives an exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from rich.console import Console

from clearinghub.config import Settings
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.hub_urls import HubDownError, HubUrls
from sandbox.agreement import UnansweredError
from sandbox.scheme import SchemeError

EXIT_OK: Final = 0
EXIT_WRONG: Final = 1
EXIT_NO_HUB: Final = 3
EXIT_STOPPED: Final = 130


async def play_on_hub(
    settings: Settings, console: Console, wait_s: float, play: Callable[[HubUrls], Awaitable[int]]
) -> int:
    """Wait for the hub and `play`, which gives how much was wrong; gives the exit code. Ctrl-C and SIGTERM stop it."""
    this_task = asyncio.current_task()
    assert this_task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    urls = HubUrls.of(settings)
    try:
        with console.status("waiting for the hub") as status:
            await urls.wait_until_healthy(wait_s, lambda what: status.update(f"waiting for {what}"))
        return EXIT_WRONG if await play(urls) else EXIT_OK
    except asyncio.CancelledError:
        console.print("\nStopped.", style="dim")
        return EXIT_STOPPED
    except HubDownError as error:
        console.print(f"{error}\nIs it running? `make run` starts it.", style="red", markup=False)
        return EXIT_NO_HUB
    except (SchemeError, AdminError, UnansweredError) as error:
        console.print(str(error), style="red", markup=False)
        return EXIT_WRONG
