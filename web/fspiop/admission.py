"""What begins something new is let in as far as the hub can do it; what answers is always let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Request, StreamResponse, middleware
from prometheus_client import Counter, Gauge

from web.http.errors import busy_response

_REFUSED: Final = Counter("clearinghub_requests_not_admitted_total", "New requests refused because of overload")
_BEGUN: Final = Gauge("clearinghub_requests_begun", "Requests that begin something and have no answer yet")
_BEGINNING: Final = frozenset({"POST", "GET", "DELETE"})  # of the FSPIOP API's methods; PUT and PATCH answer
_OPERATIONS: Final = frozenset({"/health", "/ready", "/metrics"})


def make_admission_middleware(admits: Callable[[str], bool], begun_max: int) -> Middleware:
    """Refuse what begins something when `begun_max` such requests have no answer yet, or `admits` says so.

    The outermost middleware: a refusal must cost as little as it can, for when there are any there are thousands. They
    are counted, and neither logged nor measured. The limit keeps the turns of the event loop short: an answer takes a
    dozen of them, so that without it a crowd of new requests makes the answers to begun ones wait for seconds.

    Args:
        admits: called with the name of the sender, which may be any text.
        begun_max: of this process.
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
            return busy_response()
        begun += 1
        try:
            return await handler(request)
        finally:
            begun -= 1

    return admission
