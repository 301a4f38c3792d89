"""Admission control: new requests are accepted as far as the hub can do them, answers always."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Request, StreamResponse, middleware
from prometheus_client import Counter, Gauge

from web.http.errors import RETRY_AFTER_S, busy_response

_REFUSED: Final = Counter(
    "clearinghub_requests_not_admitted_total", "New requests refused because of overload, or in maintenance"
)
_BEGUN: Final = Gauge("clearinghub_requests_begun", "Requests that begin something and have no answer yet")
_BEGINNING: Final = frozenset({"POST", "GET", "DELETE"})  # PUT and PATCH answer something that was begun
_OPERATIONS: Final = frozenset({"/health", "/ready", "/metrics"})


def make_admission_middleware(
    admits: Callable[[str], bool], begun_max: int, retry_after_s: int = RETRY_AFTER_S
) -> Middleware:
    """Return the middleware that refuses new requests while too many are unanswered, or as `admits` says.

    It must be the outermost one: when the hub refuses requests it refuses thousands, so a refusal must cost little. It
    is counted, but neither logged nor measured. The limit keeps each pass of the event loop short: a request takes a
    dozen passes, so without a limit a crowd of new requests delays the answers to older ones by seconds.

    Args:
        admits: returns whether the sender of that name, which may be any text, may begin something now.
        begun_max: the number of unanswered requests in this process from which new ones are refused.
        retry_after_s: in how many seconds a refused sender should come again.
    """
    begun = 0
    _BEGUN.set_function(lambda: begun)

    @middleware
    async def admission(request: Request, handler: Handler) -> StreamResponse:
        nonlocal begun
        if request.method not in _BEGINNING or request.path in _OPERATIONS:
            return await handler(request)
        if begun >= begun_max or not admits(request.headers.get("FSPIOP-Source", "")):
            _REFUSED.inc()
            return busy_response(retry_after_s)
        begun += 1
        try:
            return await handler(request)
        finally:
            begun -= 1

    return admission
