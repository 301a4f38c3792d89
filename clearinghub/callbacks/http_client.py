"""An HTTP client for callbacks, with kept connections.

It is our own, on asyncio's protocols and httptools' parser: it needs only the status of an answer, and aiohttp's
client, which can do everything, took more than half of the callbacks' CPU (ADR 18).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit

from clearinghub.callbacks.destinations import Destinations, ForbiddenDestinationError
from clearinghub.callbacks.http_connection import Connection, NoAnswerError
from clearinghub.security.egress import HTTPS_ONLY, Egress
from clearinghub.security.tls import NobodyTrustedError

KEEP_ALIVE_S: Final = 4.0
"""How long a connection may be idle: less than the 5 s after which Node.js servers, which most DFSPs run, close it."""

_ORIGINS_MAX: Final = 4_096


TlsOf: TypeAlias = Callable[[str], ssl.SSLContext]
"""Returns the current context for the servers of a participant; may raise NobodyTrustedError, and OSError."""


class FailureKind(StrEnum):
    """Why there was no answer, as the log and the metrics have it."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no connection
    BROKEN = "broken"  # the connection was lost
    UNTRUSTED = "untrusted"  # the server could not show that it is the participant's
    FORBIDDEN = "forbidden"  # the hub does not send there


class DestinationError(Exception):
    """There was no answer; `kind` says why."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Transport(Protocol):
    """Sends requests to DFSPs; `HttpTransport` over the network, others in tests."""

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, peer: str) -> int:
        """Send a request to a server of the participant `peer`, and return the HTTP status of the answer.

        Raises:
            DestinationError: there was no answer.
        """

    async def close(self) -> None:
        """Close all connections; requests in flight end without an answer."""


class _Origin(NamedTuple):
    """A participant, with the scheme, host and port of its URL: one pool of connections for each.

    Participants share no connection, not even to one host: whose server it is, each judges by its own authorities.
    """

    peer: str
    is_tls: bool
    host: str
    port: int
    authority: str  # as in the URL, for the Host header


class _Opened(NamedTuple):
    """What a connection was opened for, and by which context its server was believed."""

    origin: _Origin
    tls: ssl.SSLContext | None


class HttpTransport:
    """A `Transport` that adds only Host and Content-Length to the headers, and returns redirects as answers.

    It does not limit the number of connections: each receiver has its own limit already, and receivers that share a
    host must not wait for each other.
    """

    def __init__(
        self,
        timeout_ms: int,
        tls: TlsOf | None = None,
        keep_alive_s: float = KEEP_ALIVE_S,
        *,
        egress: Egress | None = None,
        destinations: Destinations | None = None,
    ) -> None:
        """Call within a running event loop.

        Args:
            timeout_ms: the longest wait for a connection, and for an answer.
            tls: returns the context for a participant; None to believe whom the machine believes.
            keep_alive_s: how long a connection may be idle.
            egress: where the hub may send to.
            destinations: resolves names; by default as the system does.
        """
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_ms / 1000
        self._keep_alive_s = keep_alive_s
        self._tls_of = _trusting_the_machine() if tls is None else tls
        self._egress = Egress() if egress is None else egress
        self._destinations = Destinations(self._egress) if destinations is None else destinations
        self._idle: dict[_Origin, deque[Connection]] = {}
        self._open: dict[Connection, _Opened] = {}
        self._idle_timer = self._loop.call_later(self._keep_alive_s / 4, self._close_idle)

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, peer: str) -> int:
        """See `Transport.send`.

        The receiver may close a kept connection just when it is used. Then the request is sent again over a new
        connection: callbacks are delivered at least once anyway.
        """
        origin, target = _parts(url, peer)
        request = _request(method, origin.authority, target, headers, body)
        tls = self._tls(origin)
        connection = self._kept(origin, tls)
        try:
            if connection is not None:
                try:
                    return await self._exchange(connection, request)
                except NoAnswerError as error:
                    if error.timed_out:
                        raise
            return await self._exchange(await self._connect(origin, tls), request)
        except NoAnswerError as error:
            kind = FailureKind.TIMEOUT if error.timed_out else FailureKind.BROKEN
            raise DestinationError(kind, str(error)) from error

    async def close(self) -> None:
        self._idle_timer.cancel()
        for connection in list(self._open):
            connection.close()

    async def _exchange(self, connection: Connection, request: bytes) -> int:
        try:
            return await connection.request(request, self._timeout_s)
        except asyncio.CancelledError:
            connection.close()
            raise

    def _tls(self, origin: _Origin) -> ssl.SSLContext | None:
        """Return the context for a request; None for one over plain HTTP."""
        if not origin.is_tls:
            if self._egress.https_only:
                raise DestinationError(FailureKind.FORBIDDEN, HTTPS_ONLY)
            return None
        try:
            return self._tls_of(origin.peer)
        except NobodyTrustedError as error:
            raise DestinationError(FailureKind.UNTRUSTED, str(error)) from error
        except OSError as error:
            raise DestinationError(FailureKind.UNREACHABLE, f"the hub's certificate: {error}") from error

    async def _connect(self, origin: _Origin, tls: ssl.SSLContext | None) -> Connection:
        try:
            async with asyncio.timeout(self._timeout_s):
                addresses = await self._destinations.addresses(origin.host, origin.port)
                connection = await self._connect_to_one_of(addresses, origin, tls)
        except TimeoutError as error:
            raise DestinationError(FailureKind.TIMEOUT, f"no connection to {origin.authority} in time") from error
        except ForbiddenDestinationError as error:
            raise DestinationError(FailureKind.FORBIDDEN, f"{origin.authority}: {error}") from error
        except ssl.SSLCertVerificationError as error:
            raise DestinationError(FailureKind.UNTRUSTED, f"{origin.authority}: {error.verify_message}") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: the host is no valid name
            raise DestinationError(FailureKind.UNREACHABLE, f"{origin.authority}: {error}") from error
        self._open[connection] = _Opened(origin, tls)
        return connection

    async def _connect_to_one_of(
        self, addresses: Sequence[str], origin: _Origin, tls: ssl.SSLContext | None
    ) -> Connection:
        """Connect to the first address that answers. A server must have the host's name, not only its address."""
        name = None if tls is None else origin.host.rstrip(".")
        failure: OSError | None = None
        for address in addresses:
            try:
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._keep, self._forget), address, origin.port, ssl=tls, server_hostname=name
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure or OSError("no address")

    # Idle connections: the most recently used is used first, so that surplus ones become old and are closed.

    def _kept(self, origin: _Origin, tls: ssl.SSLContext | None) -> Connection | None:
        """Return an idle connection whose server is believed by the current context; close those before it."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if self._open[connection].tls is tls:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection) -> None:
        connection.idle_since_s = self._loop.time()
        self._idle.setdefault(self._open[connection].origin, deque()).append(connection)

    def _forget(self, connection: Connection) -> None:
        opened = self._open.pop(connection, None)
        idle = None if opened is None else self._idle.get(opened.origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def _close_idle(self) -> None:
        oldest_s = self._loop.time() - self._keep_alive_s
        for origin, idle in list(self._idle.items()):
            while idle and idle[0].idle_since_s <= oldest_s:
                idle[0].close()
            self._close_outdated(origin, idle)
            if not idle:
                del self._idle[origin]
        self._idle_timer = self._loop.call_later(self._keep_alive_s / 4, self._close_idle)

    def _close_outdated(self, origin: _Origin, idle: deque[Connection]) -> None:
        """Close idle connections of a former context: of an authority that was withdrawn, or an old certificate."""
        if not idle:
            return
        try:
            current = self._tls(origin)
        except DestinationError:
            current = None
        for connection in [one for one in idle if self._open[one].tls is not current]:
            connection.close()


def _trusting_the_machine() -> TlsOf:
    context = ssl.create_default_context()
    return lambda _peer: context


def _request(method: str, authority: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the request's bytes. No header can break it apart: `outbound_headers` has checked them."""
    head = [f"{method} {target} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {len(body)}"]
    head.extend([f"{name}: {value}" for name, value in headers.items()])
    head.append("\r\n")
    return "\r\n".join(head).encode() + body


def _parts(url: str, peer: str) -> tuple[_Origin, str]:
    """Return the origin of a URL, and the request target: its path and query."""
    end = url.find("/", url.index("://") + 3)
    if end < 0 or "?" in url[:end]:
        parts = urlsplit(url)
        return _origin(peer, f"{parts.scheme}://{parts.netloc}"), f"/?{parts.query}" if parts.query else "/"
    return _origin(peer, url[:end]), url[end:]


@lru_cache(maxsize=_ORIGINS_MAX)
def _origin(peer: str, base: str) -> _Origin:
    parts = urlsplit(base)
    is_tls = parts.scheme == "https"
    assert parts.hostname is not None  # such a URL could not be registered
    return _Origin(peer, is_tls, parts.hostname, parts.port or (443 if is_tls else 80), parts.netloc)
