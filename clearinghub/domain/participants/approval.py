"""Commands that wait for a second operator, kept on the row that they are to change (ADR 43).

The settings say which commands need approval. Whoever approves runs the stored command, which is then decided against
what there is at that moment, as if it had just come.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.operator import NEEDS_ANOTHER
from clearinghub.domain.participants.participant import Approval, Participant

# Those that are done by one command on the row of a participant or of the hub.
APPROVABLE: Final = frozenset(
    {
        "set-active",
        "set-endpoint",
        "set-initial-limit",
        "adjust-limit",
        "add-oracle",
        "change-oracle",
        "remove-oracle",
        "record-funds-in",
        "set-operator",
        "remove-operator",
    }
)
VALID_MS: Final = 24 * 3_600_000
PENDING_MAX: Final = 50
COMMAND_CHARACTERS_MAX: Final = 32_768

_UNKNOWN: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Approval does not exist")
_EXPIRED: Final = Rejection(ErrorCode.CLIENT_ERROR, "the approval has expired; ask for it again", http_status=403)
_TOO_MANY: Final = Rejection(ErrorCode.VALIDATION_ERROR, f"{PENDING_MAX} approvals are pending; decide some first")
_TOO_LONG: Final = Rejection(ErrorCode.TOO_LARGE_PAYLOAD, "too long to wait for an approval")


class ApprovalPending(msgspec.Struct, frozen=True):
    """The command waits for another operator, under this id."""

    approval_id: str


def propose(participant: Participant, approval: Approval) -> Participant | Rejection:
    """Return the participant with one more command that waits; what has expired is removed."""
    if len(approval.command) > COMMAND_CHARACTERS_MAX:
        return _TOO_LONG
    pending = tuple(one for one in participant.approvals if one.until_ms > approval.at_ms)
    if len(pending) >= PENDING_MAX:
        return _TOO_MANY
    return replace(participant, approvals=(*pending, approval), version=participant.version + 1)


def find_approval(participant: Participant, approval_id: str) -> Approval | Rejection:
    """Return the command that waits under that id."""
    found = next((one for one in participant.approvals if one.approval_id == approval_id), None)
    return _UNKNOWN if found is None else found


def approval_fault(approval: Approval, by: str, now_ms: int) -> Rejection | None:
    """Return why `by` may not approve it now; None if that is another operator than requested it, and it is in time."""
    if by and by == approval.by:
        return NEEDS_ANOTHER
    return _EXPIRED if approval.until_ms <= now_ms else None


def without_approval(participant: Participant, approval: Approval) -> Participant:
    """Return the participant without a command that was decided on."""
    others = tuple(one for one in participant.approvals if one.approval_id != approval.approval_id)
    assert len(others) == len(participant.approvals) - 1, f"{approval.approval_id} does not wait"
    return replace(participant, approvals=others, version=participant.version + 1)
