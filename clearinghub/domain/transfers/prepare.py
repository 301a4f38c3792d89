"""Prepare: may this transfer reserve the payer's money? (protocol 3.2 and 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.money import amount_fault, format_amount
from clearinghub.domain.participants.position import Position, reserve
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.ilp import is_condition
from clearinghub.domain.transfers.transfer import State, Step, Transfer

_MODIFIED: Final = Rejection(ErrorCode.MODIFIED_REQUEST)
_NO_SETTLEMENT_MODEL: Final = Rejection(
    ErrorCode.SETTLEMENT_ERROR, "Unable to find a matching or default, Settlement Model"
)


class PrepareRequest(NamedTuple):
    """A POST /transfers, or an item of bulk `bulk_id` in the same form (protocol 8.1).

    `source` is FSPIOP-Source, `hash` the hash of the body, `extensions` its extensionList as parsed JSON.
    """

    transfer_id: str
    source: str
    payer: str
    payee: str
    amount: int
    currency: str
    condition: str
    expires_at_ms: int
    hash: str
    extensions: object = None
    bulk_id: str | None = None


class PayerEligibility(NamedTuple):
    """What the ledger knows of the payer; `position` and `settlement` are its accounts in the transfer's currency."""

    exists: bool
    active: bool
    position: Position | None
    settlement: Position | None


class PayeeEligibility(NamedTuple):
    """What the hub knows of the payee, and of its POSITION account in the transfer's currency."""

    exists: bool
    active: bool
    account_exists: bool
    account_active: bool


@dataclass(frozen=True, slots=True)
class PreparePolicy:
    """The scheme's rules; `on_us_transfers` lets a DFSP be both payer and payee of a transfer."""

    on_us_transfers: bool


@dataclass(frozen=True, slots=True)
class Reserved:
    """Store the transfer and the payer's position, and forward the message to the payee."""

    transfer: Transfer
    position: Position


@dataclass(frozen=True, slots=True)
class Refused:
    """Store the transfer, so that its id is consumed, and send the payer `transfer.error`."""

    transfer: Transfer
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Modified:
    """Another body with the id of a known transfer: notify the sender; the known transfer is unaffected."""

    rejection: Rejection = _MODIFIED


@dataclass(frozen=True, slots=True)
class Resent:
    """The same message again: send the payer the transfer's state."""

    transfer: Transfer


@dataclass(frozen=True, slots=True)
class Ignored:
    """The same message again, before the first one is decided: do nothing."""


PrepareOutcome: TypeAlias = Reserved | Refused | Modified | Resent | Ignored


def decide_prepare(
    request: PrepareRequest,
    stored: Transfer | None,
    payer: PayerEligibility,
    payee: PayeeEligibility,
    policy: PreparePolicy,
    now_ms: int,
) -> PrepareOutcome:
    """Return what a prepare leads to.

    Args:
        request: the prepare.
        stored: the transfer that has the request's id already, or None.
        payer: what is known of the payer.
        payee: what is known of the payee.
        policy: the scheme's rules.
        now_ms: the time of the prepare's record.
    """
    if stored is not None:
        return _decide_repeated(request, stored)
    fault = _fault(request, payer, payee, policy, now_ms)
    if fault is not None:
        rejection = Rejection(ErrorCode.VALIDATION_ERROR, fault)
        invalid = _first_row(request, State.INVALID, now_ms)
        return Refused(replace(invalid, error=ErrorInformation.of(rejection)), rejection)
    received = _first_row(request, State.RECEIVED_PREPARE, now_ms)
    held = _reserve(request.amount, payer, now_ms)
    if isinstance(held, Rejection):
        # The prepare's extensions are returned with the error (protocol 3.3).
        error = ErrorInformation.of(held, request.extensions)
        return Refused(replace(received.step(Step.REFUSE, now_ms), error=error), held)
    return Reserved(received.step(Step.RESERVE, now_ms), held)


def _decide_repeated(request: PrepareRequest, stored: Transfer) -> PrepareOutcome:
    if request.hash != stored.prepare_hash:
        return Modified()
    if stored.state is State.RECEIVED_PREPARE:
        return Ignored()
    return Resent(stored)


def _fault(
    request: PrepareRequest, payer: PayerEligibility, payee: PayeeEligibility, policy: PreparePolicy, now_ms: int
) -> str | None:
    """Return the first thing that is wrong, in the order of protocol 3.2, or None. It is refused with 3100."""
    account = payer.position
    return (
        _source_fault(request)
        or amount_fault(format_amount(request.amount))
        or _participant_fault(request.payer, exists=payer.exists, active=payer.active)
        or _participant_fault(request.payee, exists=payee.exists, active=payee.active)
        or _condition_fault(request)
        or _expiration_fault(request, now_ms)
        or _same_party_fault(request, policy)
        or _account_fault(request.payer, request, exists=account is not None, active=bool(account and account.active))
        or _account_fault(request.payee, request, exists=payee.account_exists, active=payee.account_active)
    )


def _source_fault(request: PrepareRequest) -> str | None:
    return None if request.source == request.payer else "FSPIOP-Source header should match Payer"


def _participant_fault(name: str, *, exists: bool, active: bool) -> str | None:
    if not exists:
        return f"Participant {name} not found"
    return None if active else f"Participant {name} is inactive"


def _condition_fault(request: PrepareRequest) -> str | None:
    if not request.condition:
        return "Condition is required for a conditional transfer"
    return None if is_condition(request.condition) else "Condition validation failed"


def _expiration_fault(request: PrepareRequest, now_ms: int) -> str | None:
    if request.expires_at_ms >= now_ms:
        return None
    return f"Expiration date {timestamp_text(request.expires_at_ms)} is already in the past"


def _same_party_fault(request: PrepareRequest, policy: PreparePolicy) -> str | None:
    if policy.on_us_transfers or request.payer.lower() != request.payee.lower():
        return None
    # The misspelling is the reference's; DFSPs may compare the text.
    return "Payer FSP and Payee FSP should be different, unless on-us tranfers are allowed by the Scheme"


def _account_fault(name: str, request: PrepareRequest, *, exists: bool, active: bool) -> str | None:
    if not exists:
        return f"Participant {name} {request.currency} account not found"
    return None if active else f"Participant {name} {request.currency} account is inactive"


def _reserve(amount: int, payer: PayerEligibility, now_ms: int) -> Position | Rejection:
    """Return the payer's position with the amount, or the refusal of a request that is right but has no cover."""
    assert payer.position is not None  # else _account_fault has refused the request
    if payer.settlement is None:
        return _NO_SETTLEMENT_MODEL
    return reserve(payer.position, payer.settlement, amount, now_ms)


def _first_row(request: PrepareRequest, state: State, now_ms: int) -> Transfer:
    return Transfer(
        transfer_id=request.transfer_id,
        payer=request.payer,
        payee=request.payee,
        amount=request.amount,
        currency=request.currency,
        condition=request.condition,
        expires_at_ms=request.expires_at_ms,
        history=((state, now_ms),),
        prepare_hash=request.hash,
        extensions=request.extensions,
        bulk_id=request.bulk_id,
    )
