"""The middleware: every exception becomes FSPIOP JSON, and only a bug is logged with its stack."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import (
    Application,
    HTTPException,
    HTTPExpectationFailed,
    HTTPForbidden,
    HTTPFound,
    HTTPServiceUnavailable,
    Request,
    Response,
)
from structlog.testing import capture_logs

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.ports import (
    CommandRejectedError,
    CommandTimeoutError,
    LedgerUnavailableError,
    MessageTooLargeError,
    RecorderBusyError,
    RecorderUnavailableError,
    RecordOutcomeUnknownError,
)
from tests.web.fspiop_client import ERROR, FULFIL, TRANSFER_ID, Dfsp
from web.http.errors import ApiError, make_error_middleware

UNKNOWN = "Server timed out - The outcome is unknown, repeat the same request with the same id"


class BrokerGoneError(RecorderUnavailableError):
    """A recorder's own kind of the port's exception."""


@asynccontextmanager
async def a_surface_that_raises(error: Exception) -> AsyncIterator[TestClient[Any, Any]]:
    async def get(_request: Request) -> Response:
        raise error

    app = Application(middlewares=[make_error_middleware()])
    app.router.add_get("/", get)
    async with TestClient(TestServer(app)) as http:
        yield http


@pytest.mark.parametrize(
    ("error", "status", "code", "description", "level"),
    [
        (
            ApiError(Rejection(ErrorCode.ID_NOT_FOUND, "x")),
            400,
            "3200",
            "Generic ID not found - x",
            "info",
        ),
        (
            ApiError(Rejection(ErrorCode.CLIENT_ERROR, "x", http_status=409)),
            409,
            "3000",
            "Generic client error - x",
            "info",
        ),
        (CommandRejectedError("6000", "No model", 400), 400, "6000", "No model", "info"),
        (HTTPForbidden(), 403, "3000", "Generic client error - Forbidden", "info"),
        (HTTPServiceUnavailable(), 503, "3000", "Generic client error - Service Unavailable", "info"),
        (RecorderUnavailableError("why"), 503, "2003", "Service currently unavailable", "warning"),
        (BrokerGoneError("why"), 503, "2003", "Service currently unavailable", "warning"),
        (RecorderBusyError("why"), 503, "2005", "Server busy", "warning"),
        (MessageTooLargeError(), 400, "3104", "Too large payload - Payload size is too large", "warning"),
        (LedgerUnavailableError("why"), 503, "2003", "Service currently unavailable", "warning"),
        (CommandTimeoutError("why"), 504, "2004", "Server timed out", "warning"),
        (RecordOutcomeUnknownError("why"), 504, "2004", UNKNOWN, "warning"),
        (RuntimeError("secret"), 500, "2001", "Internal server error", "error"),
        (ConnectionResetError("secret"), 500, "2001", "Internal server error", "error"),
        (TimeoutError("secret"), 500, "2001", "Internal server error", "error"),
    ],
)
async def test_an_exception_becomes_json(
    error: Exception, status: int, code: str, description: str, level: str
) -> None:
    with capture_logs() as logs:
        async with a_surface_that_raises(error) as http, http.get("/") as response:
            body = await response.json()

    assert status == response.status
    assert {"errorInformation": {"errorCode": code, "errorDescription": description}} == body
    assert [level] == [entry["log_level"] for entry in logs]
    assert (level == "error") == bool(logs[0].get("exc_info"))


async def test_a_redirection_is_no_error() -> None:
    async with a_surface_that_raises(HTTPFound("/there")) as http, http.get("/", allow_redirects=False) as response:
        assert (302, "/there") == (response.status, response.headers["Location"])


async def test_an_unusual_expectation_is_refused() -> None:
    error: HTTPException = HTTPExpectationFailed()
    async with a_surface_that_raises(error) as http, http.get("/") as response:
        assert 417 == response.status


@pytest.mark.parametrize(
    ("failure", "error", "retry_after"),
    [
        (RecorderUnavailableError("no broker"), (503, "2003", "Service currently unavailable"), None),
        (RecorderBusyError("full"), (503, "2005", "Server busy"), "1"),
        (RecordOutcomeUnknownError("no confirmation"), (504, "2004", UNKNOWN), "1"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/transfers", None),
        ("PUT", f"/transfers/{TRANSFER_ID}", FULFIL),
        ("PUT", f"/transfers/{TRANSFER_ID}/error", ERROR),
        ("GET", f"/transfers/{TRANSFER_ID}", None),
    ],
)
async def test_what_cannot_be_recorded_is_not_accepted(
    dfsp: Dfsp,
    failure: Exception,
    error: tuple[int, str, str],
    retry_after: str | None,
    method: str,
    path: str,
    body: Any,
) -> None:
    dfsp.recorder.fails_with = failure

    if method == "POST":
        answer = await dfsp.post()
    else:
        answer = await dfsp.send(method, path, data=None if body is None else json.dumps(body).encode())

    assert error == answer.error
    assert retry_after == answer.headers.get("Retry-After")
    assert [] == dfsp.recorder.records


async def test_a_mistake_is_one_line_in_the_log_without_the_body(dfsp: Dfsp) -> None:
    with capture_logs() as logs:
        await dfsp.post(condition="secret")

    assert [
        {
            "event": "request-refused",
            "log_level": "info",
            "method": "POST",
            "path": "/transfers",
            "source": "payerfsp",
            "trace": None,
            "status": 400,
            "code": "3100",
            "description": (
                'Generic validation error - /requestBody/condition must match pattern "^[A-Za-z0-9-_]{43}$"'
            ),
        }
    ] == logs


@pytest.mark.parametrize("resource", ["parties", "participants"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_no_line_in_the_log_names_a_person(dfsp: Dfsp, method: str, resource: str) -> None:
    """Whatever goes wrong: a refusal, a method that is not there, a broker that is away, a bug."""
    path, shown = f"/{resource}/MSISDN/27710101999", f"/{resource}/MSISDN/#"
    headers = {"Content-Type": f"application/vnd.interoperability.{resource}+json;version=1.1", "Accept": None}
    if method != "PUT":
        headers["Accept"] = headers["Content-Type"]
    with capture_logs() as logs:
        await dfsp.send(method, path, {**headers, "FSPIOP-Source": "nobody"}, b"{}")
        await dfsp.send(method, f"{path}/a/b/error", headers, b"{}")
        for failure in (RecorderUnavailableError("why"), RuntimeError("why")):
            dfsp.recorder.fails_with = failure
            await dfsp.send(method, f"{path}/100", headers, b'{"fspId": "payeefsp", "party": {}}')

    assert len(logs) >= 3
    assert [] == [log for log in logs if "27710101999" in repr(log) or not log["path"].startswith(shown)]
