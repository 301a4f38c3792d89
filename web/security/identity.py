"""The middleware that finds out whose request it is, before anything else is done with it."""

from __future__ import annotations

from typing import Final, cast

import structlog
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Request, RequestKey, StreamResponse, middleware
from prometheus_client import Counter

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.security.identity import AnyClient, IdentityRule, Unidentified
from web.http.errors import error_response
from web.http.protocol import JsonRequestHandler

# A request's entry: the participant whose request it is; None if nobody's certificate is required.
IDENTITY: Final = RequestKey("identity", cast("type[str | None]", str))

ANY_CLIENT: Final = AnyClient()
_UNAUTHORIZED: Final = 401
_FOR_EVERYBODY: Final = frozenset({"/health", "/ready"})

_REFUSED: Final = Counter(
    "clearinghub_requests_unidentified_total", "Requests of which nothing proves whose they are, by reason", ["reason"]
)
_log = structlog.get_logger(__name__)


def make_identity_middleware(rule: IdentityRule) -> Middleware:
    """Return the outermost middleware: it answers 401 where the rule finds nobody, and enters IDENTITY elsewhere."""

    @middleware
    async def identify(request: Request, handler: Handler) -> StreamResponse:
        identity = rule.identify(_key_id(request), lambda name: request.headers.getall(name, ()))
        if isinstance(identity, Unidentified):
            if request.path not in _FOR_EVERYBODY:
                return _refusal(request, identity)
            identity = None
        request[IDENTITY] = identity
        return await handler(request)

    return identify


def _key_id(request: Request) -> str | None:
    connection = request.protocol
    return connection.key_id if isinstance(connection, JsonRequestHandler) else None


def _refusal(request: Request, refused: Unidentified) -> StreamResponse:
    _REFUSED.labels(refused.reason).inc()
    _log.info("request-unidentified", reason=refused.reason, address=request.remote, key=_key_id(request))
    rejection = Rejection(ErrorCode.CLIENT_ERROR, refused.reason, http_status=_UNAUTHORIZED)
    return error_response(ErrorInformation.of(rejection), _UNAUTHORIZED)
