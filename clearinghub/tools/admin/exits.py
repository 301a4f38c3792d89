"""How an operator's command ends: its exit code, and one sentence on stderr if it did not do what was asked."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable
from typing import Final

from clearinghub.tools.client.admin import AdminError, HubNotReadyError, RefusedError

EXIT_OK: Final = 0
EXIT_REFUSED: Final = 1
EXIT_WRONG_USAGE: Final = 2  # argparse's own
EXIT_NO_HUB: Final = 3
EXIT_STOPPED: Final = 130  # the shell's: 128 and SIGINT

EXIT_CODES_HELP: Final = "exit codes: 0 done, 1 refused by the hub, 2 wrong usage, 3 hub unreachable or not ready"


class NotDoneError(Exception):
    """The hub took the request and did not do it; the text tells why."""


def tell(sentence: str) -> None:
    """One line on stderr; what came from the hub cannot steer the terminal."""
    printable = "".join(character if character.isprintable() else " " for character in sentence)
    print(f"clearinghub: {printable}", file=sys.stderr, flush=True)  # noqa: T201 - this is what the command shows


def sentence_of(error: AdminError | NotDoneError) -> str:
    """What went wrong, for a person; with FSPIOP's code where the hub gave one."""
    if isinstance(error, RefusedError):
        return f"refused by the hub: {error}"
    return f"hub unreachable or not ready: {error}" if isinstance(error, HubNotReadyError) else str(error)


def code_of(error: AdminError | NotDoneError) -> int:
    """The exit code of what went wrong."""
    return EXIT_NO_HUB if isinstance(error, HubNotReadyError) else EXIT_REFUSED


async def ending(work: Awaitable[int]) -> int:
    """The exit code of `work`; SIGINT and SIGTERM cancel it, so that it may still tell how far it came."""
    this_task = asyncio.current_task()
    assert this_task is not None
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, this_task.cancel)
    try:
        return await work
    except (AdminError, NotDoneError) as error:
        tell(sentence_of(error))
        return code_of(error)
    except asyncio.CancelledError:
        tell("stopped")
        return EXIT_STOPPED
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
