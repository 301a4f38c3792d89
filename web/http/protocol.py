"""One connection of a client: whose certificate it has, how long it may take, and what is no HTTP request.

The last is answered as JSON too, for clients parse every answer of the hub (protocol 2.1); and no answer says which
software sent it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiohttp.hdrs import SERVER
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web import BaseRequest, Request, RequestHandler, Response, Server, StreamResponse

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.security.listener_tls import shown_key
from web.http.errors import error_response

_TOO_LARGE: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "Headers are too large")
_UNREADABLE: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "The request is not valid HTTP")
_TIMED_OUT: Final = Rejection(ErrorCode.SERVER_TIMED_OUT)
_BUG: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR)
_HTTP_BAD_REQUEST: Final = 400
_HTTP_TIMED_OUT: Final = 504

HEAD_TIMEOUT_S: Final = 5.0  # from a connection's begin, or the first byte of a head, until the head is whole
CONNECTIONS_OF_ONE_MAX: Final = 200  # of one participant

_log = structlog.get_logger(__name__)


class Owners:
    """Knows whose the connections of a listener are, and how many each has.

    `owner_of` returns by a key's id the participant that has it now, or None.
    """

    def __init__(self, owner_of: Callable[[str], str | None], connections_max: int = CONNECTIONS_OF_ONE_MAX) -> None:
        self.owner_of = owner_of
        self._connections_max = connections_max
        self._counts: Counter[str] = Counter()

    def begin(self, owner: str) -> bool:
        """Count a connection; return False if its owner has more than it may have."""
        self._counts[owner] += 1
        return self._counts[owner] <= self._connections_max

    def end(self, owner: str) -> None:
        """Count a connection no more."""
        self._counts[owner] -= 1
        if self._counts[owner] <= 0:
            del self._counts[owner]


class PlainRequest(Request):
    """aiohttp's request, whose answer has no header `Server`: versions of libraries help only those who attack them."""

    async def _prepare_hook(self, response: StreamResponse) -> None:
        await super()._prepare_hook(response)
        response.headers.pop(SERVER, None)


class JsonRequestHandler(RequestHandler):
    """aiohttp's protocol of one connection, with FSPIOP's errorInformation in place of its plain texts.

    The application's middlewares see a request only once its head has been read. What comes before that is answered
    here: a malformed request line or header, lengths that contradict each other.

    `key_id` is that of the client's certificate, None without one.
    """

    __slots__ = ("_head_since_s", "_owner", "_owners", "key_id")

    def __init__(
        self, manager: Server, *, loop: asyncio.AbstractEventLoop, owners: Owners | None = None, **options: Any
    ) -> None:
        """Without `owners` nobody's connections are counted; `options` are aiohttp's."""
        super().__init__(manager, loop=loop, **options)
        self.key_id: str | None = None
        self._owners = owners
        self._owner: str | None = None
        self._head_since_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note whose connection it is, and close it at once if they have too many."""
        super().connection_made(transport)
        self._head_since_s = self._loop.time()
        self.key_id = shown_key(transport.get_extra_info("ssl_object"))
        if self._owners is None or self.key_id is None:
            return
        self._owner = self._owners.owner_of(self.key_id) or self.key_id
        if not self._owners.begin(self._owner):
            _log.info("too-many-connections", owner=self._owner)
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count the connection no more."""
        if self._owners is not None and self._owner is not None:
            self._owners.end(self._owner)
            self._owner = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note since when a head is being received, while no request is at work."""
        heads = self._request_count
        super().data_received(data)
        if self._request_count != heads:
            self._head_since_s = None
        elif self._head_since_s is None and self._is_idle:
            self._head_since_s = self._loop.time()

    def close_if_due(self, now_s: float) -> None:
        """Close the connection if a head takes too long, or if its key is no longer whose it was.

        A request that is at work is answered before.
        """
        if self._head_since_s is not None and now_s - self._head_since_s > HEAD_TIMEOUT_S:
            self.force_close()
        elif self._is_lost_by_its_owner():
            if self._is_idle:
                self.force_close()
            else:
                self.close()

    @property
    def _is_idle(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _is_lost_by_its_owner(self) -> bool:
        if self._owners is None or self._owner is None or self.key_id is None:
            return False
        return (self._owners.owner_of(self.key_id) or self.key_id) != self._owner

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - of the method that is replaced
    ) -> Response:
        """Return the answer, after which the connection is closed: where the next request begins is not known.

        Raises:
            ConnectionError: a part of another answer has been sent.
        """
        rejection = _rejection(status, exc)
        if rejection is _BUG:
            _log.error("request-failed", remote=request.remote, exc_info=exc)
        else:
            _log.info("request-unreadable", remote=request.remote, reason=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer has been sent already")
        response = error_response(ErrorInformation.of(rejection), rejection.status)
        response.force_close()
        return response


def _rejection(status: int, error: BaseException | None) -> Rejection:
    if status == _HTTP_TIMED_OUT:
        return _TIMED_OUT
    if status != _HTTP_BAD_REQUEST:
        return _BUG
    is_too_large = isinstance(error, LineTooLong) or "Too many headers" in str(error)
    return _TOO_LARGE if is_too_large else _UNREADABLE
