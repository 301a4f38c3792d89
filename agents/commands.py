"""The index from an operator's command to its handler, and topic `command` itself (protocol 5, 9.1).

Commands were validated by the admin API; here they meet the state of the partition. A refusal is a reply too.
"""

from __future__ import annotations

from typing import Final

from agents.approvals import decide_approval, propose_command
from agents.participants.commands import PARTICIPANT_COMMANDS, Answer, ParticipantRows
from agents.participants.credentials import CREDENTIAL_COMMANDS
from agents.posting import emit_reply
from agents.settlement.commands import SETTLEMENT_COMMANDS
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.messages.commands import (
    AnyCommand,
    CommandMessage,
    DecideApproval,
    UnknownCommand,
    name_of,
    read_command,
)

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
        answer = _decide(ParticipantRows(turn, message.participant, message.by), message, command)
    if answer is not None:
        emit_reply(turn.view, message, answer)


def _decide(rows: ParticipantRows, message: CommandMessage, command: AnyCommand) -> Answer:
    if isinstance(command, DecideApproval):
        return decide_approval(rows, message, command, _run)
    if rows.by and name_of(command) in rows.turn.context.four_eyes:
        return propose_command(rows, message)
    return _run(rows, command)


def _run(rows: ParticipantRows, command: AnyCommand) -> Answer:
    return _OF_PARTICIPANTS[type(command)](rows, command)
