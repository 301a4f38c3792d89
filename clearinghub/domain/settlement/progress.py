"""What operators do with a settlement: move its accounts to their next states, and abort it (protocol 9.4, 9.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.settlement import (
    ABORTABLE,
    ABORTED,
    COMMITTED,
    STEPS,
    AccountRequest,
    AccountResult,
    Move,
    Settlement,
    SettlementAccount,
    moves_of,
    reversal_of,
    with_accounts,
)

_NOT_FOUND: Final = Rejection(ErrorCode.CLIENT_ERROR, "Account not found")
_MISMATCH: Final = Rejection(ErrorCode.CLIENT_ERROR, "Participant and account mismatch")
_TWICE: Final = Rejection(ErrorCode.CLIENT_ERROR, "Account already processed once")
_NOT_ALLOWED: Final = Rejection(ErrorCode.CLIENT_ERROR, "State change not allowed")


@dataclass(frozen=True, slots=True)
class AccountMoves:
    """Moves that an account's partition is to make, all at once, and to confirm by this number."""

    account: SettlementAccount
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
    accounts: dict[int, SettlementAccount] = {}
    moves: list[AccountMoves] = []
    results: list[AccountResult] = []
    for request in requests:
        rejection = _TWICE if request.account_id in accounts else _fault(settlement, request)
        results.append(AccountResult.of(request, rejection))
        if rejection is not None:
            continue
        account = settlement.account(request.account_id)
        assert account is not None
        renewed = replace(
            account, reason=request.reason, external_reference=request.external_reference, changed_at_ms=now_ms
        )
        if account.heading_for is request.state:
            accounts[request.account_id] = renewed
            continue
        due = moves_of(settlement, account, request.state)
        if not due:
            accounts[request.account_id] = replace(renewed, state=request.state)
            continue
        moving = replace(renewed, moving=request.state, moves_requested=account.moves_requested + 1)
        accounts[request.account_id] = moving
        moves.append(AccountMoves(moving, moving.moves_requested, due))
    return Progress(with_accounts(settlement, accounts, now_ms), tuple(moves), tuple(results))


def _fault(settlement: Settlement, request: AccountRequest) -> Rejection | None:
    account = settlement.account(request.account_id)
    if account is None:
        return _NOT_FOUND
    if account.participant_id != request.participant_id:
        return _MISMATCH
    if account.heading_for is request.state:
        return None  # the same once more renews its reason and reference
    if account.moving is not None or STEPS.get(settlement.state) is not request.state:
        return _NOT_ALLOWED
    return None


def confirm_moves(settlement: Settlement, account_id: int, number: int, change: int, now_ms: int) -> Settlement:
    """Return the settlement after an account's partition has confirmed the moves of that number."""
    account = settlement.account(account_id)
    assert account is not None, f"settlement {settlement.settlement_id} has no account {account_id}"
    assert number == account.moves_done + 1, f"{account_id}: confirmation {number} follows {account.moves_done}"
    assert number <= account.moves_requested, f"{account_id}: move {number} was never requested"
    account = replace(account, moves_done=number, moved=account.moved + change, changed_at_ms=now_ms)
    if number == account.moves_requested and account.moving is not None:
        account = replace(account, state=account.moving, moving=None)
    return with_accounts(settlement, {account_id: account}, now_ms)


def abort(settlement: Settlement, reason: str, external_reference: str | None, now_ms: int) -> Progress | Rejection:
    """Abort a settlement: what it has moved is moved back, and its windows may be settled again.

    To abort it once more renews its reason and reference.
    """
    if settlement.state is ABORTED:
        again = replace(settlement, reason=reason, external_reference=external_reference, changed_at_ms=now_ms)
        return Progress(replace(again, version=settlement.version + 1))
    rejection = _abort_fault(settlement)
    if rejection is not None:
        return rejection
    accounts: list[SettlementAccount] = []
    moves: list[AccountMoves] = []
    for account in settlement.accounts:
        back = reversal_of(settlement, account)
        aborted = replace(
            account,
            state=ABORTED,
            moving=None,
            reason=reason,
            external_reference=external_reference,
            changed_at_ms=now_ms,
            moves_requested=account.moves_requested + bool(back),
        )
        accounts.append(aborted)
        if back:
            moves.append(AccountMoves(aborted, aborted.moves_requested, back))
    whole = replace(
        settlement,
        state=ABORTED,
        reason=reason,
        external_reference=external_reference,
        changed_at_ms=now_ms,
        accounts=tuple(accounts),
        version=settlement.version + 1,
    )
    return Progress(whole, tuple(moves))


def _abort_fault(settlement: Settlement) -> Rejection | None:
    number = settlement.settlement_id
    if settlement.state not in ABORTABLE:
        state = settlement.state.value
        detail = f"State change is not allowed for settlement '{number}' in state '{state}'"
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    if any(account.heading_for is COMMITTED for account in settlement.accounts):
        detail = f"At least one settlement transfer is committed for settlement '{number}'. Aborting is not allowed."
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    return None
