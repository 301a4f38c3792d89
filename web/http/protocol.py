"""What every connection has in common: no answer says which software gave it, and each is JSON (protocol 2.1)."""

from __future__ import annotations

from typing import Final

import structlog
from aiohttp.hdrs import SERVER
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web import BaseRequest, Request, RequestHandler, Response, StreamResponse

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from web.http.errors import error_response

_TOO_LARGE: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "Headers are too large")
_UNREADABLE: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "The request is not valid HTTP")
_TIMED_OUT: Final = Rejection(ErrorCode.SERVER_TIMED_OUT)
_BUG: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR)
_HTTP_BAD_REQUEST: Final = 400
_HTTP_TIMED_OUT: Final = 504

_log = structlog.get_logger(__name__)


class PlainRequest(Request):
    """aiohttp's request, whose answer has no header `Server`: versions of libraries help only those who attack them."""

    async def _prepare_hook(self, response: StreamResponse) -> None:
        await super()._prepare_hook(response)
        response.headers.pop(SERVER, None)


class JsonRequestHandler(RequestHandler):
    """aiohttp's protocol of one connection, with FSPIOP's errorInformation in place of its plain texts.

    The application's middlewares see a request only once its head has been read. What comes before that is answered
    here: a malformed request line or header, lengths that contradict each other.
    """

    __slots__ = ()

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
