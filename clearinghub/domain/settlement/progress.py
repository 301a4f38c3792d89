"""What operators do with a settlement: move its accounts to their next states, and abort it (protocol 9.4, 9.5).

Each function decides about one account; `Settlement.after` then says what follows for the whole.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.settlement import (
    ABORTABLE,
    ABORTED,
    ABORTING,
    COMMITTED,
    RESERVED,
    STEPS,
    AccountRequest,
    Settlement,
    SettlementAccount,
    SettlementState,
    moves_due,
)

_NOT_FOUND: Final = Rejection(ErrorCode.CLIENT_ERROR, "Account not found")
_MISMATCH: Final = Rejection(ErrorCode.CLIENT_ERROR, "Participant and account mismatch")
_NOT_ALLOWED: Final = Rejection(ErrorCode.CLIENT_ERROR, "State change not allowed")
PROCESSED_TWICE: Final = Rejection(ErrorCode.CLIENT_ERROR, "Account already processed once")


def advance_account(
    settlement: Settlement, account: SettlementAccount | None, request: AccountRequest, now_ms: int
) -> SettlementAccount | Rejection:
    """Return the account in the requested state, or `moving` towards it if it must be moved first."""
    if account is None:
        return _NOT_FOUND
    if account.participant_id != request.participant_id:
        return _MISMATCH
    renewed = replace(
        account, reason=request.reason, external_reference=request.external_reference, changed_at_ms=now_ms
    )
    if account.heading_for is request.state:
        return renewed  # the same once more renews its reason and reference
    if account.moving is not None or STEPS.get(settlement.state) is not request.state:
        return _NOT_ALLOWED
    if not moves_due(settlement, account, request.state):
        return replace(renewed, state=request.state)
    return replace(renewed, moving=request.state, cursor="")


def confirm_moves(account: SettlementAccount, number: int, change: int, now_ms: int) -> SettlementAccount:
    """Return the account after its partition has confirmed the moves of that number.

    With the last of them it takes the state towards which it moves.
    """
    assert number == account.moves_done + 1, f"{account.account_id}: confirmation {number} follows {account.moves_done}"
    assert number <= account.moves_requested, f"{account.account_id}: move {number} was never requested"
    account = replace(account, moves_done=number, moved=account.moved + change, changed_at_ms=now_ms)
    if account.moving is None:
        return account
    is_done = account.moved == moved_in(account, account.moving)
    return replace(account, state=account.moving, moving=None) if is_done else account


def moved_in(account: SettlementAccount, state: SettlementState) -> int:
    """Return by how much an account is moved in all when it is in `state`, whose step moves it."""
    assert state in (RESERVED, COMMITTED)
    return account.owed if state is RESERVED else account.owed - account.owing


def abort(settlement: Settlement, reason: str, external_reference: str | None, now_ms: int) -> Settlement | Rejection:
    """Return the settlement ABORTED; then its accounts follow by `abort_account`, and its windows may be settled again.

    To abort it once more renews its reason and reference.
    """
    changed = replace(
        settlement,
        reason=reason,
        external_reference=external_reference,
        changed_at_ms=now_ms,
        version=settlement.version + 1,
    )
    if settlement.state is ABORTED:
        return changed
    rejection = _abort_fault(settlement)
    if rejection is not None:
        return rejection
    return replace(changed, state=ABORTED, stage=ABORTING, ahead=0, heading=0)


def abort_account(settlement: Settlement, account: SettlementAccount, now_ms: int) -> SettlementAccount:
    """Return an account of an aborted settlement ABORTED; what it has moved is still to be moved back."""
    assert settlement.state is ABORTED
    return replace(
        account,
        state=ABORTED,
        moving=None,
        reason=settlement.reason,
        external_reference=settlement.external_reference,
        changed_at_ms=now_ms,
    )


def _abort_fault(settlement: Settlement) -> Rejection | None:
    number = settlement.settlement_id
    if settlement.state not in ABORTABLE:
        state = settlement.state.value
        detail = f"State change is not allowed for settlement '{number}' in state '{state}'"
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    if STEPS[settlement.state] is COMMITTED and settlement.heading:
        detail = f"At least one settlement transfer is committed for settlement '{number}'. Aborting is not allowed."
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    return None
