"""HTTP listeners of a role, and what runs around them until the role is told to stop."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiohttp.web import Application, AppRunner, TCPSite

log = structlog.get_logger(__name__)

AGE_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
KEEP_ALIVE_S: Final = 75.0
HEADER_BYTES_MAX: Final = 64 * 1024  # fspiop 1.1
BACKLOG: Final = 1_024
SHUTDOWN_TIMEOUT_S: Final = 3.0


class RoleFailedError(Exception):
    """Something a role cannot go on without has failed; its supervisor starts it again."""


class Listener:
    """An application on a port."""

    def __init__(self, app: Application, host: str, port: int) -> None:
        self._runner = AppRunner(
            app,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_S,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            max_field_size=HEADER_BYTES_MAX,
            max_line_size=HEADER_BYTES_MAX,
        )
        self._host = host
        self._port = port

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await TCPSite(self._runner, self._host, self._port, backlog=BACKLOG).start()
        log.info("listening", host=self._host, port=self._port)

    async def stop(self) -> None:
        """Take no new connection, let requests under way end within bounds."""
        await self._runner.cleanup()


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
