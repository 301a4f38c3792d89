"""One HTTP request to a DFSP, over connections that are kept."""

from __future__ import annotations

import io
import ssl
from collections.abc import Mapping
from typing import Final, Protocol

import aiohttp
from yarl import URL

ANSWER_BYTES_MAX: Final = 64 * 1024
"""What is read of an answer so that its connection can be used again; callbacks' answers have no body."""

KEEP_ALIVE_S: Final = 4.0
"""Less than the 5 s after which Node.js servers, most DFSPs' among them, close an idle connection."""

_WHOLE_WRITE_BYTES_MAX: Final = 1 << 20  # aiohttp warns of larger bodies that are written in one piece
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


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


class HttpTransport:
    """A `Transport` on aiohttp's client. Sends exactly the headers it is given, with Host and Content-Length.

    There is no limit of connections, neither in all nor per host: each receiver has its own limit already, and
    receivers that share a host must not wait for each other.
    """

    def __init__(self, timeout_ms: int, tls: ssl.SSLContext | None = None) -> None:
        """Call within a running event loop. `tls`: the hub's certificate and whom it trusts; None for the system's."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ssl=True if tls is None else tls),
            timeout=aiohttp.ClientTimeout(total=timeout_ms / 1000),
            skip_auto_headers=_NOT_ADDED,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """See `Transport.send`. Redirects are answers like others: a callback goes where it was registered."""
        data = body if len(body) <= _WHOLE_WRITE_BYTES_MAX else io.BytesIO(body)
        try:
            response = await self._session.request(
                method, URL(url, encoded=True), headers=headers, data=data, allow_redirects=False
            )
        except TimeoutError as error:
            raise DestinationError("timeout", str(error)) from error
        except aiohttp.ClientConnectorError as error:
            raise DestinationError("unreachable", str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise DestinationError("broken", str(error)) from error
        await _drain(response)
        return response.status

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._session.close()


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what little body there is, so that the connection is used again; the status is the answer in any case."""
    left = ANSWER_BYTES_MAX
    try:
        while left > 0 and not response.content.at_eof():
            left -= len(await response.content.readany())
    except (aiohttp.ClientError, OSError):  # TimeoutError is an OSError
        left = 0
    if left <= 0:
        response.close()
    else:
        response.release()
