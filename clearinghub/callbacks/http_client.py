"""One HTTP request to a DFSP, over connections that are kept.

A client of our own on asyncio's protocols and httptools' parser: of an answer it needs the status and nothing else, and
aiohttp's client, which can do all the rest, took more than half of the callbacks' CPU (ADR 18).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from clearinghub.callbacks.http_connection import Connection, NoAnswerError

KEEP_ALIVE_S: Final = 4.0
"""Less than the 5 s after which Node.js servers, most DFSPs' among them, close an idle connection."""

_ORIGINS_MAX: Final = 4_096


class DestinationError(Exception):
    """The receiver gave no answer: `timeout`, `unreachable` (no connection) or `broken` (connection lost)."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Transport(Protocol):
    """Sends one callback."""

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The HTTP status of the answer.

        Raises:
            DestinationError: there was none.
        """

    async def close(self) -> None:
        """Let go of all connections."""


class _Origin(NamedTuple):
    """Where a URL leads: one pool of connections for each."""

    is_tls: bool
    host: str
    port: int
    authority: str  # as in the URL, for the Host header


class HttpTransport:
    """A `Transport` that sends exactly the headers it is given, with Host and Content-Length. Redirects are answers.

    There is no limit of connections, neither in all nor per host: each receiver has its own limit already, and
    receivers that share a host must not wait for each other.
    """

    def __init__(self, timeout_ms: int, tls: ssl.SSLContext | None = None, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        """Call within a running event loop.

        Args:
            timeout_ms: the longest wait for a connection, and for an answer.
            tls: the hub's certificate and whom it trusts; None for the system's.
            keep_alive_s: how long a connection may wait for its next request.
        """
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_ms / 1000
        self._keep_alive_s = keep_alive_s
        self._tls = ssl.create_default_context() if tls is None else tls
        self._idle: dict[_Origin, deque[Connection]] = {}
        self._open: dict[Connection, _Origin] = {}
        self._punctuate = self._loop.call_later(self._keep_alive_s / 4, self._punctuate_idle)

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """See `Transport.send`.

        A kept connection may have been closed by the receiver in the moment of its use. Then the request goes out once
        more over a new one: callbacks are delivered at least once anyway.
        """
        origin, target = _parts(url)
        request = _request(method, origin.authority, target, headers, body)
        connection = self._kept(origin)
        try:
            if connection is not None:
                try:
                    return await self._exchange(connection, request)
                except NoAnswerError as error:
                    if error.timed_out:
                        raise
            return await self._exchange(await self._connect(origin), request)
        except NoAnswerError as error:
            raise DestinationError("timeout" if error.timed_out else "broken", str(error)) from error

    async def close(self) -> None:
        """See `Transport.close`."""
        self._punctuate.cancel()
        for connection in list(self._open):
            connection.close()

    async def _exchange(self, connection: Connection, request: bytes) -> int:
        try:
            return await connection.request(request, self._timeout_s)
        except asyncio.CancelledError:
            connection.close()
            raise

    async def _connect(self, origin: _Origin) -> Connection:
        tls = self._tls if origin.is_tls else None
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._keep, self._forget), origin.host, origin.port, ssl=tls
                )
        except TimeoutError as error:
            raise DestinationError("timeout", f"no connection to {origin.authority} in time") from error
        except (OSError, UnicodeError) as error:  # a name that cannot be one ends in the codec of host names
            raise DestinationError("unreachable", f"{origin.authority}: {error}") from error
        self._open[connection] = origin
        return connection

    # Connections that wait for their next request: the one used last first, so that the others may grow old.

    def _kept(self, origin: _Origin) -> Connection | None:
        idle = self._idle.get(origin)
        return idle.pop() if idle else None

    def _keep(self, connection: Connection) -> None:
        connection.idle_since_s = self._loop.time()
        self._idle.setdefault(self._open[connection], deque()).append(connection)

    def _forget(self, connection: Connection) -> None:
        origin = self._open.pop(connection, None)
        idle = None if origin is None else self._idle.get(origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def _punctuate_idle(self) -> None:
        oldest_s = self._loop.time() - self._keep_alive_s
        for origin, idle in list(self._idle.items()):
            while idle and idle[0].idle_since_s <= oldest_s:
                idle[0].close()
            if not idle:
                del self._idle[origin]
        self._punctuate = self._loop.call_later(self._keep_alive_s / 4, self._punctuate_idle)


def _request(method: str, authority: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request as it goes over the wire. Its parts are checked: no name and no value can hold a line's end."""
    lines = [f"{method} {target} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {len(body)}"]
    lines.extend([f"{name}: {value}" for name, value in headers.items()])
    lines.append("\r\n")
    return "\r\n".join(lines).encode() + body


def _parts(url: str) -> tuple[_Origin, str]:
    """Where a URL leads, and what is asked for there."""
    end = url.find("/", url.index("://") + 3)
    if end < 0 or "?" in url[:end]:
        parts = urlsplit(url)
        return _origin(f"{parts.scheme}://{parts.netloc}"), f"/?{parts.query}" if parts.query else "/"
    return _origin(url[:end]), url[end:]


@lru_cache(maxsize=_ORIGINS_MAX)
def _origin(base: str) -> _Origin:
    parts = urlsplit(base)
    is_tls = parts.scheme == "https"
    assert parts.hostname is not None  # a URL without a host is no endpoint
    return _Origin(is_tls, parts.hostname, parts.port or (443 if is_tls else 80), parts.netloc)
