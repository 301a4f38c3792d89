"""Funds in and out: the DFSP's money that the scheme holds, booked by an operator (protocol 4.2, 5.2).

The participant is both sides of such a transfer. Its SETTLEMENT account moves here; the hub's reconciliation account
is on the hub's partition and follows by a credit, which cannot be refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.money import AMOUNT_LIMIT
from clearinghub.domain.participants.funds_request import FundsRequest
from clearinghub.domain.participants.operator import NEEDS_ANOTHER
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.registration import NOT_FOUND
from clearinghub.domain.participants.scheme import SETTLEMENT
from clearinghub.domain.transfers.claim import Claim
from clearinghub.domain.transfers.lookup import EXTENSION_VALUE_LENGTH_MAX, EXTENSIONS_MAX
from clearinghub.domain.transfers.transfer import State, Step, Transfer

FUNDS_IN: Final = "funds-in"
FUNDS_OUT: Final = "funds-out"
RECORD_FUNDS_IN: Final = "RECORD_FUNDS_IN"
RECORD_FUNDS_OUT: Final = "RECORD_FUNDS_OUT"
VALIDITY_MS: Final = 432_000_000  # five days: the reference's INTERNAL_TRANSFER_VALIDITY_SECONDS

_INACTIVE: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Participant is currently set inactive")
_MISMATCH: Final = Rejection(
    ErrorCode.INTERNAL_SERVER_ERROR, "The account does not match participant or currency specified"
)
_ACCOUNT_INACTIVE: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Account is currently set inactive")
_NOT_SETTLEMENT: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Account is not SETTLEMENT type")
_TOO_MUCH: Final = Rejection(ErrorCode.VALIDATION_ERROR, "The account cannot hold that amount")
_ANOTHER: Final = "another request has this transferId"
_INSUFFICIENT: Final = Rejection(ErrorCode.PAYER_INSUFFICIENT_LIQUIDITY, "Aborted due to insufficient funds")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Store the transfer; move the SETTLEMENT account and the hub's reconciliation account by these changes."""

    transfer: Transfer
    settlement_change: int = 0
    reconciliation_change: int = 0


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Change nothing, and answer the operator as if something had changed (protocol 5.2); `reason` is for the log."""

    reason: str


FundsOutcome: TypeAlias = Recorded | Unchanged


def repeat_past_funds(request: FundsRequest, participant: str, kind: str, past: Claim) -> Unchanged:
    """Return how a request is answered whose transferId was used by funds long ago."""
    same = (past.hash, past.payer, past.kind) == (request.hash, participant, kind)
    return Unchanged(f"already {past.state}" if same else _ANOTHER)


def complete_past_funds(past: Claim, participant: str) -> Unchanged:
    """Return how the completion of funds out is answered that ended long ago."""
    if past.kind != FUNDS_OUT:
        return Unchanged("no such funds out")
    return Unchanged(f"already {past.state}" if past.payer == participant else "of another account")


def settlement_account(participant: Participant | None, account_id: int, currency: str | None) -> Account | Rejection:
    """Return the SETTLEMENT account of that id, or why it may not be used; `currency` is checked unless it is None."""
    if participant is None:
        return NOT_FOUND
    if not participant.active:
        return _INACTIVE
    account = participant.account_by_id(account_id)
    if account is None or currency not in (None, account.currency):
        return _MISMATCH
    if not account.active:
        return _ACCOUNT_INACTIVE
    return account if account.account_type == SETTLEMENT else _NOT_SETTLEMENT


def record_funds_in(
    request: FundsRequest, stored: Transfer | None, settlement: Position, now_ms: int, by: str = ""
) -> FundsOutcome | Rejection:
    """Book money that has come in, as the operator `by` says: the transfer is COMMITTED at once.

    The SETTLEMENT account falls, for the scheme holds more funds; the reconciliation account rises.
    """
    if stored is not None:
        return _repeated(request, settlement, stored, FUNDS_IN)
    if settlement.value - request.amount <= -AMOUNT_LIMIT:
        return _TOO_MUCH
    transfer = _first_row(request, settlement, FUNDS_IN, now_ms, by)
    for step in (Step.RESERVE, Step.ACCEPT_FULFIL, Step.COMMIT):
        transfer = transfer.step(step, now_ms)
    return Recorded(transfer, settlement_change=-request.amount, reconciliation_change=request.amount)


def reserve_funds_out(
    request: FundsRequest, stored: Transfer | None, settlement: Position, now_ms: int, by: str = ""
) -> FundsOutcome:
    """Reserve money that is to go out; abort at once if the funds do not cover it.

    The position does not count: funds that it uses may be withdrawn, and later prepares are refused (protocol 5.2).
    """
    if stored is not None:
        return _repeated(request, settlement, stored, FUNDS_OUT)
    received = _first_row(request, settlement, FUNDS_OUT, now_ms, by)
    if settlement.value + request.amount > 0:
        aborted = replace(received.step(Step.REFUSE, now_ms), error=ErrorInformation.of(_INSUFFICIENT))
        return Recorded(aborted)
    return Recorded(received.step(Step.RESERVE, now_ms), settlement_change=request.amount)


def commit_funds_out(
    stored: Transfer | None, account: Account, participant: str, now_ms: int, by: str = ""
) -> FundsOutcome | Rejection:
    """Commit a reserved withdrawal; after five days it is too late (protocol 5.2).

    Money leaves by two operators: whoever has reserved it may not commit it. The hub's reconciliation account follows.
    """
    fault = _funds_out_fault(stored, account, participant)
    if fault is not None:
        return Unchanged(fault)
    assert stored is not None
    if stored.expires_at_ms <= now_ms:
        return Unchanged("expired")
    if by and by == stored.by:
        return NEEDS_ANOTHER
    committed = stored.step(Step.ACCEPT_FULFIL, now_ms).step(Step.COMMIT, now_ms)
    return Recorded(committed, reconciliation_change=-stored.amount)


def abort_funds_out(
    stored: Transfer | None,
    account: Account,
    participant: str,
    now_ms: int,
    by: str = "",  # noqa: ARG001 - whoever it is: anybody may close, two must open
) -> FundsOutcome | Rejection:
    """Cancel a reserved withdrawal: the funds are back. It is never too late, or they would be held for ever."""
    fault = _funds_out_fault(stored, account, participant)
    if fault is not None:
        return Unchanged(fault)
    assert stored is not None
    aborted = stored.step(Step.ACCEPT_REJECT, now_ms).step(Step.ABORT, now_ms)
    return Recorded(aborted, settlement_change=-stored.amount)


def _funds_out_fault(stored: Transfer | None, account: Account, participant: str) -> str | None:
    """Return why there is no such reservation on the account, or None."""
    if stored is None or stored.kind != FUNDS_OUT:
        return "no such funds out"
    if (stored.payer, stored.currency) != (participant, account.currency):
        return "of another account"
    return None if stored.state is State.RESERVED else _already(stored)


def _already(stored: Transfer) -> str:
    """Tell a client that lost an answer, and repeats its request, how the first request ended."""
    return f"already {stored.state.value}"


def _repeated(request: FundsRequest, settlement: Position, stored: Transfer, kind: str) -> Unchanged:
    same = (stored.prepare_hash, stored.payer, stored.kind) == (request.hash, settlement.participant, kind)
    return Unchanged(_already(stored) if same else _ANOTHER)


def _first_row(request: FundsRequest, settlement: Position, kind: str, now_ms: int, by: str) -> Transfer:
    return Transfer(
        transfer_id=request.transfer_id,
        payer=settlement.participant,
        payee=settlement.participant,
        amount=request.amount,
        currency=request.currency,
        condition="",
        expires_at_ms=now_ms + VALIDITY_MS,
        history=((State.RECEIVED_PREPARE, now_ms),),
        prepare_hash=request.hash,
        extensions=_extensions(request),
        kind=kind,
        by=by,
    )


def _extensions(request: FundsRequest) -> object:
    """Return the request's extensions and its external reference, which replaces the last one if there are too many."""
    extensions = request.extensions.get("extension", []) if isinstance(request.extensions, dict) else []
    reference = {"key": "externalReference", "value": request.external_reference[:EXTENSION_VALUE_LENGTH_MAX]}
    return {"extension": [*extensions[: EXTENSIONS_MAX - 1], reference]}
