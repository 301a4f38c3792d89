"""The folder of a scheme's keys and certificates: what is where, how it is made, and what has to be replaced when.

    offline/   the two authorities' keys. Move it to a machine that is not connected; no process of the hub reads it
    public/    the authorities' certificates, for everybody
    hub/       the hub towards DFSPs: server and client certificate, and the key of its message signatures
    roles/     a certificate for each role of the hub, for the connections between its processes
    operators/ a certificate for each operator

Nothing that is there is ever overwritten.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509 import Certificate, ObjectIdentifier, load_pem_x509_certificate

from clearinghub.security.certificates import (
    CLIENT,
    FSP_URI,
    OPERATOR_URI,
    ROLE_URI,
    SERVER,
    Authority,
    Subject,
    issue,
    new_authority,
)
from clearinghub.security.key_files import PRIVATE_MODE, PUBLIC_MODE, KeyFileError, new_key, write_key_pair, write_new

SCHEME: Final = "scheme-ca"
INTERNAL: Final = "internal-ca"
ROLES: Final = ("ingress", "admin-api", "ledger", "callbacks", "archive", "setup")
FOLDER_MODE: Final = 0o700

_YEAR: Final = 365
SCHEME_DAYS: Final = 10 * _YEAR
INTERNAL_DAYS: Final = 5 * _YEAR
HUB_DAYS: Final = _YEAR
OPERATOR_DAYS: Final = _YEAR
ROLE_DAYS: Final = 90
REPLACE_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """What `check` says of a file: `state` is ok, missing, weak or ended, `detail` a sentence."""

    path: Path
    state: str
    detail: str


class SecretFolder:
    """The folder at a path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, hub_name: str, hosts: Sequence[str], operators: Sequence[str], now: datetime) -> list[Path]:
        """Make all keys and certificates of a new scheme; return the files written.

        Args:
            hub_name: the hub's name in FSPIOP-Source.
            hosts: the names and addresses by which DFSPs and the roles reach the hub.
            operators: the names of the first operators.
            now: the time of issue.

        Raises:
            KeyFileError: the folder is not empty, or cannot be written to.
        """
        if self._path.exists() and any(self._path.iterdir()):
            raise KeyFileError(f"{self._path} is not empty; keys are never overwritten")
        for folder in ("", "offline", "public", "hub", "roles", "operators"):
            (self._path / folder).mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        scheme = self._found(SCHEME, f"{hub_name} scheme CA", SCHEME_DAYS, now)
        internal = self._found(INTERNAL, f"{hub_name} internal CA", INTERNAL_DAYS, now)
        hub = Subject(FSP_URI + hub_name, tuple(hosts))
        self._issue(scheme, "hub/server", hub, [SERVER], HUB_DAYS, now)
        self._issue(scheme, "hub/client", Subject(hub.uri), [CLIENT], HUB_DAYS, now)
        write_key_pair(self._path / "hub", "jws", new_key("ec"))
        for role in ROLES:
            self._issue(
                internal, f"roles/{role}", Subject(ROLE_URI + role, tuple(hosts)), [SERVER, CLIENT], ROLE_DAYS, now
            )
        for operator in operators:
            self._issue(
                internal, f"operators/{operator}", Subject(OPERATOR_URI + operator), [CLIENT], OPERATOR_DAYS, now
            )
        return sorted(path for path in self._path.rglob("*") if path.is_file())

    def authority(self, name: str) -> Authority:
        """Return one of the two authorities, SCHEME or INTERNAL.

        Raises:
            KeyFileError: its key is not here: it is kept elsewhere.
        """
        key_path, certificate_path = self._path / "offline" / f"{name}.key", self._path / "public" / f"{name}.pem"
        try:
            key = load_pem_private_key(key_path.read_bytes(), password=None)
            certificate = load_pem_x509_certificate(certificate_path.read_bytes())
        except OSError as error:
            raise KeyFileError(f"{error.filename}: {error.strerror}; run this where the authority's key is") from error
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Authority(certificate, key)

    def check(self, now: datetime) -> Iterator[Finding]:
        """Yield what is to be said of each file that a running hub needs."""
        for name in (SCHEME, INTERNAL):
            yield _certificate_finding(self._path / "public" / f"{name}.pem", now)
        for place in ("hub/server", "hub/client", *(f"roles/{role}" for role in ROLES)):
            yield _certificate_finding(self._path / f"{place}.pem", now)
            yield _key_finding(self._path / f"{place}.key")
        yield _key_finding(self._path / "hub/jws.key")
        for name in (SCHEME, INTERNAL):
            path = self._path / "offline" / f"{name}.key"
            if path.exists():
                yield Finding(path, "weak", "an authority's key is on this machine; keep it where nothing is connected")

    def _found(self, name: str, title: str, days: int, now: datetime) -> Authority:
        authority = new_authority(title, days, now)
        write_new(self._path / "offline" / f"{name}.key", _private_pem(authority.key), PRIVATE_MODE)
        write_new(self._path / "public" / f"{name}.pem", _pem(authority.certificate), PUBLIC_MODE)
        return authority

    def _issue(
        self,
        authority: Authority,
        place: str,
        subject: Subject,
        usages: Sequence[ObjectIdentifier],
        days: int,
        now: datetime,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issue(authority, key.public_key(), subject, usages, days, now)
        write_new(self._path / f"{place}.key", _private_pem(key), PRIVATE_MODE)
        write_new(self._path / f"{place}.pem", _pem(certificate), PUBLIC_MODE)


def _certificate_finding(path: Path, now: datetime) -> Finding:
    try:
        certificate = load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        return Finding(path, "missing", str(error.strerror))
    except ValueError:
        return Finding(path, "missing", "no certificate in PEM")
    end = certificate.not_valid_after_utc
    day = f"{end:%Y-%m-%d}"
    if end <= now:
        return Finding(path, "ended", f"valid until {day}")
    if end - now < REPLACE_BEFORE:
        return Finding(path, "weak", f"valid until {day}: replace it now")
    return Finding(path, "ok", f"valid until {day}")


def _key_finding(path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Finding(path, "missing", str(error.strerror))
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(path, "weak", f"mode {mode:03o}: others may read it; set 600")
    if not os.access(path, os.R_OK):
        return Finding(path, "missing", "this user may not read it")
    return Finding(path, "ok", "readable by its owner alone")


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(certificate: Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
