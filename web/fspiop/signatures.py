"""The check of FSPIOP-Signature, after a request's headers and before its body is parsed (protocol 10.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from aiohttp.web import Request

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.security.signature import HEADER, Verifier
from web.http.errors import ApiError
from web.http.json_body import read_body

# A GET changes nothing and needs no signature; but one that is there must be valid. A DELETE is signed over its empty
# body: unsigned, anybody could remove another DFSP's party and register it as its own.
_ALWAYS_SIGNED: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class SignatureCheck(Protocol):
    """The check that every request must pass after those of its headers."""

    async def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """Return if the signature is right; `headers` are by lower-case name.

        Raises:
            ApiError: the signature is missing or wrong (3105).
        """


class NoSignatures:
    """Require no signature; one that is there is forwarded unread, for the receiver to check."""

    async def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """Return at once: every request is accepted."""


class JwsCheck:
    """Require the source's signature on every message that may change something."""

    def __init__(self, verifier: Verifier, hub_name: str) -> None:
        self._verifier = verifier
        self._hub_name = hub_name

    async def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """Check the signature; see `SignatureCheck.check`."""
        if request.method not in _ALWAYS_SIGNED and HEADER not in headers:
            return
        if headers["fspiop-source"] == self._hub_name:
            # The hub sends itself nothing: somebody has sent one of its own callbacks back.
            raise _invalid("the hub is no source")
        body = await read_body(request)
        fault = self._verifier.fault(request.method, request.rel_url.raw_path_qs, headers, body)
        if fault is not None:
            raise _invalid(fault.reason)


NO_SIGNATURES: Final = NoSignatures()


def signature_check(verifier: Verifier | None, hub_name: str) -> SignatureCheck:
    """Return the check by that verifier, or none without a verifier."""
    return NO_SIGNATURES if verifier is None else JwsCheck(verifier, hub_name)


def _invalid(reason: str) -> ApiError:
    return ApiError(Rejection(ErrorCode.INVALID_SIGNATURE, reason))
