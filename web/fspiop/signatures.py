"""The check of FSPIOP-Signature, after a request's headers and before its body (protocol 10.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from aiohttp.web import Request

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.security.signature import HEADER, Verifier
from web.http.errors import ApiError
from web.http.json_body import read_body

# Anything else has no body, and may come without a signature; one that is there must be good all the same.
_ALWAYS_SIGNED: Final = frozenset({"POST", "PUT", "PATCH"})


class SignatureCheck(Protocol):
    """What every request passes once its headers are in order."""

    async def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """Return if the request may go on; `headers` by lower-case name.

        Raises:
            ApiError: its signature is missing or wrong (3105).
        """


class NoSignatures:
    """Asks for none; what is signed goes on unread, for its receiver to judge."""

    async def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """Every request may go on."""


class JwsCheck:
    """Asks the source's signature of every message with a body, on every resource."""

    def __init__(self, verifier: Verifier, hub_name: str) -> None:
        self._verifier = verifier
        self._hub_name = hub_name

    async def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """See `SignatureCheck.check`."""
        if request.method not in _ALWAYS_SIGNED and HEADER not in headers:
            return
        if headers["fspiop-source"] == self._hub_name:
            # The hub sends nothing to itself: this is a callback of its own that somebody sends back.
            raise _invalid("the hub is no source")
        body = await read_body(request)
        fault = self._verifier.fault(request.method, request.rel_url.raw_path_qs, headers, body)
        if fault is not None:
            raise _invalid(fault.reason)


NO_SIGNATURES: Final = NoSignatures()


def signature_check(verifier: Verifier | None, hub_name: str) -> SignatureCheck:
    """The check that the settings ask for."""
    return NO_SIGNATURES if verifier is None else JwsCheck(verifier, hub_name)


def _invalid(reason: str) -> ApiError:
    return ApiError(Rejection(ErrorCode.INVALID_SIGNATURE, reason))
