"""Commands that wait for a second operator: how many, how long, and who may decide."""

from __future__ import annotations

from msgspec.structs import replace

from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.approval import (
    APPROVABLE,
    COMMAND_CHARACTERS_MAX,
    PENDING_MAX,
    VALID_MS,
    approval_fault,
    find_approval,
    propose,
    without_approval,
)
from clearinghub.domain.participants.participant import Approval, Participant
from clearinghub.messages.commands import AnyCommand

NOW_MS = 1_700_000_000_000
DFSP = Participant(1, "dfsp", active=True, created_at_ms=0, version=7)


def approval(number: int = 1, *, at_ms: int = NOW_MS, command: str = "{}") -> Approval:
    return Approval(f"a-{number}", command, "alice", at_ms, at_ms + VALID_MS)


def changed(outcome: Participant | Rejection) -> Participant:
    assert isinstance(outcome, Participant)
    return outcome


def refused(outcome: object) -> tuple[int, str, str]:
    assert isinstance(outcome, Rejection)
    return outcome.status, outcome.code, outcome.description


def test_every_command_that_can_wait_is_one() -> None:
    names = {str(one.__struct_config__.tag) for one in AnyCommand.__args__}

    assert names >= APPROVABLE
    assert not {one for one in APPROVABLE if "funds-out" in one}, "these have a rule of their own"


def test_one_waits_until_it_is_decided() -> None:
    waiting = changed(propose(DFSP, approval()))

    assert (8, approval()) == (waiting.version, find_approval(waiting, "a-1"))
    assert (9, ()) == ((after := without_approval(waiting, approval())).version, after.approvals)
    assert (400, "3200", "Generic ID not found - Approval does not exist") == refused(find_approval(after, "a-1"))


def test_another_operator_decides_and_in_time() -> None:
    assert approval_fault(approval(), "bob", NOW_MS + VALID_MS - 1) is None
    assert (403, "3000", "Generic client error - needs another operator") == refused(
        approval_fault(approval(), "alice", NOW_MS)
    )
    assert (403, "3000", "Generic client error - the approval has expired; ask for it again") == refused(
        approval_fault(approval(), "bob", NOW_MS + VALID_MS)
    )


def test_what_has_expired_makes_room() -> None:
    full = replace(DFSP, approvals=tuple(approval(number) for number in range(PENDING_MAX)))

    assert (400, "3100") == refused(propose(full, approval(99)))[:2]
    later = approval(99, at_ms=NOW_MS + VALID_MS)
    assert (later,) == changed(propose(full, later)).approvals


def test_its_length_is_bounded() -> None:
    assert (400, "3104") == refused(propose(DFSP, approval(command="x" * (COMMAND_CHARACTERS_MAX + 1))))[:2]
