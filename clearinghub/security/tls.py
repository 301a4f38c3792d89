"""TLS from the hub to participants and oracles: who is trusted to be whom, and what the hub shows of itself.

A participant's server is believed if its certificate leads to an authority that this participant has registered. What
others have registered, and the list of the machine, count for nothing.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import structlog

from clearinghub.security.key_files import KeyFileError
from clearinghub.security.profile import ClientFiles

CHECK_INTERVAL_S: Final = 1.0

TlsVersion: TypeAlias = Literal["1.2", "1.3"]
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_log = structlog.get_logger(__name__)


class NobodyTrustedError(OSError):
    """The participant has no authority by which its server could be believed."""


class ServerAuthorities(Protocol):
    """Knows by which authorities the servers of each participant are believed."""

    def server_authorities(self, name: str) -> tuple[str, ...]:
        """Return the authorities' certificates in PEM; an equal tuple while nothing has changed."""


class WatchedFiles:
    """Files that an operator replaces while the hub runs; they are looked at once a second, when they are needed."""

    def __init__(self, paths: Sequence[Path], monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Look at the files for the first time.

        Raises:
            KeyFileError: one of them is not there.
        """
        self._paths = tuple(paths)
        self._monotonic_s = monotonic_s
        self._check_at_s = monotonic_s() + CHECK_INTERVAL_S
        try:
            self._version = self._look()
        except OSError as error:
            raise KeyFileError(f"{error.filename}: {error.strerror}") from error

    def version(self) -> tuple[int, ...]:
        """Return a value that changes with the files; the last one while a file is missing."""
        now_s = self._monotonic_s()
        if now_s >= self._check_at_s:
            self._check_at_s = now_s + CHECK_INTERVAL_S
            try:
                self._version = self._look()
            except OSError as error:
                _log.error("tls-file-missing", path=str(error.filename), error=error.strerror)
        return self._version

    def _look(self) -> tuple[int, ...]:
        found = [path.stat() for path in self._paths]
        return tuple(number for one in found for number in (one.st_mtime_ns, one.st_ctime_ns, one.st_size, one.st_ino))


class FileAuthorities:
    """`ServerAuthorities` of a file, which are the same for everybody: the scheme's, for oracles."""

    def __init__(self, path: Path, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            KeyFileError: it cannot be read.
        """
        self._path = path
        self._files = WatchedFiles((path,), monotonic_s)
        self._version = self._files.version()
        try:
            self._authorities = (path.read_text(),)
        except (OSError, ValueError) as error:
            raise KeyFileError(f"{path} is no file of certificates in PEM") from error

    def server_authorities(self, _name: str) -> tuple[str, ...]:
        """Return what the file has; the last that could be read if it cannot be read now."""
        version = self._files.version()
        if version != self._version:
            self._version = version
            try:
                self._authorities = (self._path.read_text(),)
            except (OSError, ValueError) as error:
                _log.error("tls-authorities-unreadable", path=str(self._path), error=str(error))
        return self._authorities


class ClientCertificate:
    """The certificate that the hub shows to servers, with its key: two files that may be replaced at any time."""

    def __init__(self, certificate: Path, key: Path, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Read the files once.

        Raises:
            KeyFileError: they cannot be read, or do not belong together.
        """
        self._paths = (certificate, key)
        self._files = WatchedFiles(self._paths, monotonic_s)
        try:
            self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        except OSError as error:
            raise KeyFileError(f"{certificate} and {key} are no certificate with its key: {error}") from error

    def version(self) -> tuple[int, ...]:
        """Return a value that changes with the files."""
        return self._files.version()

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have a context show the certificate.

        Raises:
            OSError: the files cannot be used now, for instance between the replacement of one and the other.
        """
        certificate, key = self._paths
        context.load_cert_chain(certificate, key, password=_no_password)


def _no_password() -> str:
    raise OSError("the key is encrypted")  # without this, OpenSSL would prompt on the terminal


class _Known(NamedTuple):
    """A participant's context, and what it was made of."""

    context: ssl.SSLContext
    authorities: tuple[str, ...]
    certificate: tuple[int, ...]


class PeerContexts:
    """A TLS context for each participant; it is replaced when its authorities or the hub's certificate change.

    A context is never changed: a connection is of the authorities that it was made with as long as its context is the
    current one.
    """

    def __init__(
        self, certificate: ClientCertificate, authorities: ServerAuthorities, oldest: TlsVersion = "1.3"
    ) -> None:
        """`oldest` is the oldest version of TLS that a server may speak."""
        self._certificate = certificate
        self._authorities = authorities
        self._oldest = _VERSIONS[oldest]
        self._known: dict[str, _Known] = {}

    def of(self, name: str) -> ssl.SSLContext:
        """Return the current context for a participant's servers.

        While the hub's own files cannot be used the last context stays, unless the participant's authorities have
        changed: an authority that was withdrawn is not trusted any more.

        Raises:
            NobodyTrustedError: the participant has no authority, or none that can be read.
            OSError: the hub's own certificate cannot be used now.
        """
        authorities = self._authorities.server_authorities(name)
        version = self._certificate.version()
        known = self._known.get(name)
        if known is not None and known.authorities == authorities:
            if known.certificate == version:
                return known.context
        else:
            known = None
            self._known.pop(name, None)
        context = self._trusting(name, authorities)
        try:
            self._certificate.load_into(context)
        except OSError as error:
            _log.error("tls-client-certificate-unusable", participant=name, error=str(error))
            if known is None:
                raise
            context = known.context
        self._known[name] = _Known(context, authorities, version)
        return context

    def _trusting(self, name: str, authorities: tuple[str, ...]) -> ssl.SSLContext:
        if not authorities:
            raise NobodyTrustedError(f"{name} has registered no authority of its servers (credential tls-server-ca)")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the host's name
        context.minimum_version = self._oldest
        context.hostname_checks_common_name = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate authority may be registered alone
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_verify_locations(cadata="\n".join(authorities))
        except ssl.SSLError as error:
            raise NobodyTrustedError(f"the authorities of {name} cannot be read: {error.reason}") from error
        return context


class OutboundTls(NamedTuple):
    """What returns the current contexts; None where whoever the machine believes is believed."""

    of_participant: Callable[[str], ssl.SSLContext] | None
    of_oracles: Callable[[], ssl.SSLContext] | None


def outbound_tls(files: ClientFiles | None, authorities: ServerAuthorities, oldest: TlsVersion) -> OutboundTls:
    """Return the contexts of a profile for participants, by their `authorities`, and for oracles, by the scheme's.

    Raises:
        KeyFileError: one of the files cannot be used.
    """
    if files is None:
        return OutboundTls(None, None)
    certificate = ClientCertificate(files.certificate, files.key)
    oracles = PeerContexts(certificate, FileAuthorities(files.authorities), oldest)
    return OutboundTls(PeerContexts(certificate, authorities, oldest).of, partial(oracles.of, "oracle"))
