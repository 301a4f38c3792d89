"""Commands that wait for a second operator (ADR 43): the proposal, and the decision on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from agents.participants.commands import Answer, ParticipantRows, store_change
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.approval import (
    VALID_MS,
    ApprovalPending,
    approval_fault,
    find_approval,
    propose,
    without_approval,
)
from clearinghub.domain.participants.operator import NEEDS_ANOTHER
from clearinghub.domain.participants.participant import Approval
from clearinghub.domain.participants.registration import NOT_FOUND, Change
from clearinghub.messages.commands import (
    AnyCommand,
    CommandMessage,
    DecideApproval,
    DecisionResult,
    RemoveOperator,
    SetOperator,
    UnknownCommand,
    read_command,
)

Run: TypeAlias = Callable[[ParticipantRows, AnyCommand], Answer]

_NOT_KNOWN: Final = Rejection(ErrorCode.NOT_IMPLEMENTED, "the command is of a later release")


def propose_command(rows: ParticipantRows, message: CommandMessage) -> Answer:
    """Keep a command until another operator approves it."""
    participant = rows.known
    if participant is None:
        return NOT_FOUND
    now_ms = rows.turn.now_ms
    text = bytes(message.command).decode()
    changed = propose(participant, Approval(message.correlation_id, text, rows.by, now_ms, now_ms + VALID_MS))
    if isinstance(changed, Rejection):
        return changed
    store_change(rows, Change(changed))
    return ApprovalPending(message.correlation_id)


def decide_approval(rows: ParticipantRows, message: CommandMessage, decision: DecideApproval, run: Run) -> Answer:
    """Run a command that waits, or drop it. If the command is refused now, it is dropped too.

    Anybody may drop it, also who has requested it; another operator runs it, in the name of who has requested it.
    """
    participant = rows.known
    if participant is None:
        return NOT_FOUND
    approval = find_approval(participant, decision.approval)
    if isinstance(approval, Rejection):
        return approval
    if not decision.approves:
        return _decided(rows, store_change(rows, Change(without_approval(participant, approval))))
    command = read_command(replace(message, command=msgspec.Raw(approval.command.encode())))
    if isinstance(command, UnknownCommand):
        return _NOT_KNOWN
    fault = approval_fault(approval, rows.by, rows.turn.now_ms)
    if fault is None and isinstance(command, SetOperator | RemoveOperator) and command.operator == rows.by:
        fault = NEEDS_ANOTHER  # nobody has a say in their own roles
    if fault is not None:
        return fault
    store_change(rows, Change(without_approval(participant, approval)))
    return _decided(rows, run(rows._replace(by=approval.by), command))


def _decided(rows: ParticipantRows, answer: Answer) -> Answer:
    if isinstance(answer, Rejection):
        return answer
    participant = rows.known
    assert participant is not None
    return DecisionResult(participant.version)
