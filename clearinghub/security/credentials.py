"""The participants' credentials as every process has them: who has a key, and which keys count now (ADR 35).

They are derived from the process's copy of the participants, anew whenever that copy has changed. A request costs one
comparison and one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.domain.participants.credential import (
    Credential,
    CredentialForm,
    CredentialState,
    CredentialUse,
    shared_ids,
)
from clearinghub.domain.participants.participant import Participant
from clearinghub.security.key_directory import KeyDirectory
from clearinghub.security.key_files import JoseKey, jose_key
from clearinghub.security.profile import profile

_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)

_COUNTING: Final = (CredentialState.ACTIVE, CredentialState.RETIRING)

_log = structlog.get_logger(__name__)


class ParticipantsCopy(Protocol):
    """This process's copy of the participants."""

    @property
    def changes(self) -> int:
        """A number that grows with every change of the copy."""

    def all(self) -> list[Participant]:
        """Return all participants, the hub included."""


class _NoParticipants:
    """A copy without participants, for a process that has none yet."""

    changes = 0

    def all(self) -> list[Participant]:
        return []


class SigningKey(NamedTuple):
    """A participant's valid key for message signatures; `credential` has its certificate, if it has one."""

    participant: str
    key: JoseKey
    credential: Credential


class CredentialDirectory:
    """Knows which participant a key belongs to, and which credentials of each are valid now.

    A key that two participants have registered at the same moment counts for neither (`shared_ids`).
    """

    def __init__(self, participants: ParticipantsCopy, now_ms: Callable[[], int] = system_now_ms) -> None:
        self._participants = participants
        self._now_ms = now_ms
        self._changes: int | None = None
        self._by_name: dict[str, tuple[Credential, ...]] = {}  # those whose time has come, and may have gone
        self._signers: set[str] = set()
        self._clients: dict[str, tuple[str, Credential]] = {}
        self._keys: dict[str, JoseKey | None] = {}

    def participant_of(self, spki_id: str) -> str | None:
        """Return the name of the participant that connects with the certificate of this key, or None.

        The credential is for `tls-client`, active or retiring, and within its dates.
        """
        self._follow()
        found = self._clients.get(spki_id)
        if found is None:
            return None
        name, credential = found
        return name if credential.is_valid(self._now_ms()) else None

    def valid(self, name: str, use: CredentialUse) -> list[Credential]:
        """Return a participant's credentials for a use that count now."""
        self._follow()
        now_ms = self._now_ms()
        return [one for one in self._by_name.get(name, ()) if one.use is use and one.is_valid(now_ms)]

    def jws_keys(self, name: str) -> Sequence[JoseKey]:
        """Return the keys with which a participant may sign now."""
        return [one.key for one in self._signing_keys(name)]

    def has_jws(self, name: str) -> bool:
        """Return whether a participant has, or had, a credential for signatures that is more than pending."""
        self._follow()
        return name in self._signers

    def server_authorities(self, name: str) -> tuple[str, ...]:
        """Return the certificates (PEM) of the authorities that a participant's servers are trusted by now."""
        return tuple(one.pem for one in self.valid(name, CredentialUse.TLS_SERVER_CA))

    def signing_keys(self) -> list[SigningKey]:
        """Return the valid keys for signatures of all participants that are active, in the order of their names."""
        active = sorted(one.name for one in self._participants.all() if one.active)
        return [key for name in active for key in self._signing_keys(name)]

    def ends_at_ms(self) -> dict[tuple[str, CredentialUse], int]:
        """Return when a participant has no valid credential for a use any more, in milliseconds since 1970.

        Those that are pending now do not count; a use with one that never ends is left out.
        """
        self._follow()
        now_ms = self._now_ms()
        ends: dict[tuple[str, CredentialUse], int | None] = {}
        for name, credentials in self._by_name.items():
            for one in credentials:
                if one.is_valid(now_ms):
                    known, end_ms = ends.get((name, one.use), 0), one.ends_at_ms
                    ends[name, one.use] = None if known is None or end_ms is None else max(known, end_ms)
        return {place: end_ms for place, end_ms in ends.items() if end_ms is not None}

    def _signing_keys(self, name: str) -> Iterator[SigningKey]:
        for one in self.valid(name, CredentialUse.JWS):
            key = self._key(one)
            if key is not None:
                yield SigningKey(name, key, one)

    def _key(self, credential: Credential) -> JoseKey | None:
        """Return the key of a credential, read when it is first needed; None if it cannot be read, which is logged."""
        if credential.credential_id not in self._keys:
            self._keys[credential.credential_id] = _read_key(credential)
        return self._keys[credential.credential_id]

    def _follow(self) -> None:
        """Derive everything anew if the copy of the participants has changed."""
        changes = self._participants.changes
        if changes == self._changes:
            return
        credentials_of = {one.name: one.credentials for one in self._participants.all() if one.credentials}
        shared = shared_ids(credentials_of.values())
        if shared:
            _log.error("credentials-of-two-participants", credentials=sorted(shared))
        self._by_name = {
            name: tuple(one for one in credentials if one.state in _COUNTING and not _is_shared(one, shared))
            for name, credentials in credentials_of.items()
        }
        self._signers = {
            name
            for name, credentials in credentials_of.items()
            if any(one.use is CredentialUse.JWS and one.state is not CredentialState.PENDING for one in credentials)
        }
        self._clients = {
            one.credential_id: (name, one)
            for name, credentials in self._by_name.items()
            for one in credentials
            if one.use is CredentialUse.TLS_CLIENT
        }
        known = {one.credential_id for credentials in self._by_name.values() for one in credentials}
        self._keys = {credential_id: key for credential_id, key in self._keys.items() if credential_id in known}
        self._changes = changes


NO_CREDENTIALS: Final = CredentialDirectory(_NoParticipants())


class ParticipantKeys:
    """`PublicKeys` from credentials, and from a folder for participants without a credential for signatures.

    Who has one, or had one, is never looked for in the folder: a key that was revoked must not come back from there.
    """

    def __init__(self, credentials: CredentialDirectory, folder: KeyDirectory | None = None) -> None:
        self._credentials = credentials
        self._folder = folder

    def of(self, name: str) -> Sequence[JoseKey]:
        """Return the keys that are valid for a participant now; see `PublicKeys.of`."""
        if self._folder is None or self._credentials.has_jws(name):
            return self._credentials.jws_keys(name)
        return self._folder.of(name)


def participant_keys_of(settings: Settings, credentials: CredentialDirectory = NO_CREDENTIALS) -> ParticipantKeys:
    """Return the participants' keys for signatures: their credentials', and those of the folder in the settings.

    Raises:
        KeyFileError: a file of the folder cannot be used.
        ProfileError: the settings contradict each other.
    """
    folder = None
    required = profile(settings)
    if required.validates_signatures and required.keys_dir is not None:
        folder = KeyDirectory(required.keys_dir, settings.jws_keys_interval_ms)
    return ParticipantKeys(credentials, folder)


class CredentialCollector(Collector):
    """Shows, each time that Prometheus scrapes, in how many seconds a participant will be without a valid credential.

    There are at most three series for each participant.
    """

    def __init__(self, credentials: CredentialDirectory, now_ms: Callable[[], int] = system_now_ms) -> None:
        self._credentials = credentials
        self._now_ms = now_ms

    def collect(self) -> Iterator[Metric]:
        """Yield the seconds by participant and use."""
        ends = GaugeMetricFamily(
            "clearinghub_credential_expires_seconds",
            "Until the last valid credential of a participant for a use ends",
            labels=["participant", "use"],
        )
        now_ms = self._now_ms()
        for (name, use), end_ms in self._credentials.ends_at_ms().items():
            ends.add_metric([name, use.value], (end_ms - now_ms) / 1000)
        yield ends


def _is_shared(credential: Credential, shared: Container[str]) -> bool:
    return credential.use.identifies and credential.credential_id in shared


def _read_key(credential: Credential) -> JoseKey | None:
    pem = credential.pem.encode()
    try:
        if credential.form is CredentialForm.CERTIFICATE:
            key: object = load_pem_x509_certificate(pem).public_key()
        else:
            key = load_pem_public_key(pem)
    except _UNREADABLE:
        key = None
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return jose_key(key)
    _log.error("credential-unreadable", credential=credential.credential_id)
    return None
