"""One HTTP request to an oracle, over connections that are kept."""

from __future__ import annotations

from typing import Final, Protocol

import aiohttp
from yarl import URL

from clearinghub.callbacks.oracles.question import NO_ANSWER, OracleAnswer, OracleQuestion

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024  # a batch of 10,000; with what was asked it must fit into one record
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class OracleClient(Protocol):
    """Asks once; the caller bounds the time."""

    async def ask(self, question: OracleQuestion) -> OracleAnswer:
        """The answer; NO_ANSWER when the oracle cannot be reached, breaks off, or says too much."""


class HttpOracleClient:
    """An `OracleClient` on aiohttp's client. An oracle is not followed elsewhere: it answers where it is registered."""

    def __init__(self) -> None:
        """Call within a running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=_NOT_ADDED,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def ask(self, question: OracleQuestion) -> OracleAnswer:
        """See `OracleClient.ask`."""
        try:
            async with self._session.request(
                question.method,
                URL(question.url, encoded=True),
                headers=question.headers,
                data=question.body or None,
                allow_redirects=False,
            ) as response:
                body = await _read(response)
                return NO_ANSWER if body is None else OracleAnswer(response.status, body)
        except (aiohttp.ClientError, OSError, ValueError):
            return NO_ANSWER

    async def close(self) -> None:
        """Let go of all connections."""
        await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    parts: list[bytes] = []
    left = ANSWER_BYTES_MAX
    async for part in response.content.iter_any():
        left -= len(part)
        if left < 0:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)
