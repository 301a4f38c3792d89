"""TLS of a listener whose clients show certificates: its contexts, and why handshakes fail.

A context is never changed. When a file changes, a whole new context serves the handshakes from then on; connections
that are there keep theirs.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates
from prometheus_client import Counter

from clearinghub.security.certificates import spki_id
from clearinghub.security.key_files import KeyFileError
from clearinghub.security.profile import ListenerFiles

HANDSHAKE_TIMEOUT_S: Final = 5.0
SHUTDOWN_TIMEOUT_S: Final = 2.0
LOG_INTERVAL_S: Final = 60.0
ADDRESSES_MAX: Final = 1_000  # that are remembered, so that each is logged once an interval

# Of TLS 1.2 only suites with forward secrecy and authenticated encryption; those of 1.3 all are so.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# Reasons of OpenSSL for a certificate that is refused, by X509_V_ERR_... (verify.h).
_CERTIFICATE_FAULTS: Final = {
    9: "not yet valid",
    10: "expired",
    18: "unknown authority",  # signed by itself
    19: "unknown authority",
    20: "unknown authority",
    21: "unknown authority",
    26: "wrong purpose",
    79: "wrong purpose",  # the chain's authority is none
}
_FAULTS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "UNSUPPORTED_PROTOCOL": "version",
    "NO_PROTOCOLS_AVAILABLE": "version",
    "NO_SHARED_CIPHER": "version",
    "HTTP_REQUEST": "no TLS",
    "WRONG_VERSION_NUMBER": "no TLS",
    "UNEXPECTED_EOF_WHILE_READING": "connection lost",
}

_FAILED: Final = Counter("clearinghub_handshakes_failed_total", "TLS handshakes that failed, by reason", ["reason"])
_log = structlog.get_logger(__name__)


class ListenerTls:
    """The current TLS context of a listener, and the keys of the certificates in its file of authorities."""

    def __init__(
        self,
        files: ListenerFiles,
        oldest: Literal["1.2", "1.3"] = "1.3",
        *,
        requires_client: bool = True,
        pinned: bool = False,
    ) -> None:
        """Read the files.

        Args:
            files: the listener's own certificate and key, and whose certificates are accepted.
            oldest: the lowest version of TLS that is spoken.
            requires_client: refuse connections without a certificate; else they are accepted, and `shown_key` is None.
            pinned: accept the very certificates in the file of authorities too, whoever has issued them.

        Raises:
            KeyFileError: a file cannot be used.
        """
        self._files = files
        self._oldest = _VERSIONS[oldest]
        self._verify_mode = ssl.CERT_REQUIRED if requires_client else ssl.CERT_OPTIONAL
        self._pinned = pinned
        try:
            self._version = self._look()
            self._read()
        except (OSError, ValueError) as error:
            raise KeyFileError(_sentence(files, error)) from error

    @property
    def context(self) -> ssl.SSLContext:
        return self._context

    def has_pinned(self, key_id: str) -> bool:
        """Return whether a certificate in the file of authorities has this key."""
        return key_id in self._pins

    def follow(self) -> None:
        """Read the files again if they have changed. If they cannot be used, what was read before remains."""
        try:
            version = self._look()
            if version == self._version:
                return
            self._version = version
            self._read()
        except (OSError, ValueError) as error:
            _log.error("listener-certificate-unusable", error=_sentence(self._files, error))
        else:
            _log.info("listener-certificate-changed", path=str(self._files.certificate))

    def _look(self) -> tuple[int, ...]:
        found = [path.stat() for path in self._paths]
        return tuple(number for one in found for number in (one.st_mtime_ns, one.st_ctime_ns, one.st_size, one.st_ino))

    @property
    def _paths(self) -> tuple[Path, Path, Path]:
        return self._files.certificate, self._files.key, self._files.authorities

    def _read(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._oldest
        context.verify_mode = self._verify_mode
        authorities = self._files.authorities.read_bytes()
        context.load_verify_locations(cadata=authorities.decode("ascii"))
        if self._pinned:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_cert_chain(self._files.certificate, self._files.key, password=_no_password)
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        # Without tickets each connection shows its certificate anew, and one that has ended is not resumed.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        pins = frozenset(filter(None, map(_key_id, load_pem_x509_certificates(authorities))))
        self._context, self._pins = context, pins


class HandshakeFailures:
    """Counts handshakes that fail, and logs each address that they come from at most once a minute."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._logged: set[str] = set()
        self._forget_at_s = 0.0

    def note(self, error: BaseException, address: str) -> None:
        """Count a failure, and log it if its address was not logged just now."""
        reason = failure_reason(error)
        _FAILED.labels(reason).inc()
        now_s = self._monotonic_s()
        if now_s >= self._forget_at_s:
            self._logged.clear()
            self._forget_at_s = now_s + LOG_INTERVAL_S
        if address not in self._logged and len(self._logged) < ADDRESSES_MAX:
            self._logged.add(address)
            _log.info("handshake-failed", address=address, reason=reason)


def failure_reason(error: BaseException) -> str:
    """Return the reason of a failed handshake, in one of a few fixed texts."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_FAULTS.get(error.verify_code, "certificate")
    if isinstance(error, ssl.SSLError):
        return _FAULTS.get(getattr(error, "reason", None) or "", "other")
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return "too slow"
    return "connection lost" if isinstance(error, OSError) else "other"


def shown_key(connection: ssl.SSLObject | None) -> str | None:
    """Return the id of the key of the client's certificate; None without TLS, or if the key is of an unknown kind."""
    der = None if connection is None else connection.getpeercert(binary_form=True)
    if der is None:
        return None
    try:
        return _key_id(load_der_x509_certificate(der))
    except ValueError:
        return None


def _key_id(certificate: Certificate) -> str | None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return spki_id(key) if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else None


def _sentence(files: ListenerFiles, error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return (
        f"{files.certificate} with {files.key}, or {files.authorities}, cannot be used for TLS: "
        f"{getattr(error, 'reason', None) or error}"
    )


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # without this, OpenSSL would prompt on the terminal
