"""/participants/{name}/credentials: the keys by which a participant is known (docs/keys.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NotRequired

import structlog
from aiohttp.web import Request, Response
from cryptography.x509 import Certificate
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.clock import system_now_ms
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.credential import Credential, CredentialUse, NewCredential, find
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.time import timestamp_text
from clearinghub.messages.commands import (
    ActivateCredential,
    Command,
    RegisterCredential,
    RetireCredential,
    RevokeCredential,
)
from clearinghub.security.enrolment import PEM_LENGTH_MAX, EnrolmentError, examine, read_authorities
from clearinghub.security.key_files import KeyFileError
from web.admin.context import AdminContext, json_response
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import Reason, name_in_path, read_body
from web.admin.statement import Moment, milliseconds
from web.http.errors import ApiError

SCHEME_AUTHORITY: Final = "public/scheme-ca.pem"  # in SECURE_DIR; may hold several certificates

_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_NO_ID: Final = Rejection(ErrorCode.VALIDATION_ERROR, "'id' URI path parameter")
_NOT_ITS_OWN: Final = Rejection(ErrorCode.VALIDATION_ERROR, "the key is another participant's, or was; make a new one")
_NO_AUTHORITY: Final = Rejection(
    ErrorCode.SERVICE_UNAVAILABLE, "the certificate of the scheme's authority cannot be read"
)
_NO_UNTIL: Final = Rejection(ErrorCode.VALIDATION_ERROR, "RETIRING needs until, the time of its end")
_UNTIL: Final = Rejection(ErrorCode.VALIDATION_ERROR, "until goes with RETIRING alone")

_log = structlog.get_logger(__name__)


@with_config(NO_OTHER_KEYS)
class NewCredentialBody(TypedDict):
    """The body of POST /participants/{name}/credentials."""

    use: Literal["tls-client", "tls-server-ca", "jws"]
    pem: Annotated[str, Field(min_length=1, max_length=PEM_LENGTH_MAX)]


@with_config(NO_OTHER_KEYS)
class CredentialChange(TypedDict):
    """The body of PUT /participants/{name}/credentials/{id}."""

    state: Literal["ACTIVE", "RETIRING", "REVOKED"]
    until: NotRequired[Moment]
    reason: Reason


_NEW: Final = TypeAdapter(NewCredentialBody)
_CHANGE: Final = TypeAdapter(CredentialChange)


class CredentialsResource:
    """Handlers of a participant's credentials."""

    def __init__(self, context: AdminContext, now_ms: Callable[[], int] = system_now_ms) -> None:
        self._context = context
        self._needs_certificate = context.settings.jws_certificates == "required"
        self._now_ms = now_ms

    async def get_credentials(self, request: Request) -> Response:
        """Answer with all credentials that the participant has, or had, in the order of registration."""
        participant = self._context.find(name_in_path(request))
        others = self._ids_of_others(participant.name)
        return json_response([self._shown(one, others) for one in participant.credentials])

    async def post_credential(self, request: Request) -> Response:
        """Examine a certificate, a request or a key, and register it: it counts when it is activated."""
        name = name_in_path(request)
        body = (await read_body(request, _NEW)).fields
        self._context.find(name)
        new = self._examined(name, CredentialUse(body["use"]), body["pem"])
        self._check_is_no_others(name, new.credential_id, new.use)
        participant = await self._context.change(name, RegisterCredential(credential=new))
        return json_response(self._one(participant, new.credential_id), status=201)

    async def put_credential(self, request: Request) -> Response:
        """Activate a credential, let it retire, or revoke it."""
        name, credential_id = name_in_path(request), request.match_info["id"]
        if _ID.fullmatch(credential_id) is None:
            raise ApiError(_NO_ID)
        body = (await read_body(request, _CHANGE)).fields
        command = _command(credential_id, body)
        known = find(self._context.find(name).credentials, credential_id)
        if known is not None and isinstance(command, ActivateCredential):
            self._check_is_no_others(name, credential_id, known.use)
        return json_response(self._one(await self._context.change(name, command), credential_id))

    def _examined(self, name: str, use: CredentialUse, pem: str) -> NewCredential:
        now = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
        try:
            return examine(pem, use, name, self._authorities(), now, needs_certificate=self._needs_certificate)
        except EnrolmentError as error:
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, str(error))) from error

    def _authorities(self) -> tuple[Certificate, ...]:
        """Return who may issue certificates; read at each use, so that a new authority counts at once."""
        folder = self._context.settings.secure_dir
        if folder is None:
            return ()
        try:
            return read_authorities(folder / SCHEME_AUTHORITY)
        except KeyFileError as error:
            _log.error("authority-unusable", error=str(error))
            raise ApiError(_NO_AUTHORITY) from error

    def _check_is_no_others(self, name: str, credential_id: str, use: CredentialUse) -> None:
        if use.identifies and credential_id in self._ids_of_others(name):
            raise ApiError(_NOT_ITS_OWN)

    def _ids_of_others(self, name: str) -> set[str]:
        """Return the ids of all keys that tell that somebody is another participant, or did."""
        return {
            one.credential_id
            for participant in self._context.participants.all()
            if participant.name != name
            for one in participant.credentials
            if one.use.identifies
        }

    def _one(self, participant: Participant, credential_id: str) -> dict[str, Any]:
        known = find(participant.credentials, credential_id)
        assert known is not None
        return self._shown(known, self._ids_of_others(participant.name))

    def _shown(self, credential: Credential, ids_of_others: Container[str]) -> dict[str, Any]:
        is_shared = credential.use.identifies and credential.credential_id in ids_of_others
        return {
            "id": credential.credential_id,
            "use": credential.use.value,
            "form": credential.form.value,
            "state": credential.state.value,
            "isValid": credential.is_valid(self._now_ms()) and not is_shared,
            "registered": timestamp_text(credential.registered_at_ms),
            "notBefore": _moment(credential.not_before_ms),
            "notAfter": _moment(credential.not_after_ms),
            "until": _moment(credential.until_ms),
            "changed": timestamp_text(credential.changed_at_ms),
            "reason": credential.reason,
            "pem": credential.pem,
        }


def _command(credential_id: str, change: CredentialChange) -> Command:
    if ("until" in change) != (change["state"] == "RETIRING"):
        raise ApiError(_UNTIL if "until" in change else _NO_UNTIL)
    match change["state"]:
        case "ACTIVE":
            return ActivateCredential(credential_id=credential_id, reason=change["reason"])
        case "REVOKED":
            return RevokeCredential(credential_id=credential_id, reason=change["reason"])
    until_ms = milliseconds(change["until"])
    return RetireCredential(credential_id=credential_id, until_ms=until_ms, reason=change["reason"])


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else timestamp_text(at_ms)
