"""How a role listens for HTTP: aiohttp's server with an accept loop of our own."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from aiohttp.web import Application, AppRunner
from aiohttp.web_runner import BaseSite

from clearinghub.process import RoleFailedError
from web.http.protocol import JsonRequestHandler, PlainRequest

log = structlog.get_logger(__name__)

AGE_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
KEEP_ALIVE_S: Final = 75.0
HEADER_BYTES_MAX: Final = 64 * 1024  # protocol 1.1
BACKLOG: Final = 4_096  # the kernel lowers it to net.core.somaxconn
CONNECTIONS_MAX: Final = 10_000  # of one listener; more wait in the backlog until others have closed
SHUTDOWN_TIMEOUT_S: Final = 3.0
LINGERING_S: Final = 1.0  # how long the rest of a body that nobody reads is received and dropped
ACCEPTS_AT_ONCE: Final = 128
PAUSE_S: Final = 0.1
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class CannotListenError(RoleFailedError):
    """A port is in use, or this user may not use it; the message names it."""


class Listener:
    """Serves an aiohttp application on a port."""

    def __init__(self, app: Application, host: str, port: int, connections_max: int = CONNECTIONS_MAX) -> None:
        self._runner = AppRunner(app, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        self._host = host
        self._port = port
        self._connections_max = connections_max

    async def start(self) -> None:
        """Begin to accept connections.

        Raises:
            CannotListenError: the address or port cannot be used.
        """
        await self._runner.setup()
        await _Site(self._runner, self._host, self._port, self._connections_max).start()
        log.info("listening", host=self._host, port=self._port)

    async def stop(self) -> None:
        """Accept no more connections; requests under way may end within SHUTDOWN_TIMEOUT_S."""
        await self._runner.cleanup()


class _Site(BaseSite):
    """A site for aiohttp's runner, with `_AcceptLoop` in place of the event loop's own server."""

    __slots__ = ("_accepting", "_app", "_connections_max", "_host", "_port")

    def __init__(self, runner: AppRunner, host: str, port: int, connections_max: int) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._app = runner.app
        self._host = host
        self._port = port
        self._connections_max = connections_max
        self._accepting: _AcceptLoop | None = None

    @property
    def name(self) -> str:
        """The site's URL, as aiohttp's own sites are named."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Bind the port and begin to accept."""
        await super().start()
        server = self._runner.server
        assert server is not None
        server.request_factory = partial(self._app._make_request, _cls=PlainRequest)  # noqa: SLF001 - aiohttp's only way
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listening = socket.create_server((self._host, self._port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise CannotListenError(f"cannot listen on {self.name}: {os.strerror(error.errno or 0)}") from error
        listening.setblocking(False)  # noqa: FBT003 - its signature
        loop = asyncio.get_running_loop()

        def protocol() -> JsonRequestHandler:
            return JsonRequestHandler(
                server,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # None: there is none
                keepalive_timeout=KEEP_ALIVE_S,
                max_field_size=HEADER_BYTES_MAX,
                max_line_size=HEADER_BYTES_MAX,
                auto_decompress=False,  # encoded bodies are refused (web/http/json_body.py)
                lingering_time=LINGERING_S,
            )

        self._accepting = _AcceptLoop(listening, protocol, lambda: len(server.connections) < self._connections_max)

    async def stop(self) -> None:
        if self._accepting is not None:
            self._accepting.close()
        await super().stop()


class _AcceptLoop:
    """Accepts all waiting connections each time that the socket is readable.

    uvloop's own server accepts one connection in each turn of its loop. Under load a turn takes tens of milliseconds:
    the backlog overflowed, and clients' connections began a second or three later, or never.
    """

    def __init__(
        self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol], has_room: Callable[[], bool]
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        self._pausing: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Stop accepting, and close the socket."""
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            if not self._has_room():
                self._pause()
                return
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    raise
                log.warning("cannot-accept", error=repr(error))
                self._pause()
                return
            connection.setblocking(False)  # noqa: FBT003 - its signature
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
            self._connecting.add(task)
            task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._connecting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.info("connection-lost-at-once", error=repr(task.exception()))

    def _pause(self) -> None:
        self._loop.remove_reader(self._listening)
        self._pausing = self._loop.call_later(PAUSE_S, self._loop.add_reader, self._listening, self._accept)
