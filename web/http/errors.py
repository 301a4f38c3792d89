"""How errors are answered, on every surface: with FSPIOP's errorInformation as JSON (protocol 2.1).

- ApiError: the request is refused here; it carries the Rejection
- HTTPException of aiohttp: no such path (3002), no such method (3000), body too large (3104)
- RecorderUnavailableError (2003), RecorderBusyError (2005), LedgerUnavailableError (2003): the hub cannot serve the
  request now, and has accepted nothing
- CommandTimeoutError (2004): the command is recorded, and its outcome is not known yet
- RecordOutcomeUnknownError (2004): the request may be recorded; the client should repeat it with the same id
- ApprovalNeededError (202, no error): the command waits for a second operator; Location says where it is decided
- CommandRejectedError: the code and status that the ledger chose
- anything else: 2001, a bug; logged with its traceback, which the client does not see
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson
import structlog
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import (
    AppKey,
    HTTPException,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    HTTPRequestEntityTooLarge,
    Request,
    Response,
    StreamResponse,
    middleware,
)

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.ports import (
    ApprovalNeededError,
    CommandRejectedError,
    CommandTimeoutError,
    LedgerUnavailableError,
    MessageTooLargeError,
    RecorderBusyError,
    RecorderUnavailableError,
    RecordOutcomeUnknownError,
)

CONTENT_TYPE: Final = "application/json; charset=utf-8"
RETRY_AFTER_S: Final = 1  # requests in flight are answered within about a second

PAYLOAD_TOO_LARGE: Final = Rejection(ErrorCode.TOO_LARGE_PAYLOAD, "Payload size is too large")
OUTCOME_UNKNOWN: Final = "The outcome is unknown, repeat the same request with the same id"
_CLIENT_GONE_STATUS: Final = 499  # nginx's code, for the metrics: the client has disconnected and reads no answer
_BUG: Final = ErrorInformation.of(Rejection(ErrorCode.INTERNAL_SERVER_ERROR))
_RETRY_LATER: Final = {"Retry-After": str(RETRY_AFTER_S)}
_BUSY: Final = orjson.dumps(ErrorInformation.of(Rejection(ErrorCode.SERVER_BUSY)).as_json())
_BUSY_HEADERS: Final = {**_RETRY_LATER, "Content-Type": CONTENT_TYPE}
_HUB_FAULTS: Final[Mapping[type[Exception], Rejection]] = {
    RecorderUnavailableError: Rejection(ErrorCode.SERVICE_UNAVAILABLE),
    RecorderBusyError: Rejection(ErrorCode.SERVER_BUSY),
    MessageTooLargeError: PAYLOAD_TOO_LARGE,
    LedgerUnavailableError: Rejection(ErrorCode.SERVICE_UNAVAILABLE),
    CommandTimeoutError: Rejection(ErrorCode.SERVER_TIMED_OUT),
    RecordOutcomeUnknownError: Rejection(ErrorCode.SERVER_TIMED_OUT, OUTCOME_UNKNOWN),
}
_HUB_FAULT_KINDS: Final = tuple(_HUB_FAULTS)

# An application's entry: the function that returns a request's path as logs show it.
SHOWN_PATH: Final[AppKey[Callable[[str], str]]] = AppKey("shown_path")

_log = structlog.get_logger(__name__)


class ApiError(Exception):
    """A request is refused for the reason in `rejection`. `extensions` is the error's extensionList, or None.

    With `closes`, the connection is closed after the answer.
    """

    def __init__(self, rejection: Rejection, extensions: object = None, *, closes: bool = False) -> None:
        super().__init__(rejection.description)
        self.rejection = rejection
        self.extensions = extensions
        self.closes = closes


def error_response(information: ErrorInformation, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for an errorInformation."""
    return Response(
        status=status,
        body=orjson.dumps(information.as_json()),
        headers={**(headers or {}), "Content-Type": CONTENT_TYPE},
    )


def busy_response(retry_after_s: int = RETRY_AFTER_S) -> Response:
    """Return the answer to a request that should be repeated later: 503, 2005, Retry-After."""
    headers = _BUSY_HEADERS if retry_after_s == RETRY_AFTER_S else {**_BUSY_HEADERS, "Retry-After": str(retry_after_s)}
    return Response(status=ErrorCode.SERVER_BUSY.http_status, body=_BUSY, headers=headers)


def make_error_middleware() -> Middleware:
    """Return the middleware that turns exceptions into answers. Only the metrics' middleware is outside it.

    It logs every refusal; an application whose paths name people says by SHOWN_PATH how a path is shown there.
    """

    @middleware
    async def errors_as_json(request: Request, handler: Handler) -> StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            response = _refuse(request, error.rejection, error.extensions)
            if error.closes:
                response.force_close()
            return response
        except ApprovalNeededError as error:
            return Response(status=202, headers={"Location": f"/approvals/{error.approval_id}"})
        except CommandRejectedError as error:
            _log_refusal(request, error.code, error.description, error.status)
            return error_response(ErrorInformation(error.code, error.description), error.status)
        except _HUB_FAULT_KINDS as error:
            return _hub_fault(request, error)
        except HTTPException as error:
            return _http_error(request, error)
        except Exception as error:  # noqa: BLE001 - a bug of any kind must still be answered
            if isinstance(error, ConnectionError) and request.transport is None:
                _log.info("client-gone", **_about(request))
                return Response(status=_CLIENT_GONE_STATUS)
            _log.exception("request-failed", **_about(request))
            return error_response(_BUG, ErrorCode.INTERNAL_SERVER_ERROR.http_status)

    return errors_as_json


def _refuse(request: Request, rejection: Rejection, extensions: object = None, **headers: str) -> Response:
    _log_refusal(request, rejection.code, rejection.description, rejection.status)
    return error_response(ErrorInformation.of(rejection, extensions), rejection.status, headers)


def _log_refusal(request: Request, code: str, description: str, status: int) -> None:
    _log.info("request-refused", **_about(request), status=status, code=code, description=description)


def _about(request: Request) -> dict[str, str | None]:
    """Return what a log line says of a request: enough to find it in the client's logs too, and nobody's name."""
    shown = request.config_dict.get(SHOWN_PATH)
    return {
        "method": request.method,
        "path": request.path if shown is None else shown(request.path),
        "source": request.headers.get("FSPIOP-Source"),
        "trace": request.headers.get("traceparent"),
    }


def _hub_fault(request: Request, error: Exception) -> Response:
    rejection = next(rejection for kind, rejection in _HUB_FAULTS.items() if isinstance(error, kind))
    _log.warning("request-not-taken", **_about(request), code=rejection.code, reason=str(error))
    headers = _RETRY_LATER if isinstance(error, RecorderBusyError | RecordOutcomeUnknownError) else {}
    return error_response(ErrorInformation.of(rejection), rejection.status, headers)


def _http_error(request: Request, error: HTTPException) -> StreamResponse:
    if isinstance(error, HTTPNotFound):
        return _refuse(request, Rejection(ErrorCode.UNKNOWN_URI))
    if isinstance(error, HTTPMethodNotAllowed):
        rejection = Rejection(ErrorCode.CLIENT_ERROR, "Method Not Allowed", http_status=error.status)
        return _refuse(request, rejection, Allow=error.headers["Allow"])
    if isinstance(error, HTTPRequestEntityTooLarge):
        return _refuse(request, PAYLOAD_TOO_LARGE)
    if error.status < ErrorCode.CLIENT_ERROR.http_status:
        raise error  # a redirection is an answer, not an error
    return _refuse(request, Rejection(ErrorCode.CLIENT_ERROR, error.reason, http_status=error.status))
