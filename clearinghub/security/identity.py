"""Whose request it is: what the connection's certificate proves, or the gateway says whose certificate is known.

Pure rules. A certificate's names prove nothing: its key does, by the credentials that participants have registered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, TypeAlias
from urllib.parse import unquote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import load_pem_x509_certificate

from clearinghub.security.certificates import spki_id

CLIENT_NAME: Final = "x-client-id"
FORWARDED_CERTIFICATE: Final = "x-forwarded-client-cert"  # Envoy's and Istio's
CLIENT_CERTIFICATE: Final = "x-client-cert"  # $ssl_client_escaped_cert of nginx

CERTIFICATE_LENGTH_MAX: Final = 16_384
_CERTIFICATES_REMEMBERED: Final = 1_024  # those of all participants, as their gateway writes them


@dataclass(frozen=True, slots=True)
class Unidentified:
    """Why it is not known whose request it is, in fixed words."""

    reason: str


Identity: TypeAlias = str | Unidentified | None
"""A participant's name; None if nothing says whose request it is, and nothing needs to (profile `open`)."""

NOT_REGISTERED: Final = Unidentified("credential is not registered")
NOT_THE_GATEWAY: Final = Unidentified("credential is not the gateway's")
NOT_NAMED: Final = Unidentified("the gateway has not named the client")
NAMED_TWICE: Final = Unidentified("the gateway has named the client more than once")
UNREADABLE: Final = Unidentified("the gateway's header is unreadable")

ValuesOf: TypeAlias = Callable[[str], Sequence[str]]
"""Returns all values of a request's header, in the order in which they were sent."""


class Credentials(Protocol):
    """Knows the keys that participants have registered for their connections."""

    def participant_of(self, spki_id: str) -> str | None:
        """Return the name of the participant that has the key of that id now; None if nobody has, or not any more."""


class IdentityRule(Protocol):
    """How a profile finds out whose request it is."""

    def identify(self, key_id: str | None, values_of: ValuesOf) -> Identity:
        """Return whose request it is, by the key of its connection's certificate (None without one) and its headers."""


class AnyClient:
    """Believe whoever connects; a name in x-client-id, if there is one, is the client's (profile `open`)."""

    def identify(self, key_id: str | None, values_of: ValuesOf) -> Identity:  # noqa: ARG002 - of the protocol
        """Return the name that the header has, several values as one that is nobody's; None without the header."""
        names = values_of(CLIENT_NAME)
        return ", ".join(names) if names else None


class CertifiedClient:
    """Believe the connection's certificate alone; no header says anything (profile `full`)."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def identify(self, key_id: str | None, values_of: ValuesOf) -> Identity:  # noqa: ARG002 - of the protocol
        """Return who has registered the key."""
        name = None if key_id is None else self._credentials.participant_of(key_id)
        return NOT_REGISTERED if name is None else name


class ForwardedClient:
    """Believe one header of a gateway, which is known by its certificate (profile `gateway`)."""

    def __init__(self, header: str, is_gateway: Callable[[str], bool], credentials: Credentials) -> None:
        """`is_gateway` returns by a key's id whether a gateway has it; `header` is one of the three above."""
        self._header = header
        self._is_gateway = is_gateway
        self._credentials = credentials

    def identify(self, key_id: str | None, values_of: ValuesOf) -> Identity:
        """Return the one client that the gateway names, or whose certificate it passes on."""
        if key_id is None or not self._is_gateway(key_id):
            return NOT_THE_GATEWAY
        values = values_of(self._header)
        if len(values) > 1:
            return NAMED_TWICE
        if not values or not values[0]:
            return NOT_NAMED
        if self._header == CLIENT_NAME:
            return values[0]
        forwarded = values[0]
        if self._header == FORWARDED_CERTIFICATE:
            last = last_certificate(forwarded)
            if last is None:
                return UNREADABLE
            forwarded = last
        client_key_id = key_id_of(forwarded)
        if client_key_id is None:
            return UNREADABLE
        name = self._credentials.participant_of(client_key_id)
        return NOT_REGISTERED if name is None else name


@lru_cache(maxsize=_CERTIFICATES_REMEMBERED)
def last_certificate(value: str) -> str | None:
    """Return the `Cert` of the last element of X-Forwarded-Client-Cert: earlier ones are what the client has sent.

    Elements are separated by commas, pairs by semicolons; a value may be quoted, and hold quotes after a backslash.
    None if a quote is not closed, which could hide where the gateway's element begins, or there is not one `Cert`.
    """
    elements = _split(value, ",")
    pairs = None if elements is None else _split(elements[-1], ";")
    if pairs is None:
        return None
    found = [content.strip() for name, _, content in (pair.partition("=") for pair in pairs) if _is_cert(name)]
    if len(found) != 1:
        return None
    quoted = found[0]
    return quoted[1:-1] if len(quoted) > 1 and quoted[0] == quoted[-1] == '"' else quoted


@lru_cache(maxsize=_CERTIFICATES_REMEMBERED)
def key_id_of(escaped: str) -> str | None:
    """Return the id of the key in a certificate, PEM with percent-encoding; None if it cannot be read."""
    if len(escaped) > CERTIFICATE_LENGTH_MAX:
        return None
    try:
        key = load_pem_x509_certificate(unquote(escaped, errors="strict").encode("ascii")).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return spki_id(key) if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else None


def _is_cert(name: str) -> bool:
    return name.strip().lower() == "cert"


def _split(text: str, separator: str) -> list[str] | None:
    """Split at separators outside quotes; None if a quote is not closed."""
    parts = []
    begin = 0
    is_quoted = is_escaped = False
    for place, character in enumerate(text):
        if character == '"' and not is_escaped:
            is_quoted = not is_quoted
        elif character == separator and not is_quoted:
            parts.append(text[begin:place])
            begin = place + 1
        is_escaped = character == "\\" and not is_escaped
    return None if is_quoted else [*parts, text[begin:]]
