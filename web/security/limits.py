"""The middleware that refuses what a participant sends beyond its rates; it needs to know whose request it is."""

from __future__ import annotations

from typing import Final

from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Request, StreamResponse, middleware
from prometheus_client import Counter

from clearinghub.security.limits import RateLimit, Rates
from web.http.errors import busy_response
from web.security.identity import IDENTITY

_ANSWERS: Final = frozenset({"PUT", "PATCH"})
RETRY_AFTER_S: Final = 1

_REFUSED: Final = Counter(
    "clearinghub_requests_over_rate_total", "Requests refused because their participant is beyond its rates", ["kind"]
)


def make_rate_middleware(rates: Rates) -> Middleware:
    """Return the middleware after that of identity: beyond a rate the answer is 503, 2005, Retry-After.

    Bytes are counted when a request has been answered: how long its body is may not be known before.
    """
    begun, answers, size = RateLimit(rates.begun), RateLimit(rates.answers), RateLimit(rates.bytes)

    @middleware
    async def limit(request: Request, handler: Handler) -> StreamResponse:
        name = request[IDENTITY]
        if name is None:
            return await handler(request)
        is_answer = request.method in _ANSWERS
        kind = answers if is_answer else begun
        if not (kind.admits(name) and size.admits(name)):
            _REFUSED.labels("answer" if is_answer else "begun").inc()
            return busy_response(RETRY_AFTER_S)
        kind.charge(name)
        try:
            return await handler(request)
        finally:
            size.charge(name, request.content.total_bytes)

    return limit
