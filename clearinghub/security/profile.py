"""Security profiles: what the one setting SECURITY decides for every role (docs/security.md).

`open` believes whoever reaches its ports, and serves this machine alone. `gateway` believes a gateway, known by its
certificate, about who sends a request. `full` believes the certificate of the connection itself. No role reads the
single switches: it gets a `Profile`.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from cryptography.x509 import load_pem_x509_certificates

from clearinghub.config import Settings
from clearinghub.security.limits import Rates

Security: TypeAlias = Literal["open", "gateway", "full"]

# Above what one DFSP needs in a scheme of a thousand payments a second: it stops who runs wild, not who is busy.
SECURE_RATES: Final = Rates(begun=2_000, answers=2_000, bytes=20_000_000)

_GATEWAY_ALONE: Final = ("gateway_identity", "gateway_credentials")
_SECURE_ALONE: Final = ("tls_min", "callback_tls_min", *_GATEWAY_ALONE)
_SIGNATURES: Final = ("jws_validate", "jws_sign")
_SAFE_TLS: Final = "1.3"
_DATE_SKEW_SAFE_S: Final = 600


class ProfileError(Exception):
    """Settings that contradict the profile, or files that it needs and that cannot be used; a sentence each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Rule(NamedTuple):
    """What is to be said of a setting: `state` is ok, weak or missing."""

    setting: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class ListenerFiles:
    """The files of a listener's TLS: its certificate and key, and who may have issued the certificates of clients."""

    certificate: Path
    key: Path
    authorities: Path


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """The files of TLS to others: the hub's own certificate and key, and by which authorities oracles are believed."""

    certificate: Path
    key: Path
    authorities: Path


@dataclass(frozen=True, slots=True)
class Profile:
    """What is required of whom. `is_secure` is False in profile `open` alone."""

    security: Security
    secure_dir: Path | None
    listener: ListenerFiles | None  # of the FSPIOP port; None: plain HTTP
    identity_header: str | None  # in which the gateway names the DFSP; None: there is no gateway that is believed
    validates_signatures: bool
    keys_dir: Path | None  # public keys of participants, by name
    signing_key: Path | None  # of the hub's own messages; None: they are not signed
    rates: Rates  # of one participant
    client: ClientFiles | None  # None: participants and oracles are believed as the machine believes anybody

    @property
    def is_secure(self) -> bool:
        return self.security != "open"

    @property
    def admin_listener(self) -> ListenerFiles | None:
        """The files of the operators' port; None: plain HTTP, and whoever reaches it may do everything."""
        if not self.is_secure:
            return None
        assert self.secure_dir is not None
        roles, authorities = self.secure_dir / "roles", self.secure_dir / "public/internal-ca.pem"
        return ListenerFiles(roles / "admin-api.pem", roles / "admin-api.key", authorities)

    @property
    def guards_egress(self) -> bool:
        """Whether addresses inside this network are refused for callbacks and oracles."""
        return self.is_secure

    @property
    def https_only(self) -> bool:
        """Whether participants and oracles are called over TLS alone; a gateway may do the TLS itself."""
        return self.security == "full"


def profile(settings: Settings) -> Profile:
    """Return what the settings require. No file is looked at.

    Raises:
        ProfileError: with all contradictions, and all settings that are missing.
    """
    faults = [*(_open_faults(settings) if settings.security == "open" else _secure_faults(settings))]
    if faults:
        raise ProfileError(faults)
    if settings.security == "open":
        return Profile(
            "open",
            settings.secure_dir,
            None,
            None,
            settings.jws_validate,
            settings.jws_keys_dir,
            settings.jws_private_key_file if settings.jws_sign else None,
            _rates(settings, Rates()),
            None,
        )
    folder = settings.secure_dir
    assert folder is not None  # one of the faults above
    authorities = settings.gateway_credentials or folder / "public/scheme-ca.pem"
    return Profile(
        settings.security,
        folder,
        ListenerFiles(folder / "hub/server.pem", folder / "hub/server.key", authorities),
        settings.gateway_identity,
        True,  # noqa: FBT003 - validates_signatures
        settings.jws_keys_dir,
        settings.jws_private_key_file or folder / "hub/jws.key",
        _rates(settings, SECURE_RATES),
        ClientFiles(folder / "hub/client.pem", folder / "hub/client.key", folder / "public/scheme-ca.pem"),
    )


def ready_profile(settings: Settings, role: str, now: datetime) -> Profile:
    """Return the profile of a process that starts, after a look at the files that it needs.

    Args:
        settings: the hub's settings.
        role: the process's role; `all` needs the files of all roles.
        now: the time, for the dates of certificates.

    Raises:
        ProfileError: with all faults of settings and files.
    """
    required = profile(settings)
    if faults := list(dict.fromkeys(_file_faults(required, role, now))):
        raise ProfileError(faults)
    return required


def rules(settings: Settings) -> Iterator[Rule]:
    """Yield the profile's rules for `clearinghub secure check`: what is missing, and what is weak."""
    if settings.security == "open":
        detail = "open: whoever reaches the ports may speak for every DFSP; set SECURITY=full and SECURE_DIR"
        yield Rule("SECURITY", "weak", detail)
        return
    try:
        profile(settings)
    except ProfileError as error:
        for fault in error.faults:
            yield Rule("SECURITY", "missing", fault)
    else:
        yield Rule("SECURITY", "ok", settings.security)
    if settings.tls_min != _SAFE_TLS:
        yield Rule("TLS_MIN", "weak", f"{settings.tls_min}: keep it only until all DFSPs speak {_SAFE_TLS}")
    if settings.gateway_identity == "x-client-id":
        detail = "x-client-id: the gateway's word alone; the certificates that DFSPs have registered are not compared"
        yield Rule("GATEWAY_IDENTITY", "weak", detail)
    if settings.jws_date_skew_s > _DATE_SKEW_SAFE_S:
        yield Rule("JWS_DATE_SKEW_S", "weak", f"a signed message can be sent again for {settings.jws_date_skew_s} s")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a listener on that host: a literal address or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _open_faults(settings: Settings) -> Iterator[str]:
    if not is_loopback(settings.bind_host) and not settings.open_on_network:
        yield (
            f"BIND_HOST={settings.bind_host} serves others than this machine, and SECURITY=open believes all of them: "
            "set SECURITY=full with SECURE_DIR (docs/security.md). If whoever reaches these ports may speak for every "
            "DFSP and move money, as on a private test network, set OPEN_ON_NETWORK=true"
        )
    for name in _SECURE_ALONE:
        if _is_set(settings, name):
            yield f"{name.upper()} means nothing with SECURITY=open: set SECURITY=gateway or full, or remove it"


def _secure_faults(settings: Settings) -> Iterator[str]:
    security = f"SECURITY={settings.security}"
    if settings.secure_dir is None:
        yield f"{security} needs SECURE_DIR: the folder that `clearinghub secure init` makes"
    if settings.open_on_network:
        yield f"OPEN_ON_NETWORK=true contradicts {security}: remove it"
    for name in _SIGNATURES:
        if name in settings.model_fields_set and not getattr(settings, name):
            yield f"{name.upper()}=false contradicts {security}: every message is signed there; remove it"
    if settings.jws_date_skew_s == 0:
        yield f"JWS_DATE_SKEW_S=0 contradicts {security}: a message that is valid for ever can be sent for ever"
    for name in _GATEWAY_ALONE:
        if settings.security == "gateway" and not _is_set(settings, name):
            yield f"{security} needs {name.upper()} (docs/security.md)"
        if settings.security == "full" and _is_set(settings, name):
            yield f"{name.upper()} contradicts {security}, where every DFSP connects by itself: remove it"
    yield from _broker_faults(settings)


def _broker_faults(settings: Settings) -> Iterator[str]:
    """Yield the brokers that are reached in plaintext over a network: whoever writes to the topics moves money."""
    if settings.kafka_security_protocol.endswith("SSL"):
        return
    for address in filter(None, settings.kafka_bootstrap.split(",")):
        if not is_loopback(address.strip().rpartition(":")[0]):
            yield (
                f"KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} reaches broker {address.strip()} over the "
                f"network without TLS: set SSL or SASL_SSL with SECURITY={settings.security}"
            )


def _file_faults(required: Profile, role: str, now: datetime) -> Iterator[str]:
    """Yield what is wrong with the files that a role needs in a secure profile.

    A file that its group may read is accepted: so Kubernetes mounts secrets for a user that is not root.
    """
    if not required.is_secure:
        return
    needed: tuple[tuple[str, ListenerFiles | ClientFiles | None], ...] = (
        ("ingress", required.listener),
        ("admin-api", required.admin_listener),
        ("callbacks", required.client),
    )
    keys = []
    for its_role, files in needed:
        if files is not None and role in (its_role, "all"):
            keys.append(files.key)
            for path in (files.certificate, files.authorities):
                if (fault := _certificate_fault(path, now)) is not None:
                    yield fault
    if role in ("callbacks", "all") and required.signing_key is not None:
        keys.append(required.signing_key)
    for path in keys:
        if not os.access(path, os.R_OK):
            yield f"{path} is missing, or this user may not read it"
        elif path.stat().st_mode & stat.S_IRWXO:
            yield f"{path} has mode {stat.S_IMODE(path.stat().st_mode):03o}: every user may read it; set 600"


def _certificate_fault(path: Path, now: datetime) -> str | None:
    """Return why the first certificate of a file cannot be used now; None if it can."""
    try:
        certificate = load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:
        return f"{path} is missing, or this user may not read it: {error.strerror}"
    except ValueError:
        return f"{path}: no certificate in PEM"
    if certificate.not_valid_after_utc <= now:
        return f"{path} has ended on {certificate.not_valid_after_utc:%Y-%m-%d}; issue a new one (docs/keys.md)"
    return None


def _rates(settings: Settings, usual: Rates) -> Rates:
    said = (settings.rate_begun, settings.rate_answers, settings.rate_bytes)
    return Rates(*(default if value is None else value for value, default in zip(said, usual, strict=True)))


def _is_set(settings: Settings, name: str) -> bool:
    return bool(getattr(settings, name) != Settings.model_fields[name].default)
