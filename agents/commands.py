"""The index from an operator's command to its handler, and topic `command` itself (protocol 5, 9.1).

Commands were validated by the admin API; here they meet the state of the partition. A refusal is a reply too.
"""

from __future__ import annotations

from typing import Final

from agents.participants.commands import PARTICIPANT_COMMANDS, ParticipantRows
from agents.participants.credentials import CREDENTIAL_COMMANDS
from agents.posting import emit_reply
from agents.settlement.commands import SETTLEMENT_COMMANDS
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.messages.commands import CommandMessage, UnknownCommand, read_command

_OF_PARTICIPANTS: Final = {**PARTICIPANT_COMMANDS, **CREDENTIAL_COMMANDS}


def on_command(turn: Turn, message: CommandMessage, _body: bytes) -> None:
    """Decide an operator's command and reply, at once or, for a settlement, when its accounts have moved."""
    command = read_command(message)
    if isinstance(command, UnknownCommand):
        # While the hub is being upgraded, an ingress may be newer than this worker.
        emit_reply(turn.view, message, Rejection(ErrorCode.NOT_IMPLEMENTED, command.name))
        return
    settle = SETTLEMENT_COMMANDS.get(type(command))
    if settle is not None:
        answer = settle(turn, message, command)
    else:
        answer = _OF_PARTICIPANTS[type(command)](ParticipantRows(turn, message.participant, message.by), command)
    if answer is not None:
        emit_reply(turn.view, message, answer)
