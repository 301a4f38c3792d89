"""Credentials: the keys by which a participant is known, and how each is registered, replaced and revoked.

They are fields of the participant's row, so every process has a change within milliseconds (ADR 35). The admin API has
examined the certificate or key that was sent; what follows from its facts is decided here.

A key is of one participant, and of no other ever. The row keeps the id of every key that the participant ever had, so
that one that was revoked never comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection

JWS_MAX: Final = 4  # at a time; a message without `kid` is tried with each
TLS_MAX: Final = 8  # at a time
EVER_MAX: Final = 250  # ids that a row keeps: twenty years of replacing all of them every year
RETIRING_MS_MAX: Final = 90 * 86_400_000  # a key that is being replaced is no longer in use by then
NOTICE_DAYS: Final = (1, 7, 14, 30)  # before the end of an active credential, the operators are notified
DAY_MS: Final = 86_400_000

_NOT_FOUND: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Credential does not exist")


class CredentialUse(Enum):
    """What a key is for."""

    TLS_CLIENT = "tls-client"
    """The participant's certificate when it connects to the hub."""
    TLS_SERVER_CA = "tls-server-ca"
    """An authority that issues the certificates of the participant's servers."""
    JWS = "jws"
    """The key that signs the participant's messages."""

    @property
    def identifies(self) -> bool:
        """Whether who has the key is the participant. An authority may serve several of them."""
        return self is not CredentialUse.TLS_SERVER_CA

    @property
    def at_a_time_max(self) -> int:
        """How many credentials of this kind, message signatures or TLS, a participant may have at a time."""
        return JWS_MAX if self is CredentialUse.JWS else TLS_MAX


class CredentialForm(Enum):
    """In which form a key was registered."""

    REQUEST = "request"  # PKCS#10; the certificate follows
    CERTIFICATE = "certificate"
    KEY = "key"


class CredentialState(Enum):
    """Whether a key counts. A key that is retiring counts until its end."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    RETIRING = "RETIRING"
    REVOKED = "REVOKED"


class Credential(msgspec.Struct, frozen=True, array_like=True):
    """A key of a participant. `credential_id` is the SHA-256 of its SubjectPublicKeyInfo in base64url.

    `pem` is what was registered, in the form of `form`; it is empty once the credential has ended. The dates are the
    certificate's, None without one. `until_ms` is when a retiring credential ends. `changed_at_ms` and `reason` belong
    to the last change of `state`. `noticed_days` is that of the last notice of its end, None before the first.
    """

    credential_id: str
    use: CredentialUse
    form: CredentialForm
    pem: str
    registered_at_ms: int
    not_before_ms: int | None = None
    not_after_ms: int | None = None
    state: CredentialState = CredentialState.PENDING
    until_ms: int | None = None
    changed_at_ms: int = 0
    reason: str = ""
    noticed_days: int | None = None

    @property
    def ends_at_ms(self) -> int | None:
        """When the credential ends by itself, or None."""
        return min((at_ms for at_ms in (self.not_after_ms, self.until_ms) if at_ms is not None), default=None)

    def has_ended(self, now_ms: int) -> bool:
        """Return whether the credential is revoked or past its end: then it never counts again."""
        if self.state is CredentialState.REVOKED:
            return True
        return self.ends_at_ms is not None and now_ms >= self.ends_at_ms

    def is_valid(self, now_ms: int) -> bool:
        """Return whether the credential counts now: active or retiring, and within its dates."""
        if self.state not in (CredentialState.ACTIVE, CredentialState.RETIRING) or self.has_ended(now_ms):
            return False
        return self.not_before_ms is None or now_ms >= self.not_before_ms


class NewCredential(msgspec.Struct, frozen=True):
    """A key that an operator registers; see `Credential` for the fields."""

    credential_id: str
    use: CredentialUse
    form: CredentialForm
    pem: str
    not_before_ms: int | None = None
    not_after_ms: int | None = None


Credentials: TypeAlias = tuple[Credential, ...]


def register(credentials: Credentials, new: NewCredential, now_ms: int) -> Credentials | Rejection:
    """Add a key, pending, or the certificate of a key that is pending as a request. The same once more changes nothing.

    What has ended keeps its id alone, so the participant's row does not grow with old certificates.
    """
    known = find(credentials, new.credential_id)
    if known is not None:
        return _register_again(credentials, known, new, now_ms)
    if new.not_after_ms is not None and now_ms >= new.not_after_ms:
        return _refused("the certificate has ended")
    most = new.use.at_a_time_max
    if sum(one.use.at_a_time_max == most and not one.has_ended(now_ms) for one in credentials) >= most:
        return _refused(f"the participant has {most} such credentials; revoke one that is not needed")
    if len(credentials) >= EVER_MAX:
        return _refused(f"the participant has had {EVER_MAX} keys, and no more can be remembered")
    return (*_shortened(credentials, now_ms), _pending(new, now_ms, now_ms))


def activate(credentials: Credentials, credential_id: str, reason: str, now_ms: int) -> Credentials | Rejection:
    """Let a key count that is pending, or is retiring and has not ended."""
    known = _usable(credentials, credential_id, now_ms)
    if isinstance(known, Rejection):
        return known
    if known.form is CredentialForm.REQUEST:
        return _refused("it is a request still; register its certificate first")
    if known.state is CredentialState.ACTIVE:
        return credentials
    active = replace(known, state=CredentialState.ACTIVE, until_ms=None, changed_at_ms=now_ms, reason=reason)
    return _replaced(credentials, active)


def retire(
    credentials: Credentials, credential_id: str, until_ms: int, reason: str, now_ms: int
) -> Credentials | Rejection:
    """Let an active key count until a date only. A date that was set may become an earlier one."""
    known = _usable(credentials, credential_id, now_ms)
    if isinstance(known, Rejection):
        return known
    if known.state is CredentialState.PENDING:
        return _refused("it is not active, so it cannot retire; revoke it")
    if not now_ms < until_ms <= now_ms + RETIRING_MS_MAX:
        return _refused(f"until must be within {RETIRING_MS_MAX // DAY_MS} days from now")
    if known.until_ms is not None and until_ms > known.until_ms:
        return _refused("it retires earlier already; activate it instead")
    if until_ms == known.until_ms:
        return credentials
    retiring = replace(known, state=CredentialState.RETIRING, until_ms=until_ms, changed_at_ms=now_ms, reason=reason)
    return _replaced(credentials, retiring)


def revoke(credentials: Credentials, credential_id: str, reason: str, now_ms: int) -> Credentials | Rejection:
    """Let a key never count again, whatever its state is."""
    known = find(credentials, credential_id)
    if known is None:
        return _NOT_FOUND
    if known.state is CredentialState.REVOKED:
        return credentials
    revoked = replace(known, state=CredentialState.REVOKED, pem="", changed_at_ms=now_ms, reason=reason)
    return _replaced(credentials, revoked)


def due_notice(credential: Credential, now_ms: int) -> int | None:
    """Return of how many days before its end a notice is due, or None. A credential that retires ends on purpose."""
    end_ms = credential.not_after_ms
    if credential.state is not CredentialState.ACTIVE or end_ms is None or now_ms >= end_ms:
        return None
    days = next((days for days in NOTICE_DAYS if end_ms - now_ms <= days * DAY_MS), None)
    if days is None or (credential.noticed_days is not None and credential.noticed_days <= days):
        return None
    return days


def find(credentials: Credentials, credential_id: str) -> Credential | None:
    """Return the credential of that id, or None."""
    return next((one for one in credentials if one.credential_id == credential_id), None)


def shared_ids(credentials_of: Iterable[Iterable[Credential]]) -> set[str]:
    """Return the ids of keys that are in several participants' rows, among those that tell who somebody is.

    The admin API refuses a key that another participant has or had. But each row is decided alone, so two commands at
    one moment can register a key for two. Such a key counts for neither of them, whatever becomes of it in one row.
    """
    seen: set[str] = set()
    shared: set[str] = set()
    for credentials in credentials_of:
        ids = {one.credential_id for one in credentials if one.use.identifies}
        shared |= ids & seen
        seen |= ids
    return shared


def _register_again(
    credentials: Credentials, known: Credential, new: NewCredential, now_ms: int
) -> Credentials | Rejection:
    if known.use is new.use and known.state is CredentialState.PENDING and not known.has_ended(now_ms):
        if known.form is new.form and known.pem == new.pem:
            return credentials
        if (known.form, new.form) == (CredentialForm.REQUEST, CredentialForm.CERTIFICATE):
            return _replaced(credentials, _pending(new, known.registered_at_ms, now_ms))
    return _refused("the key is registered, or was; make a new one")


def _pending(new: NewCredential, registered_at_ms: int, now_ms: int) -> Credential:
    return Credential(
        new.credential_id,
        new.use,
        new.form,
        new.pem,
        registered_at_ms,
        new.not_before_ms,
        new.not_after_ms,
        changed_at_ms=now_ms,
    )


def _usable(credentials: Credentials, credential_id: str, now_ms: int) -> Credential | Rejection:
    known = find(credentials, credential_id)
    if known is None:
        return _NOT_FOUND
    return _refused("it has ended; register a new key") if known.has_ended(now_ms) else known


def _replaced(credentials: Credentials, changed: Credential) -> Credentials:
    return tuple(changed if one.credential_id == changed.credential_id else one for one in credentials)


def _shortened(credentials: Credentials, now_ms: int) -> Credentials:
    return tuple(replace(one, pem="") if one.pem and one.has_ended(now_ms) else one for one in credentials)


def _refused(detail: str) -> Rejection:
    return Rejection(ErrorCode.VALIDATION_ERROR, detail)
