"""The participants' credentials as every process has them: who has a key, and which keys count now (ADR 35).

They are derived from the process's copy of the participants, anew whenever that copy has changed. A request costs one
comparison and one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from clearinghub.clock import system_now_ms
from clearinghub.domain.participants.credential import (
    Credential,
    CredentialForm,
    CredentialState,
    CredentialUse,
    owners,
)
from clearinghub.domain.participants.participant import Participant
from clearinghub.security.key_files import JoseKey, jose_key

_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)

_log = structlog.get_logger(__name__)


class ParticipantsCopy(Protocol):
    """This process's copy of the participants."""

    @property
    def changes(self) -> int:
        """A number that grows with every change of the copy."""

    def all(self) -> list[Participant]:
        """Return all participants."""


class SigningKey(NamedTuple):
    """A participant's valid key for message signatures; `credential` has its certificate, if it has one."""

    participant: str
    key: JoseKey
    credential: Credential


class CredentialDirectory:
    """Knows which participant a key belongs to, and which credentials of each are valid now.

    Of a key that two participants have registered at the same moment only the owner's counts (`owners`).
    """

    def __init__(self, participants: ParticipantsCopy, now_ms: Callable[[], int] = system_now_ms) -> None:
        self._participants = participants
        self._now_ms = now_ms
        self._changes: int | None = None
        self._by_name: dict[str, tuple[Credential, ...]] = {}
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

    def jws_keys(self, name: str) -> Sequence[JoseKey]:
        """Return the keys with which a participant may sign now."""
        return [one.key for one in self._signing_keys(name)]

    def has_jws(self, name: str) -> bool:
        """Return whether a participant has, or had, a credential for signatures that is more than pending."""
        self._follow()
        return any(
            one.use is CredentialUse.JWS and one.state is not CredentialState.PENDING
            for one in self._by_name.get(name, ())
        )

    def server_authorities(self, name: str) -> tuple[str, ...]:
        """Return the certificates (PEM) of the authorities that a participant's servers are trusted by now."""
        self._follow()
        now_ms = self._now_ms()
        return tuple(
            one.pem
            for one in self._by_name.get(name, ())
            if one.use is CredentialUse.TLS_SERVER_CA and one.is_valid(now_ms)
        )

    def signing_keys(self) -> list[SigningKey]:
        """Return the valid keys for signatures of all participants that are active, in the order of their names."""
        self._follow()
        active = sorted(one.name for one in self._participants.all() if one.active)
        return [key for name in active for key in self._signing_keys(name)]

    def _signing_keys(self, name: str) -> Iterator[SigningKey]:
        self._follow()
        now_ms = self._now_ms()
        for one in self._by_name.get(name, ()):
            if one.use is CredentialUse.JWS and one.is_valid(now_ms):
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
        owner = owners(credentials_of)
        self._by_name = {
            name: tuple(one for one in credentials if owner.get(one.credential_id, name) == name)
            for name, credentials in credentials_of.items()
        }
        self._clients = {
            one.credential_id: (name, one)
            for name, credentials in self._by_name.items()
            for one in credentials
            if one.use is CredentialUse.TLS_CLIENT
        }
        self._keys = {credential_id: key for credential_id, key in self._keys.items() if credential_id in owner}
        self._changes = changes
        _log_foreign_keys(credentials_of, owner)


def _log_foreign_keys(credentials_of: Mapping[str, Iterable[Credential]], owner: Mapping[str, str]) -> None:
    for name, credentials in credentials_of.items():
        for one in credentials:
            if owner.get(one.credential_id, name) != name:
                _log.error(
                    "credential-belongs-to-another",
                    participant=name,
                    credential=one.credential_id,
                    owner=owner[one.credential_id],
                )


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
