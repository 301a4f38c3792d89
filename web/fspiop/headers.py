"""A request's headers, checked in the reference's order (protocol 1.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NoReturn

from aiohttp.web import Request

from clearinghub.config import Settings
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.messages.headers import forwarded_headers
from web.fspiop.signatures import SignatureCheck
from web.fspiop.sources import Sources
from web.fspiop.versions import accepted_versions, content_version, extension_list, is_readable_media_type
from web.http.errors import PAYLOAD_TOO_LARGE, ApiError
from web.security.identity import IDENTITY

HEADERS_LENGTH_MAX: Final = 64 * 1024  # of all together (protocol 1.1); they are recorded with the message
SOURCE_UNKNOWN: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "invalid fspiop-source header")  # protocol 6.3
# All that an inactive participant may send: what ends reservations, and prepares, which the ledger refuses by callback.
_OF_INACTIVE: Final = frozenset(
    {("PUT", "transfers"), ("POST", "transfers"), ("PUT", "bulkTransfers"), ("POST", "bulkTransfers")}
)
_ACCEPT_REQUIRED: Final = frozenset({"GET", "POST", "DELETE"})
_IMF_DATE: Final = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class HeaderRules:
    """The checks of one resource's headers, for example of `transfers`, with the versions that the scheme supports."""

    def __init__(
        self,
        resource: str,
        settings: Settings,
        signatures: SignatureCheck,
        sources: Sources,
        *,
        accept_missing: str = "Accept is required",
        destination_required: bool = False,
        source_unknown: Rejection = SOURCE_UNKNOWN,
    ) -> None:
        """`accept_missing` is the error's text for a request without Accept: the reference's services differ in it.

        `source_unknown` is the refusal of a request whose source is no participant.
        """
        self._resource = resource
        self._accept_missing = accept_missing
        self._destination_required = destination_required
        self._signatures = signatures
        self._sources = sources
        self._source_unknown = source_unknown
        accept_versions, content_versions = (
            settings.accept_versions_of(resource),
            settings.content_versions_of(resource),
        )
        self._accept_versions = frozenset(accept_versions)
        self._content_versions = frozenset(content_versions)
        self._accept_extensions = extension_list(accept_versions)
        self._content_extensions = extension_list(content_versions)
        self._body_bytes_max = settings.body_bytes_max_of(resource)
        self._forwarded_extra = frozenset(name.lower() for name in settings.forward_headers_extra)

    async def read(self, request: Request) -> dict[str, str]:
        """Check the request's headers, its source and its signature, and return those that travel with the message.

        Their names are in lower case.

        As the signature is checked here, no handler can forget it, and none parses a body that its source has not
        signed.

        Raises:
            ApiError: the first thing wrong with the headers or the signature.
        """
        headers = _lower_case(request)
        self._check_speaker(request[IDENTITY], headers)
        self._check_accept(request.method, headers.get("accept"))
        _check_date(headers.get("date"))
        if (request.content_length or 0) > self._body_bytes_max:
            raise ApiError(PAYLOAD_TOO_LARGE)
        self._check_content_type(headers.get("content-type"))
        _check_name("fspiop-source", headers.get("fspiop-source"))
        if self._destination_required:
            _check_name("fspiop-destination", headers.get("fspiop-destination"))
        source = await self._sources.find(headers["fspiop-source"])
        if source is None:
            raise ApiError(self._source_unknown)
        if not source.active and (request.method, self._resource) not in _OF_INACTIVE:
            raise ApiError(_inactive(source.name))
        await self._signatures.check(request, headers)
        return forwarded_headers(headers, self._forwarded_extra)

    def _check_speaker(self, identity: str | None, headers: Mapping[str, str]) -> None:
        """Check who speaks; `identity` is the participant whose request it is, if that is known."""
        refusal = self._sources.refusal(
            source=headers.get("fspiop-source"), proxy=headers.get("fspiop-proxy"), client=identity
        )
        if refusal is not None:
            raise ApiError(refusal)

    def _check_accept(self, method: str, accept: str | None) -> None:
        if accept is None:
            if method in _ACCEPT_REQUIRED:
                _missing(self._accept_missing)
            return
        versions = accepted_versions(self._resource, accept)
        if versions is None:
            _malformed("Invalid accept header")
        if method in _ACCEPT_REQUIRED and versions.isdisjoint(self._accept_versions):
            detail = "The Client requested an unsupported version, see extension list for supported version(s)."
            raise ApiError(Rejection(ErrorCode.UNACCEPTABLE_VERSION, detail), self._accept_extensions)

    def _check_content_type(self, content_type: str | None) -> None:
        if content_type is None:
            _missing("Content-type is required")
        version = content_version(self._resource, content_type)
        if version is None:
            readable = is_readable_media_type(content_type)
            _malformed("Invalid content-type header" if readable else "Unsupported Media Type")
        if version not in self._content_versions:
            detail = "Client supplied a protocol version which is not supported by the server"
            raise ApiError(Rejection(ErrorCode.UNACCEPTABLE_VERSION, detail), self._content_extensions)


def _inactive(name: str) -> Rejection:
    """Return the refusal of what an inactive participant may not do."""
    return Rejection(ErrorCode.CLIENT_ERROR, f"Participant {name} is inactive", http_status=HTTPStatus.FORBIDDEN)


@lru_cache(maxsize=1024)  # all requests of one second have the same text
def is_http_date(text: str) -> bool:
    """Return whether the text is an IMF date of RFC 7231 that exists, e.g. `Tue, 23 May 2017 21:12:31 GMT`."""
    if _IMF_DATE.fullmatch(text) is None or text[8:11] not in _MONTHS:
        return False
    month = _MONTHS.index(text[8:11]) + 1
    try:
        moment = datetime(int(text[12:16]), month, int(text[5:7]), int(text[17:19]), int(text[20:22]), int(text[23:25]))  # noqa: DTZ001 - only checked
    except ValueError:
        return False
    return _WEEKDAYS[moment.weekday()] == text[:3]


def _lower_case(request: Request) -> dict[str, str]:
    """Return the headers by lower-case name; the values of a repeated one are joined, so that all readers agree."""
    headers: dict[str, str] = {}
    size = 0
    for name, value in request.headers.items():
        lower = name.lower()
        size += len(name) + len(value)
        if not value.isascii() and not _is_text(value):
            _malformed(f"Invalid {lower} header")
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    if size > HEADERS_LENGTH_MAX:
        _malformed("Headers are too large")
    return headers


def _is_text(value: str) -> bool:
    """Return False for bytes that were not UTF-8: in aiohttp they are surrogates, which no record can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_date(date: str | None) -> None:
    if date is None:
        _missing("Missing required date header")
    if not is_http_date(date):
        _malformed("Invalid date header")


def _check_name(header: str, name: str | None) -> None:
    """Check a header that the API's schema requires: with the schema's text, and after the checks above."""
    if name is None:
        _missing(f"/header must have required property '{header}'")
    if not name:
        detail = f"/header/{header} must NOT have fewer than 1 characters"
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))


def _missing(detail: str) -> NoReturn:
    raise ApiError(Rejection(ErrorCode.MISSING_ELEMENT, detail))


def _malformed(detail: str) -> NoReturn:
    raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, detail))
