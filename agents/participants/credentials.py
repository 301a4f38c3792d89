"""Commands about participants' credentials; the rules are in domain/participants/credential.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from agents.participants.commands import Answer, ParticipantRows, change_participant
from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants import credential
from clearinghub.domain.participants.credential import Credentials
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.participants.registration import Change, set_credentials
from clearinghub.messages.commands import (
    ActivateCredential,
    Command,
    RegisterCredential,
    RetireCredential,
    RevokeCredential,
)


def _register(rows: ParticipantRows, command: RegisterCredential) -> Answer:
    return _decide(rows, lambda known: credential.register(known, command.credential, rows.turn.now_ms))


def _activate(rows: ParticipantRows, command: ActivateCredential) -> Answer:
    return _decide(
        rows, lambda known: credential.activate(known, command.credential_id, command.reason, rows.turn.now_ms)
    )


def _retire(rows: ParticipantRows, command: RetireCredential) -> Answer:
    return _decide(
        rows,
        lambda known: credential.retire(
            known, command.credential_id, command.until_ms, command.reason, rows.turn.now_ms
        ),
    )


def _revoke(rows: ParticipantRows, command: RevokeCredential) -> Answer:
    return _decide(
        rows, lambda known: credential.revoke(known, command.credential_id, command.reason, rows.turn.now_ms)
    )


def _decide(rows: ParticipantRows, decide: Callable[[Credentials], Credentials | Rejection]) -> Answer:
    def change(participant: Participant) -> Change | Rejection:
        decided = decide(participant.credentials)
        return decided if isinstance(decided, Rejection) else set_credentials(participant, decided)

    return change_participant(rows, change)


CREDENTIAL_COMMANDS: Final[Mapping[type[Command], Callable[[ParticipantRows, Any], Answer]]] = {
    RegisterCredential: _register,
    ActivateCredential: _activate,
    RetireCredential: _retire,
    RevokeCredential: _revoke,
}
