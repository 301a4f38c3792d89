"""How a role ends: SIGTERM from its supervisor, SIGINT from a terminal, or a failure that it cannot go on with."""

from __future__ import annotations

import asyncio
import signal


class RoleFailedError(Exception):
    """Something a role cannot go on without has failed and was logged; its supervisor starts it again."""

    def __init__(self, what: str = "stopped after a failure; see the log above") -> None:
        super().__init__(what)


def stop_event() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, in the running loop. Install it once, before the role takes any work."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event


async def until_stopped(stop: asyncio.Event, failed: asyncio.Event) -> None:
    """Wait for the order to stop, or for a failure.

    Raises:
        RoleFailedError: the failure came first.
    """
    waits = {asyncio.create_task(stop.wait()), asyncio.create_task(failed.wait())}
    _done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if failed.is_set() and not stop.is_set():
        raise RoleFailedError
