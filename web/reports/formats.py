"""The format of a report that a request asks for, and the headers of each format."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Final, Literal, TypeAlias

import structlog
from aiohttp.web import Request, Response, StreamResponse

from clearinghub.ports import LedgerUnavailableError, StatementTooLongError
from web.http.errors import CONTENT_TYPE
from web.reports.page import CONTENT_SECURITY_POLICY

WRITE_TIMEOUT_S: Final = 60.0  # a reader that takes nothing for so long does not keep a report's turn from others
ACCEPT_LENGTH_MAX: Final = 1_000  # browsers' are a fifth of it
_FULL_QUALITY: Final = 1_000
_RANGE: Final = re.compile(r"\s*([!-~]+?)\s*(?:;(.*))?")
_QUALITY: Final = re.compile(r"(?:.*;)?\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;.*)?")

_log = structlog.get_logger(__name__)


class Format(Enum):
    """The formats of a report; if a client accepts several equally, the first is preferred."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"

    @property
    def media_type(self) -> str:
        """The media type, as the header `Accept` names it."""
        return "application/json" if self is Format.JSON else f"text/{self.value}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an answer. They keep a browser from running or fetching anything that a page names."""
        headers = {"Vary": "Accept", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if self is Format.JSON:
            return {**headers, "Content-Type": CONTENT_TYPE}
        if self is Format.CSV:
            return {**headers, "Content-Type": "text/csv; charset=utf-8; header=present"}
        policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "no-referrer"}
        return {**headers, **policy, "Content-Type": "text/html; charset=utf-8"}


FormatText: TypeAlias = Literal["json", "csv", "html"]
"""The query's `format`, which comes before `Accept`."""


def chosen_format(request: Request, query: Mapping[str, object]) -> Format:
    """Return the format that a request asks for; JSON if it asks for none that exists."""
    if "format" in query:
        return Format(query["format"])
    accepted = ",".join(request.headers.getall("Accept", []))[:ACCEPT_LENGTH_MAX]
    qualities = {one: _quality(one, accepted) for one in Format}
    best = max(qualities, key=lambda one: qualities[one])  # the first of equals
    return best if qualities[best] else Format.JSON


def _quality(form: Format, accepted: str) -> int:
    """Return the quality of a format, in thousandths, by the most specific range that matches it (RFC 9110, 12.5.1)."""
    kind = form.media_type.partition("/")[0]
    ranks = {form.media_type: 3, f"{kind}/*": 2, "*/*": 1}
    found = (0, 0)
    for part in accepted.split(","):
        match = _RANGE.fullmatch(part)
        rank = ranks.get(match[1].lower(), 0) if match else 0
        if match is not None and rank > found[0]:
            found = (rank, _thousandths(match[2] or ""))
    return found[1]


def _thousandths(parameters: str) -> int:
    match = _QUALITY.fullmatch(f";{parameters}")
    if match is None:
        return _FULL_QUALITY
    whole, _point, fraction = match[1].partition(".")
    return int(whole) * _FULL_QUALITY + int(fraction.ljust(3, "0"))


def report_response(form: Format, name: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return a complete report; `name` is the name of its file, without the ending."""
    return Response(body=body, headers={**form.headers, **_called(form, name), **(headers or {})})


async def streamed_response(request: Request, form: Format, name: str, parts: AsyncIterator[bytes]) -> StreamResponse:
    """Send a report while it is made. An error before the first part is answered as an error.

    After the first part, the connection is closed without the end of the body, so that nobody mistakes a part for the
    whole report.
    """
    first = await anext(parts, b"")
    response = StreamResponse(headers={**form.headers, **_called(form, name)})
    await response.prepare(request)
    try:
        await _write(response, first)
        async for part in parts:
            await _write(response, part)
        await response.write_eof()
    except Exception as error:
        _log.warning("report-cut-short", path=request.path, error=repr(error))
        if request.transport is not None:
            request.transport.abort()
        if not isinstance(error, LedgerUnavailableError | StatementTooLongError | TimeoutError):
            raise
    return response


async def _write(response: StreamResponse, part: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(part)


def _called(form: Format, name: str) -> dict[str, str]:
    """Return the Content-Disposition header; no name of a participant has a letter that must be escaped."""
    return {"Content-Disposition": f'inline; filename="{name}.{form.value}"'}
