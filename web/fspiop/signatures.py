"""The check of FSPIOP-Signature, after a request's headers and before its body is parsed (protocol 10.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from aiohttp.web import Request

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.security.signature import HEADER, Verifier
from web.http.errors import ApiError
from web.http.json_body import read_body
from web.security.identity import IDENTITY

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

    def __init__(self, verifier: Verifier, hub_name: str, *, connection_proves: bool = False) -> None:
        """With `connection_proves` a DELETE of the participant that the connection proves needs no signature."""
        self._verifier = verifier
        self._hub_name = hub_name
        self._connection_proves = connection_proves

    async def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """Check the signature; see `SignatureCheck.check`."""
        if HEADER not in headers and not self._must_be_signed(request, headers["fspiop-source"]):
            return
        if headers["fspiop-source"] == self._hub_name:
            # The hub sends itself nothing: somebody has sent one of its own callbacks back.
            raise _invalid("the hub is no source")
        body = await read_body(request)
        fault = self._verifier.fault(request.method, request.rel_url.raw_path_qs, headers, body)
        if fault is not None:
            raise _invalid(fault.reason)

    def _must_be_signed(self, request: Request, source: str) -> bool:
        if request.method == "DELETE" and self._connection_proves:
            return request.get(IDENTITY) != source
        return request.method in _ALWAYS_SIGNED


NO_SIGNATURES: Final = NoSignatures()


def signature_check(verifier: Verifier | None, hub_name: str, *, connection_proves: bool = False) -> SignatureCheck:
    """Return the check by that verifier, or none without a verifier; see `JwsCheck` for `connection_proves`."""
    if verifier is None:
        return NO_SIGNATURES
    return JwsCheck(verifier, hub_name, connection_proves=connection_proves)


def _invalid(reason: str) -> ApiError:
    return ApiError(Rejection(ErrorCode.INVALID_SIGNATURE, reason))
