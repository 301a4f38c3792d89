"""FSPIOP-Signature: sign a request, and verify one, over the body's bytes on the wire (Signature v1.1; protocol 10.1).

The header is JSON, `{"signature": S, "protectedHeader": P}`. With the body these make a compact JWS whose payload is
detached: `P.base64url(body).S`. joserfc reads, signs and verifies that token. What it must say is decided here: P binds
the signature to the request's path, method, source, destination and date.

Mojaloop's reference compares these with the FSPIOP headers only. Here they are compared with the request itself too.
Otherwise anybody who has seen a signed message could send it again to another path (docs/security.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import orjson
from joserfc import jws
from joserfc.errors import JoseError, MissingAlgorithmError, MissingCritHeaderError
from joserfc.registry import JWS_HEADER_REGISTRY
from joserfc.util import urlsafe_b64decode

from clearinghub.config import Settings
from clearinghub.security.credentials import participant_keys_of
from clearinghub.security.key_files import JoseKey, PrivateKey, jose_key, read_private_key
from clearinghub.security.profile import profile

HEADER: Final = "fspiop-signature"
HEADER_CHARACTERS_MAX: Final = 8_192  # four times what the longest key and path need
BODY_BYTES_MAX: Final = 8 * 1024 * 1024

# By type of key; the first is what Mojaloop's SDK signs with. The list is closed: another algorithm (`none`, HMAC with
# its shared secret, PSS) is refused before any key is used. Each algorithm takes keys of its own type only, so that no
# key can be used as a key of another type.
ALGORITHMS_OF: Final[Mapping[str, tuple[str, ...]]] = {"RSA": ("RS256", "RS384", "RS512"), "EC": ("ES256",)}
ALGORITHMS: Final = frozenset(name for names in ALGORITHMS_OF.values() for name in names)

# Protected name, which is case-sensitive, and the HTTP header, here in lower case, that must have the same value.
_MANDATORY: Final = (
    ("FSPIOP-URI", "fspiop-uri"),
    ("FSPIOP-HTTP-Method", "fspiop-http-method"),
    ("FSPIOP-Source", "fspiop-source"),
)
_DESTINATION: Final = ("FSPIOP-Destination", "fspiop-destination")
_DATE: Final = ("Date", "date")
# Headers that FSPIOP defines. A signer may protect others of the request too; whatever is protected must be equal.
_DEFINED_HEADERS: Final = frozenset({"accept", "content-type", "date"})
_DEFINED_PREFIX: Final = "fspiop-"
_KNOWN_NAMES: Final = {
    "accept": "Accept",
    "content-type": "Content-Type",
    "date": "Date",
    "fspiop-proxy": "FSPIOP-Proxy",
}


class _Registry(jws.JWSRegistry):
    """The limits of our tokens. Members of a protected header that FSPIOP does not know are allowed and not used."""

    default_header_registry = {name: JWS_HEADER_REGISTRY[name] for name in ("alg", "crit")}  # noqa: RUF012 - joserfc's
    max_header_length = HEADER_CHARACTERS_MAX
    max_payload_length = BODY_BYTES_MAX
    max_signature_length = HEADER_CHARACTERS_MAX


_REGISTRY: Final = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a signature is not accepted, in fixed words: nothing of the request is repeated."""

    reason: str


class PublicKeys(Protocol):
    """Knows the participants' public keys."""

    def of(self, name: str) -> Sequence[JoseKey]:
        """Return the keys that are valid for a participant now; none for an unknown participant."""


class Signer:
    """Signs requests with one private key."""

    def __init__(self, key: PrivateKey, algorithm: str | None = None) -> None:
        """Sign with `algorithm`, which must fit the key; None means the usual algorithm of the key's type."""
        self._key = jose_key(key)
        fitting = ALGORITHMS_OF[self._key.key_type]
        self._algorithm = fitting[0] if algorithm is None else algorithm
        assert self._algorithm in fitting

    def sign(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the value of FSPIOP-Signature for a request.

        Args:
            headers: all headers of the request, names in lower case: FSPIOP-URI, -HTTP-Method and -Source, and the
                destination and date if it has them. None of these may change after it is signed.
            body: the request's bytes; empty for a GET.
        """
        protected = {"alg": self._algorithm} | {name: headers[header] for name, header in _MANDATORY}
        for name, header in (_DESTINATION, _DATE):
            if header in headers:
                protected[name] = headers[header]
        token = jws.serialize_compact(protected, body, self._key, registry=_REGISTRY)
        text, _, payload_and_signature = token.partition(".")
        signature = payload_and_signature.rpartition(".")[2]
        return orjson.dumps({"signature": signature, "protectedHeader": text}).decode()


class Verifier:
    """Verifies signed requests with the public keys of their sources."""

    def __init__(
        self, keys: PublicKeys, date_skew_s: int | None = None, wall_s: Callable[[], float] = time.time
    ) -> None:
        """With `date_skew_s`, the date must be protected, and may differ from `wall_s` by that many seconds."""
        self._keys = keys
        self._date_skew_s = date_skew_s
        self._wall_s = wall_s

    def fault(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Fault | None:
        """Return what is wrong with a request's signature; None if it is valid. Never raises, whatever the headers are.

        Args:
            method: the method in the request line.
            path: the path in the request line, with the query.
            headers: names in lower case; a header that was sent twice is joined to one value.
            body: the bytes that were received.
        """
        keys = self._keys.of(headers.get("fspiop-source", ""))
        if not keys:
            return Fault("no public key for FSPIOP-Source")
        for name in ("fspiop-uri", "fspiop-http-method", HEADER):
            if not headers.get(name):
                return Fault(f"header {name} is missing")
        token = _token_in(headers[HEADER], body)
        if isinstance(token, Fault):
            return token
        kid = token.protected.get("kid")
        named = keys if kid is None else [key for key in keys if key.thumbprint() == kid]
        if not named:
            return Fault("kid is of no key of the source")
        fitting = [key for key in named if token.protected["alg"] in ALGORITHMS_OF[key.key_type]]
        if not fitting:
            return Fault("alg is not of the key's type")
        if not any(is_signature_of(key, token) for key in fitting):
            return Fault("not the source's signature over this body and protected header")
        return _binding_fault(token.protected, headers, method, path) or self._date_fault(token.protected, headers)

    def _date_fault(self, protected: Mapping[str, Any], headers: Mapping[str, str]) -> Fault | None:
        """Return why the time of a message is not accepted: a signature that is valid for ever can be sent for ever."""
        now_s = self._wall_s()
        expires_s = protected.get("exp")
        if isinstance(expires_s, int | float) and expires_s < now_s:
            return Fault("exp is over")
        if self._date_skew_s is None:
            return None
        name, header = _DATE
        if name not in protected:
            return Fault("the date is not protected")
        try:
            sent_s = parsedate_to_datetime(headers[header]).timestamp()
        except (ValueError, OverflowError):
            return Fault("the date is no date")
        if abs(sent_s - now_s) > self._date_skew_s:
            return Fault("the date is too far from the time of receipt")
        return None


def read_token(protected_text: str, signature_text: str, body: bytes) -> jws.CompactSignature | Fault:
    """Return the JWS of a body, not verified yet; a Fault if it is malformed or its algorithm is not allowed."""
    try:
        protected_bytes = urlsafe_b64decode(protected_text.encode())
        if not protected_bytes or not urlsafe_b64decode(signature_text.encode()):
            return Fault("signature and protectedHeader must be base64url")
    except ValueError:
        return Fault("signature and protectedHeader must be base64url")
    try:
        token = jws.extract_compact(f"{protected_text}..{signature_text}".encode(), body, _REGISTRY)
    except MissingCritHeaderError:
        return Fault("crit is not supported")
    except MissingAlgorithmError:
        is_object = protected_bytes.lstrip()[:1] == b"{"
        return Fault("alg is not allowed" if is_object else "the protected header is no JSON object")
    except (JoseError, RecursionError):
        return Fault("the protected header is no JSON object")
    if not isinstance(token.protected, dict):
        return Fault("the protected header is no JSON object")
    algorithm = token.protected["alg"]
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        return Fault("alg is not allowed")
    if "crit" in token.protected:  # names what a reader must understand (RFC 7515, 4.1.11); FSPIOP has no such thing
        return Fault("crit is not supported")
    return token


def is_signature_of(key: JoseKey, token: jws.CompactSignature) -> bool:
    """Return whether the token is signed with the private half of this key. The token's algorithm must fit the key."""
    assert token.protected["alg"] in ALGORITHMS_OF[key.key_type]
    return jws.validate_compact(token, key, registry=_REGISTRY)


def signer_of(settings: Settings) -> Signer | None:
    """Return what signs the hub's own messages; None if the settings turn that off.

    Raises:
        KeyFileError: the key cannot be used.
        ProfileError: the settings contradict each other.
    """
    signing_key = profile(settings).signing_key
    return None if signing_key is None else Signer(read_private_key(signing_key))


def verifier_of(settings: Settings, keys: PublicKeys | None = None) -> Verifier | None:
    """Return what verifies incoming messages with these keys; None if the settings turn that off.

    Without `keys` it knows those of the settings' folder alone.

    Raises:
        KeyFileError: a key cannot be used.
        ProfileError: the settings contradict each other.
    """
    if not profile(settings).validates_signatures:
        return None
    return Verifier(keys or participant_keys_of(settings), settings.jws_date_skew_s or None)


def _token_in(value: str, body: bytes) -> jws.CompactSignature | Fault:
    """Return the token that a header's value and the body make together; a Fault if the value is malformed."""
    if len(value) > HEADER_CHARACTERS_MAX:
        return Fault(f"header {HEADER} is too long")
    try:
        parts = orjson.loads(value) if value.isascii() else None
    except orjson.JSONDecodeError:  # also raised for JSON that is nested too deep
        parts = None
    if not isinstance(parts, dict):
        return Fault(f"header {HEADER} is no JSON object")
    text, signature = parts.get("protectedHeader"), parts.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str):
        return Fault("signature and protectedHeader must be base64url")
    return read_token(text, signature, body)


def _binding_fault(protected: Mapping[str, Any], headers: Mapping[str, str], method: str, path: str) -> Fault | None:
    """Return the first difference between the protected header, the headers and the request; None if there is none."""
    for name, header in _MANDATORY:
        if protected.get(name) != headers[header]:
            return Fault(f"protected {name} is not the header's")
    name, header = _DESTINATION
    if (name in protected) != (header in headers) or protected.get(name) != headers.get(header):
        return Fault(f"protected {name} is not the header's")
    for name, value in protected.items():
        header = name.lower()
        is_defined = header in _DEFINED_HEADERS or header.startswith(_DEFINED_PREFIX)
        if (is_defined or header in headers) and headers.get(header) != value:
            known = _KNOWN_NAMES.get(header)
            return Fault(
                "a protected header is not the request's" if known is None else f"protected {known} is not the header's"
            )
    if headers["fspiop-http-method"] != method:
        return Fault("FSPIOP-HTTP-Method is not the request's")
    if headers["fspiop-uri"] != path:
        return Fault("FSPIOP-URI is not the request's")
    return None
