"""HTTP listeners of a role."""

from __future__ import annotations

from typing import Final

import structlog
from aiohttp.web import Application, AppRunner, TCPSite

log = structlog.get_logger(__name__)

AGE_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
KEEP_ALIVE_S: Final = 75.0
HEADER_BYTES_MAX: Final = 64 * 1024  # fspiop 1.1
BACKLOG: Final = 1_024
SHUTDOWN_TIMEOUT_S: Final = 3.0


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
