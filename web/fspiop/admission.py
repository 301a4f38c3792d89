"""Admission control: new requests are accepted as far as the hub can do them, answers always."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Request, StreamResponse, middleware
from prometheus_client import Counter, Gauge

from web.http.errors import RETRY_AFTER_S, busy_response
from web.http.json_body import read_body

_REFUSED: Final = Counter(
    "clearinghub_requests_not_admitted_total", "New requests refused because of overload, or in maintenance"
)
_BEGUN: Final = Gauge("clearinghub_requests_begun", "Requests that begin something and have no answer yet")
_BEGINNING: Final = frozenset({"POST", "GET", "DELETE"})  # PUT and PATCH answer something that was begun
_OPERATIONS: Final = frozenset({"/health", "/ready", "/metrics"})


class AdmissionMiddlewares:
    """The two middlewares that refuse new requests while too many are unanswered, or as `admits` says.

    `refuse` must be the outermost one: when the hub refuses requests it refuses thousands, so a refusal must cost
    little. It is counted, but neither logged nor measured.

    `take` must be inside those that answer errors. It counts a request as begun when its whole body is there: a client
    that sends half a body takes no place of others.

    The limit keeps each pass of the event loop short: a request takes a dozen passes, so without a limit a crowd of new
    requests delays the answers to older ones by seconds.
    """

    def __init__(self, admits: Callable[[str], bool], begun_max: int, retry_after_s: int = RETRY_AFTER_S) -> None:
        """`admits` returns whether the sender of that name, which may be any text, may begin something now.

        New requests are refused while `begun_max` of them are unanswered in this process. A refused sender should come
        again after `retry_after_s`.
        """
        self._admits = admits
        self._retry_after_s = retry_after_s
        self._begun_max = begun_max
        self._begun = 0
        _BEGUN.set_function(lambda: self._begun)

    @property
    def refuse(self) -> Middleware:
        @middleware
        async def refuse(request: Request, handler: Handler) -> StreamResponse:
            if _begins(request) and (self._is_full or not self._admits(request.headers.get("FSPIOP-Source", ""))):
                return self._refusal()
            return await handler(request)

        return refuse

    @property
    def take(self) -> Middleware:
        @middleware
        async def take(request: Request, handler: Handler) -> StreamResponse:
            if not _begins(request):
                return await handler(request)
            await read_body(request)
            if self._is_full:
                return self._refusal()
            self._begun += 1
            try:
                return await handler(request)
            finally:
                self._begun -= 1

        return take

    def _refusal(self) -> StreamResponse:
        _REFUSED.inc()
        return busy_response(self._retry_after_s)

    @property
    def _is_full(self) -> bool:
        return self._begun >= self._begun_max


def _begins(request: Request) -> bool:
    return request.method in _BEGINNING and request.path not in _OPERATIONS
