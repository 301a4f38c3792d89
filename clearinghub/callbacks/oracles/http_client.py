"""One HTTP request to an oracle, and the records that it comes from and leads to."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final, NamedTuple, Protocol

import aiohttp
import msgspec
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from clearinghub.callbacks.destinations import Destinations, ForbiddenDestinationError
from clearinghub.messages import decode_as, encode, encode_changed, field_of
from clearinghub.messages.headers import is_safe
from clearinghub.messages.parties import OracleAnswerMessage, OracleMessage
from clearinghub.security.egress import HTTPS_ONLY, Egress

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024  # a batch of 10,000; must fit into one record together with its request
# The signature and the two headers that it names cover the original request, and we send another.
_NOT_SENT: Final = frozenset({"fspiop-signature", "fspiop-uri", "fspiop-http-method"})
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")

_log = structlog.get_logger(__name__)


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


class CheckedResolver(AbstractResolver):
    """Resolves names for aiohttp, and refuses those that lead to where the hub may not go."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._destinations.addresses(host, port)
        ]

    async def close(self) -> None:
        return None


class HttpOracleTransport:
    """An `OracleTransport` on aiohttp's client. It follows no redirects: an oracle answers where it is registered."""

    def __init__(
        self,
        egress: Egress | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        destinations: Destinations | None = None,
    ) -> None:
        """Call within a running event loop.

        Args:
            egress: where the hub may send to.
            tls: returns the current context for oracles; None to believe whom the machine believes.
            destinations: resolves names; by default as the system does.
        """
        self._egress = Egress() if egress is None else egress
        self._tls = tls
        self._destinations = Destinations(self._egress) if destinations is None else destinations
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=4.0, resolver=CheckedResolver(self._destinations)
            ),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=_NOT_ADDED,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send(self, question: OracleQuestion) -> OracleAnswer:
        message = question.message
        try:
            url = URL(message.url, encoded=True)
            self._check(url)
            async with self._session.request(
                message.method,
                url,
                headers=sent_headers(message.headers),
                data=question.body or None,
                allow_redirects=False,
                ssl=True if self._tls is None else self._tls(),
            ) as response:
                body = await _read(response)
                return NO_ANSWER if body is None else OracleAnswer(response.status, body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _log.warning("oracle-not-reached", oracle=message.oracle, error=str(error))
            return NO_ANSWER

    def _check(self, url: URL) -> None:
        """Check what aiohttp does not resolve: the scheme, and a host that is an address.

        Raises:
            ForbiddenDestinationError: the hub may not send there.
        """
        if self._egress.https_only and url.scheme != "https":
            raise ForbiddenDestinationError(HTTPS_ONLY)
        try:
            address = str(ip_address(url.raw_host or ""))
        except ValueError:
            return  # a name
        self._destinations.check([address], url.port or 0)

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
