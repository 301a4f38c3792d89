"""The public keys for signatures of the hub and of all participants, as one JWK set (RFC 7517).

Each key has its RFC 7638 thumbprint as `kid`, its owner's name in `fsp`, and its certificate in `x5c` if it has one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.domain.participants.credential import CredentialForm
from clearinghub.security.credentials import CredentialDirectory, ParticipantKeys, ParticipantsCopy
from clearinghub.security.key_files import JoseKey, KeyFileError, read_public_keys

HUB_FILE: Final = "hub/jws.pem"  # in SECURE_DIR
MADE_AGAIN_MS: Final = 10_000  # for keys that begin and end by their dates, and for those of a folder

_log = structlog.get_logger(__name__)


class Published(NamedTuple):
    """The set as JSON, and the entity tag that changes with it."""

    body: bytes
    etag: str


class KeySet:
    """Makes the set when the participants have changed, and otherwise every MADE_AGAIN_MS at most."""

    def __init__(
        self,
        participants: ParticipantsCopy,
        credentials: CredentialDirectory,
        keys: ParticipantKeys,
        hub_name: str,
        hub_file: Path | None = None,
        now_ms: Callable[[], int] = system_now_ms,
    ) -> None:
        """Publish what `keys` has; `hub_file` is the hub's public key, which is one of `keys` otherwise."""
        self._participants = participants
        self._credentials = credentials
        self._keys = keys
        self._hub_name = hub_name
        self._hub_file = hub_file
        self._now_ms = now_ms
        self._made: Published | None = None
        self._made_of: int | None = None
        self._again_at_ms = 0

    def current(self) -> Published:
        """Return the set as it is now."""
        changes, now_ms = self._participants.changes, self._now_ms()
        if self._made is None or changes != self._made_of or now_ms >= self._again_at_ms:
            body = orjson.dumps({"keys": list(self._members())})
            self._made = Published(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
            self._made_of, self._again_at_ms = changes, now_ms + MADE_AGAIN_MS
        return self._made

    def _members(self) -> Iterator[dict[str, Any]]:
        certificates = {
            one.key.thumbprint(): one.credential.pem
            for one in self._credentials.signing_keys()
            if one.credential.form is CredentialForm.CERTIFICATE
        }
        for key in self._hub_keys():
            yield _member(key, self._hub_name, certificates)
        for name in sorted(one.name for one in self._participants.all() if one.active and one.name != self._hub_name):
            for key in self._keys.of(name):
                yield _member(key, name, certificates)

    def _hub_keys(self) -> list[JoseKey]:
        known = list(self._keys.of(self._hub_name))
        if known or self._hub_file is None:
            return known
        try:
            return [one.key for one in read_public_keys(self._hub_file)]
        except KeyFileError as error:
            _log.warning("hub-key-not-published", error=str(error))
            return []


def key_set_of(
    settings: Settings,
    participants: ParticipantsCopy,
    credentials: CredentialDirectory | None = None,
    keys: ParticipantKeys | None = None,
) -> KeySet:
    """Return the set of all keys; without `credentials` and `keys`, of those in the copy of the participants."""
    directory = credentials or CredentialDirectory(participants)
    hub_file = None if settings.secure_dir is None else settings.secure_dir / HUB_FILE
    return KeySet(participants, directory, keys or ParticipantKeys(directory), settings.hub_name, hub_file)


def _member(key: JoseKey, name: str, certificates: dict[str, str]) -> dict[str, Any]:
    kid = key.thumbprint()
    member = {**key.as_dict(private=False), "kid": kid, "use": "sig", "fsp": name}
    if kid in certificates:
        certificate = load_pem_x509_certificate(certificates[kid].encode())
        member["x5c"] = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    return member
