"""One HTTP request to an oracle, and the records that it comes from and leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import aiohttp
import msgspec
from yarl import URL

from clearinghub.messages import decode_as, encode, encode_changed, field_of
from clearinghub.messages.headers import is_safe
from clearinghub.messages.parties import OracleAnswerMessage, OracleMessage

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024  # a batch of 10,000; must fit into one record together with its request
# The signature and the two headers that it names cover the original request, and we send another.
_NOT_SENT: Final = frozenset({"fspiop-signature", "fspiop-uri", "fspiop-http-method"})
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class OracleAnswer(NamedTuple):
    """An HTTP status with its body; the status is None if no answer came in time."""

    status: int | None
    body: bytes = b""


NO_ANSWER: Final = OracleAnswer(None)


class OracleQuestion(NamedTuple):
    """A record of topic `oracle`: its message, the body of the HTTP request, and what it answers, as it is encoded."""

    message: OracleMessage
    body: bytes
    request: msgspec.Raw

    @classmethod
    def parse(cls, value: bytes) -> OracleQuestion:
        """Return the question in a record's value.

        Raises:
            MalformedMessageError: the value is no question of this version.
        """
        return cls(*decode_as(OracleMessage, value), field_of(value, "request"))

    def answered(self, answer: OracleAnswer) -> bytes:
        """Return the value of the answer's record, on topic `party`, with the request unchanged."""
        message = self.message
        reply = OracleAnswerMessage(
            step=message.step, status=answer.status, request=message.request, trace=message.trace
        )
        return encode_changed(encode(reply, answer.body), request=self.request)


class OracleTransport(Protocol):
    """Sends one question; the caller limits the time."""

    async def send(self, question: OracleQuestion) -> OracleAnswer:
        """Return the answer, or NO_ANSWER if the oracle cannot be reached, breaks off, or answers too much."""


class HttpOracleTransport:
    """An `OracleTransport` on aiohttp's client. It follows no redirects: an oracle answers where it is registered."""

    def __init__(self) -> None:
        """Call within a running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=_NOT_ADDED,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send(self, question: OracleQuestion) -> OracleAnswer:
        message = question.message
        try:
            async with self._session.request(
                message.method,
                URL(message.url, encoded=True),
                headers=sent_headers(message.headers),
                data=question.body or None,
                allow_redirects=False,
            ) as response:
                body = await _read(response)
                return NO_ANSWER if body is None else OracleAnswer(response.status, body)
        except (aiohttp.ClientError, OSError, ValueError):
            return NO_ANSWER

    async def close(self) -> None:
        await self._session.close()


def sent_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a request's headers as the oracle gets them.

    Its resource is always `participants`, also for a request of /parties.
    """
    sent = {name: value for name, value in headers.items() if name not in _NOT_SENT and is_safe(name, value)}
    for name in ("accept", "content-type"):
        if name in sent:
            sent[name] = sent[name].replace(".parties+json", ".participants+json")
    return sent


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the answer's body, or None if it has more than ANSWER_BYTES_MAX bytes."""
    parts: list[bytes] = []
    left = ANSWER_BYTES_MAX
    async for part in response.content.iter_any():
        left -= len(part)
        if left < 0:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)
