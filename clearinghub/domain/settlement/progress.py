"""What operators do with a settlement: move its accounts on, and abort it (protocol 9.4, 9.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.settlement.settlement import (
    ABORTABLE,
    ABORTED,
    COMMITTED,
    STEPS,
    Line,
    Move,
    Settlement,
    SettlementState,
    moves_of,
    reversal_of,
    with_lines,
)

_NOT_FOUND: Final = Rejection(ErrorCode.CLIENT_ERROR, "Account not found")
_MISMATCH: Final = Rejection(ErrorCode.CLIENT_ERROR, "Participant and account mismatch")
_TWICE: Final = Rejection(ErrorCode.CLIENT_ERROR, "Account already processed once")
_NOT_ALLOWED: Final = Rejection(ErrorCode.CLIENT_ERROR, "State change not allowed")


class AccountRequest(msgspec.Struct, frozen=True):
    """The state that an operator requests for one account of a settlement, and why."""

    participant_id: int
    account_id: int
    state: SettlementState
    reason: str
    external_reference: str | None


class AccountResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one account's request: `error` is None if it was accepted.

    `state` and `reason` repeat a refused request; of an accepted one, the settlement has them.
    """

    participant_id: int
    account_id: int
    error: ErrorInformation | None = None
    state: SettlementState | None = None
    reason: str | None = None

    @classmethod
    def of(cls, request: AccountRequest, rejection: Rejection | None) -> AccountResult:
        """Return the result of a request that was accepted, or refused with `rejection`."""
        if rejection is None:
            return cls(request.participant_id, request.account_id)
        error = ErrorInformation.of(rejection)
        return cls(request.participant_id, request.account_id, error, request.state, request.reason)


@dataclass(frozen=True, slots=True)
class AccountMoves:
    """Changes that an account's partition is to make, all at once, and to answer by this number."""

    line: Line
    number: int
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Store the settlement, request the moves, and reply with the results once no account of them moves any more."""

    settlement: Settlement
    moves: tuple[AccountMoves, ...] = ()
    results: tuple[AccountResult, ...] = ()


def advance(settlement: Settlement, requests: Iterable[AccountRequest], now_ms: int) -> Progress:
    """Move each account that may take its requested state; a request that is refused stops no other."""
    lines: dict[int, Line] = {}
    moves: list[AccountMoves] = []
    results: list[AccountResult] = []
    for one in requests:
        rejection = _TWICE if one.account_id in lines else _fault(settlement, one)
        results.append(AccountResult.of(one, rejection))
        if rejection is not None:
            continue
        line = settlement.line(one.account_id)
        assert line is not None
        told = replace(line, reason=one.reason, external_reference=one.external_reference, changed_at_ms=now_ms)
        if line.heading_for is one.state:
            lines[one.account_id] = told
            continue
        due = moves_of(settlement, line, one.state)
        if not due:
            lines[one.account_id] = replace(told, state=one.state)
            continue
        moving = replace(told, moving=one.state, moves_asked=line.moves_asked + 1)
        lines[one.account_id] = moving
        moves.append(AccountMoves(moving, moving.moves_asked, due))
    return Progress(with_lines(settlement, lines, now_ms), tuple(moves), tuple(results))


def _fault(settlement: Settlement, asked: AccountRequest) -> Rejection | None:
    line = settlement.line(asked.account_id)
    if line is None:
        return _NOT_FOUND
    if line.participant_id != asked.participant_id:
        return _MISMATCH
    if line.heading_for is asked.state:
        return None  # the same again: its reason and reference are renewed
    if line.moving is not None or STEPS.get(settlement.state) is not asked.state:
        return _NOT_ALLOWED
    return None


def moved(settlement: Settlement, account_id: int, number: int, change: int, now_ms: int) -> Settlement:
    """The settlement after an account's partition has said that it made the changes of that number."""
    line = settlement.line(account_id)
    assert line is not None, f"settlement {settlement.settlement_id} has no account {account_id}"
    assert number == line.moves_done + 1, f"{account_id}: answer {number} follows {line.moves_done}"
    line = replace(line, moves_done=number, moved=line.moved + change, changed_at_ms=now_ms)
    if number == line.moves_asked and line.moving is not None:
        line = replace(line, state=line.moving, moving=None)
    return with_lines(settlement, {account_id: line}, now_ms)


def abort(settlement: Settlement, reason: str, external_reference: str | None, now_ms: int) -> Progress | Rejection:
    """Give a settlement up: what it has moved is moved back, and its windows may be settled again."""
    if settlement.state is ABORTED:
        again = replace(settlement, reason=reason, external_reference=external_reference, changed_at_ms=now_ms)
        return Progress(replace(again, version=settlement.version + 1))
    rejection = _abort_fault(settlement)
    if rejection is not None:
        return rejection
    lines: list[Line] = []
    moves: list[AccountMoves] = []
    for line in settlement.lines:
        back = reversal_of(settlement, line)
        aborted = replace(
            line,
            state=ABORTED,
            moving=None,
            reason=reason,
            external_reference=external_reference,
            changed_at_ms=now_ms,
            moves_asked=line.moves_asked + bool(back),
        )
        lines.append(aborted)
        if back:
            moves.append(AccountMoves(aborted, aborted.moves_asked, back))
    whole = replace(
        settlement,
        state=ABORTED,
        reason=reason,
        external_reference=external_reference,
        changed_at_ms=now_ms,
        lines=tuple(lines),
        version=settlement.version + 1,
    )
    return Progress(whole, tuple(moves))


def _abort_fault(settlement: Settlement) -> Rejection | None:
    number = settlement.settlement_id
    if settlement.state not in ABORTABLE:
        state = settlement.state.value
        detail = f"State change is not allowed for settlement '{number}' in state '{state}'"
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    if any(line.heading_for is COMMITTED for line in settlement.lines):
        detail = f"At least one settlement transfer is committed for settlement '{number}'. Aborting is not allowed."
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    return None
