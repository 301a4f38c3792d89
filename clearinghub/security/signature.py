"""FSPIOP-Signature: making it and judging it, over the body's bytes as they are on the wire (protocol 10.1).

The header is JSON, `{"signature": S, "protectedHeader": P}`; what is signed is `P.` followed by base64url of the body.
P binds the signature to the request's path, method, source, destination and date. The reference compares these with the
FSPIOP headers only. Here they are compared with the request itself, too: else a signed body could be sent again to
another path by whoever copies the headers along with it (docs/security.md).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from clearinghub.security.algorithms import (
    ALGORITHMS,
    PrivateKey,
    PublicKey,
    fits,
    is_signature,
    sign_bytes,
    usual_algorithm,
)

HEADER: Final = "fspiop-signature"
HEADER_CHARACTERS_MAX: Final = 8_192  # four times what the longest key and path need

# Protected name, which is case-sensitive, and the HTTP header, here in lower case, that must say the same.
_MANDATORY: Final = (
    ("FSPIOP-URI", "fspiop-uri"),
    ("FSPIOP-HTTP-Method", "fspiop-http-method"),
    ("FSPIOP-Source", "fspiop-source"),
)
_DESTINATION: Final = ("FSPIOP-Destination", "fspiop-destination")
_DATE: Final = ("Date", "date")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a signature does not count, in a few fixed words: nothing of the request is repeated."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Token:
    """The header taken apart."""

    protected_text: str
    protected: Mapping[str, Any]
    algorithm: str
    signature: bytes


class PublicKeys(Protocol):
    """Who signs with what."""

    def of(self, name: str) -> Sequence[PublicKey]:
        """The keys that count for a participant now; none for one that is not known."""


class Signer:
    """Signs requests with one private key."""

    def __init__(self, key: PrivateKey, algorithm: str | None = None) -> None:
        """`algorithm`: one that fits the key; None for the usual one of its type."""
        self._key = key
        self._algorithm = usual_algorithm(key) if algorithm is None else algorithm
        assert fits(self._algorithm, key)

    def sign(self, headers: Mapping[str, str], body: bytes) -> str:
        """The value of FSPIOP-Signature for a request.

        Args:
            headers: all that it will be sent with, names in lower case: FSPIOP-URI, -HTTP-Method and -Source, and the
                destination and date if there are any; none of these may change afterwards.
            body: its bytes; none for a GET.
        """
        protected = {"alg": self._algorithm} | {name: headers[header] for name, header in _MANDATORY}
        for name, header in (_DESTINATION, _DATE):
            if header in headers:
                protected[name] = headers[header]
        text = _encoded(orjson.dumps(protected))
        signature = sign_bytes(self._algorithm, self._key, _signing_input(text, body))
        return orjson.dumps({"signature": _encoded(signature), "protectedHeader": text}).decode()


class Verifier:
    """Judges signed requests by the public keys of their sources."""

    def __init__(self, keys: PublicKeys) -> None:
        self._keys = keys

    def fault(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Fault | None:
        """What is wrong with a request's signature; None if it is good. Never raises, whatever the headers hold.

        Args:
            method: of the request line.
            path: of the request line, as it came, with the query.
            headers: names in lower case; a header that was sent twice is joined to one value.
            body: the bytes that were read.
        """
        keys = self._keys.of(headers.get("fspiop-source", ""))
        if not keys:
            return Fault("no public key for FSPIOP-Source")
        for name in ("fspiop-uri", "fspiop-http-method", HEADER):
            if not headers.get(name):
                return Fault(f"header {name} is missing")
        token = _parsed(headers[HEADER])
        if isinstance(token, Fault):
            return token
        fitting = [key for key in keys if fits(token.algorithm, key)]
        if not fitting:
            return Fault("alg is not of the key's type")
        data = _signing_input(token.protected_text, body)
        if not any(is_signature(token.algorithm, key, token.signature, data) for key in fitting):
            return Fault("not the source's signature over this body and protected header")
        return _binding_fault(token.protected, headers, method, path)


def _parsed(value: str) -> _Token | Fault:
    """The header's value taken apart: bounded, and nothing of it is trusted yet."""
    if len(value) > HEADER_CHARACTERS_MAX:
        return Fault(f"header {HEADER} is too long")
    parts = _json_object(value.encode()) if value.isascii() else None
    if parts is None:
        return Fault(f"header {HEADER} is no JSON object")
    signature = _decoded(parts.get("signature"))
    text = parts.get("protectedHeader")
    protected_bytes = _decoded(text)
    if not signature or not protected_bytes:
        return Fault("signature and protectedHeader must be base64url")
    protected = _json_object(protected_bytes)
    if protected is None:
        return Fault("the protected header is no JSON object")
    algorithm = protected.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        return Fault("alg is not allowed")
    if "crit" in protected:  # names what a reader must understand (RFC 7515, 4.1.11), and there is nothing we do
        return Fault("crit is not supported")
    assert isinstance(text, str)  # else it had not been decoded
    return _Token(text, protected, algorithm, signature)


def _binding_fault(protected: Mapping[str, Any], headers: Mapping[str, str], method: str, path: str) -> Fault | None:
    """What differs between what was signed, the headers, and the request."""
    for name, header in _MANDATORY:
        if protected.get(name) != headers[header]:
            return Fault(f"protected {name} is not the header's")
    name, header = _DESTINATION
    if (name in protected) != (header in headers) or protected.get(name) != headers.get(header):
        return Fault(f"protected {name} is not the header's")
    name, header = _DATE
    if name in protected and (header not in headers or protected[name] != headers[header]):
        return Fault(f"protected {name} is not the header's")
    if headers["fspiop-http-method"] != method:
        return Fault("FSPIOP-HTTP-Method is not the request's")
    if headers["fspiop-uri"] != path:
        return Fault("FSPIOP-URI is not the request's")
    return None


def _signing_input(protected_text: str, body: bytes) -> bytes:
    return protected_text.encode("ascii") + b"." + base64.urlsafe_b64encode(body).rstrip(b"=")


def _encoded(data: bytes) -> str:
    """Base64url without `=`."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: object) -> bytes | None:
    """The bytes of base64url without `=`, or None. There is one text for each value: unused last bits must be 0."""
    if not isinstance(text, str) or _BASE64URL.fullmatch(text) is None or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if _encoded(data) == text else None


def _json_object(text: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:  # nested too deep, too
        return None
    return parsed if isinstance(parsed, dict) else None
