"""How a role listens for HTTP: aiohttp's server with an accept loop of our own."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import structlog
from aiohttp.web import Application, AppRunner, Server
from aiohttp.web_runner import BaseSite

from clearinghub.process import RoleFailedError
from clearinghub.security.listener_tls import (
    HANDSHAKE_TIMEOUT_S,
    SHUTDOWN_TIMEOUT_S,
    HandshakeFailures,
    ListenerTls,
)
from web.http.protocol import JsonRequestHandler, Owners, PlainRequest

log = structlog.get_logger(__name__)

AGE_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
KEEP_ALIVE_S: Final = 75.0
HEADER_BYTES_MAX: Final = 64 * 1024  # protocol 1.1
BACKLOG: Final = 4_096  # the kernel lowers it to net.core.somaxconn
CONNECTIONS_MAX: Final = 10_000  # of one listener; more wait in the backlog until others have closed
REQUESTS_TIMEOUT_S: Final = 3.0  # for those under way when the listener stops
LINGERING_S: Final = 1.0  # how long the rest of a body that nobody reads is received and dropped
ACCEPTS_AT_ONCE: Final = 128
PAUSE_S: Final = 0.1
HANDSHAKES_MAX: Final = 256  # under way at a time
HANDSHAKE_UNDISTURBED_S: Final = 1.0  # then it is given up if another client waits and there are too many
LOOK_INTERVAL_S: Final = 1.0  # between looks at files and connections
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class CannotListenError(RoleFailedError):
    """A port is in use, or this user may not use it; the message names it."""


class Listener:
    """Serves an aiohttp application on a port."""

    def __init__(
        self,
        app: Application,
        host: str,
        port: int,
        connections_max: int = CONNECTIONS_MAX,
        *,
        tls: ListenerTls | None = None,
        owners: Owners | None = None,
    ) -> None:
        """With `tls`, every client shows a certificate; with `owners`, connections are counted by whose key it has."""
        self._runner = AppRunner(app, shutdown_timeout=REQUESTS_TIMEOUT_S)
        self._host = host
        self._port = port
        self._connections_max = connections_max
        self._tls = tls
        self._owners = owners

    async def start(self) -> None:
        """Begin to accept connections.

        Raises:
            CannotListenError: the address or port cannot be used.
        """
        await self._runner.setup()
        site = _Site(self._runner, (self._host, self._port), self._connections_max, self._tls, self._owners)
        await site.start()
        log.info("listening", host=self._host, port=self._port)

    async def stop(self) -> None:
        """Accept no more connections; requests under way may end within REQUESTS_TIMEOUT_S."""
        await self._runner.cleanup()


class _Site(BaseSite):
    """A site for aiohttp's runner, with `_AcceptLoop` in place of the event loop's own server."""

    __slots__ = ("_accepting", "_app", "_connections_max", "_host", "_looking", "_owners", "_port", "_tls")

    def __init__(
        self,
        runner: AppRunner,
        address: tuple[str, int],
        connections_max: int,
        tls: ListenerTls | None,
        owners: Owners | None,
    ) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._app = runner.app
        self._host, self._port = address
        self._connections_max = connections_max
        self._tls = tls
        self._owners = owners
        self._accepting: _AcceptLoop | None = None
        self._looking: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The site's URL, as aiohttp's own sites are named."""
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self._port}"

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
                access_log=None,  # there is none
                keepalive_timeout=KEEP_ALIVE_S,
                max_field_size=HEADER_BYTES_MAX,
                max_line_size=HEADER_BYTES_MAX,
                auto_decompress=False,  # encoded bodies are refused (web/http/json_body.py)
                lingering_time=LINGERING_S,
                owners=self._owners,
            )

        def has_room() -> bool:
            return len(server.connections) < self._connections_max

        self._accepting = _AcceptLoop(listening, protocol, has_room, self._tls)
        self._looking = loop.call_later(LOOK_INTERVAL_S, self._look, server)

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        if self._accepting is not None:
            self._accepting.close()
        await super().stop()

    def _look(self, server: Server) -> None:
        """Look, once a second, at the files of TLS, and for connections that may not go on."""
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(LOOK_INTERVAL_S, self._look, server)
        if self._tls is not None:
            self._tls.follow()
        now_s = loop.time()
        for connection in server.connections:
            assert isinstance(connection, JsonRequestHandler)
            connection.close_if_due(now_s)


class _Handshake(NamedTuple):
    """A connection that is being established: from which address, and since when by the event loop's clock."""

    address: str
    began_at_s: float


class _AcceptLoop:
    """Accepts all waiting connections each time that the socket is readable.

    uvloop's own server accepts one connection in each turn of its loop. Under load a turn takes tens of milliseconds:
    the backlog overflowed, and clients' connections began a second or three later, or never.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        has_room: Callable[[], bool],
        tls: ListenerTls | None,
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._has_room = has_room
        self._tls = tls
        self._failures = HandshakeFailures()
        self._loop = asyncio.get_running_loop()
        self._connecting: dict[asyncio.Task[object], _Handshake] = {}  # the oldest first
        self._pausing: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Stop accepting, and close the socket."""
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for task in self._connecting:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            if not self._has_room() or self._has_only_young_handshakes():
                self._pause()
                return
            try:
                connection, address = self._listening.accept()
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
            task = self._loop.create_task(self._connect(connection))
            self._connecting[task] = _Handshake(str(address[0]), self._loop.time())
            task.add_done_callback(self._connected)
            if self._tls is not None and len(self._connecting) > HANDSHAKES_MAX:
                self._abandon_oldest()

    async def _connect(self, connection: socket.socket) -> object:
        if self._tls is None:
            return await self._loop.connect_accepted_socket(self._protocol, connection)
        return await self._loop.connect_accepted_socket(
            self._protocol,
            connection,
            ssl=self._tls.context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )

    def _has_only_young_handshakes(self) -> bool:
        """Return whether there are as many handshakes as there may be, and none has had its time yet.

        Then new clients wait. If the oldest has had its time it makes room: clients that connect and say nothing must
        not keep others out for as long as a handshake may take.
        """
        if self._tls is None or len(self._connecting) < HANDSHAKES_MAX:
            return False
        oldest = next(iter(self._connecting.values()))
        return self._loop.time() - oldest.began_at_s < HANDSHAKE_UNDISTURBED_S

    def _abandon_oldest(self) -> None:
        task, oldest = next(iter(self._connecting.items()))
        del self._connecting[task]
        task.cancel()
        self._failures.note(TimeoutError(), oldest.address)

    def _connected(self, task: asyncio.Task[object]) -> None:
        handshake = self._connecting.pop(task, None)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._tls is None:
            log.info("connection-lost-at-once", error=repr(error))
        elif handshake is not None:
            self._failures.note(error, handshake.address)

    def _pause(self) -> None:
        self._loop.remove_reader(self._listening)
        self._pausing = self._loop.call_later(PAUSE_S, self._loop.add_reader, self._listening, self._accept)
