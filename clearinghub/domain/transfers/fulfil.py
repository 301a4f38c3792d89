"""Fulfil: the payee's answer to a transfer, and what it does to it (protocol 3.4 and 3.5).

Two corrections of the reference hold throughout: only the payee can move a transfer, and no transfer that has left
RESERVED is moved by a message any more. So a stray or repeated answer never gives a payer its money back twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection, is_defined_error_code
from clearinghub.domain.transfers.fulfilment import fulfils
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, State, Step, Transfer

VERSION_WITHOUT_RESERVED: Final = "1.0"  # its payees may not answer RESERVED

_NOT_FOUND: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "transfer not found")
_WRONG_SOURCE: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, "fspiop-source does not match payee fsp on the Fulfil callback response"
)
_WRONG_DESTINATION: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, "fspiop-destination does not match payer fsp on the Fulfil callback response"
)
_INVALID_FULFILMENT: Final = Rejection(ErrorCode.VALIDATION_ERROR, "invalid fulfilment")
_NOT_RESERVED: Final = Rejection(ErrorCode.VALIDATION_ERROR, "non-RESERVED transfer state")
_EXPIRED: Final = Rejection(ErrorCode.TRANSFER_EXPIRED)
_MODIFIED: Final = Rejection(ErrorCode.MODIFIED_REQUEST)
_OF_A_BULK: Final = Rejection(ErrorCode.VALIDATION_ERROR, "transfer is a line of a bulk, and answered with it")
_UNDEFINED_CODE: Final = Rejection(ErrorCode.VALIDATION_ERROR, "API specification undefined errorCode")


class Action(Enum):
    """What the sender asks for: PUT /transfers/{ID} by its transferState, or PUT /transfers/{ID}/error (ABORT)."""

    COMMIT = "commit"
    RESERVE = "reserve"
    REJECT = "reject"
    ABORT = "abort"


class FulfilRequest(NamedTuple):
    """A PUT /transfers/{ID} or its /error.

    `source` and `destination` are the headers, the latter None when absent. `content_version` is the version in the
    Content-Type, e.g. "1.1". `error` is the errorInformation of an ABORT as it came. `bulk_id` is the bulk that is
    answered, None for a transfer by itself.
    """

    transfer_id: str
    action: Action
    source: str
    destination: str | None
    fulfilment: str | None
    completed_timestamp: str | None
    hash: str
    content_version: str
    extensions: object = None
    error: ErrorInformation | None = None
    bulk_id: str | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """Store; credit the payee. `reserve`: the payee had answered RESERVED and waits for a PATCH."""

    transfer: Transfer
    reserve: bool


@dataclass(frozen=True, slots=True)
class Aborted:
    """By the payee's error. Store; release the payer's position.

    `error_replaced`: the payee's code is none of the specification's, `transfer.error` is the hub's instead.
    """

    transfer: Transfer
    error_replaced: bool


@dataclass(frozen=True, slots=True)
class AbortedInvalid:
    """By the payee's mistake. Store; release the payer's position; tell both `transfer.error`.

    `reserve`: the payee had answered RESERVED and gets a PATCH too.
    """

    transfer: Transfer
    rejection: Rejection
    reserve: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Tell the sender only. `transfer`, if any, is the row to store: unmoved, but its message is now used up.

    `reserve`: the payee had answered RESERVED, and must also learn by PATCH that it will not be committed.
    """

    rejection: Rejection
    transfer: Transfer | None
    reserve: bool


@dataclass(frozen=True, slots=True)
class Resent:
    """The same message again, to a transfer that is final: tell the sender where it stands.

    `reserve`: as after the first time, the payer gets its PUT (if committed) and the payee its PATCH (protocol 3.4).
    """

    transfer: Transfer
    reserve: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """Tell nobody. `transfer`, if any, is the row to store: unmoved, but its message is now used up."""

    transfer: Transfer | None


FulfilOutcome: TypeAlias = Committed | Aborted | AbortedInvalid | Refused | Resent | Ignored


def decide_fulfil(request: FulfilRequest, stored: Transfer | None, window: int, now_ms: int) -> FulfilOutcome:
    """What the payee's answer leads to. `window` is the settlement window that is open for the payer's partition."""
    if request.action is Action.RESERVE and request.content_version == VERSION_WITHOUT_RESERVED:
        return Ignored(None)
    if stored is None or stored.kind != TRANSFER_KIND:
        return Refused(_NOT_FOUND, None, reserve=False)
    if stored.bulk_id != request.bulk_id:
        return Refused(_OF_A_BULK, None, reserve=False)  # its bulk would not hear of it
    misaddressed = _misaddressed(request, stored)
    if misaddressed is not None:
        return _decide_misaddressed(request, stored, misaddressed, now_ms)
    used_hash = stored.error_hash if request.action is Action.ABORT else stored.fulfil_hash
    if used_hash is not None:
        return _decide_repeated(request, stored, used_hash)
    return _decide_first(request, _use_up(request, stored), window, now_ms)


def _misaddressed(request: FulfilRequest, stored: Transfer) -> Rejection | None:
    """The destination's text wins if both are wrong, as in the reference."""
    if request.destination is not None and request.destination.lower() != stored.payer.lower():
        return _WRONG_DESTINATION
    return None if _is_from_payee(request, stored) else _WRONG_SOURCE


def _is_from_payee(request: FulfilRequest, stored: Transfer) -> bool:
    return request.source.lower() == stored.payee.lower()


def _decide_misaddressed(
    request: FulfilRequest, stored: Transfer, rejection: Rejection, now_ms: int
) -> AbortedInvalid | Refused:
    if _is_from_payee(request, stored) and stored.state is State.RESERVED:
        return _abort_invalid(request, stored, rejection, now_ms)
    return Refused(rejection, None, reserve=False)


def _decide_repeated(request: FulfilRequest, stored: Transfer, used_hash: str) -> Refused | Resent | Ignored:
    if request.hash != used_hash:
        return Refused(_MODIFIED, None, reserve=False)
    if stored.state.is_final:
        return Resent(stored, reserve=request.action is Action.RESERVE)
    return Ignored(None)


def _use_up(request: FulfilRequest, stored: Transfer) -> Transfer:
    """Errors and fulfils are told apart by a hash each: who has sent REJECT may still send its error."""
    if request.action is Action.ABORT:
        return stored._replace(error_hash=request.hash)
    return stored._replace(fulfil_hash=request.hash)


def _decide_first(request: FulfilRequest, row: Transfer, window: int, now_ms: int) -> FulfilOutcome:
    """The payee's first fulfil, or first error. `row` has its message used up already."""
    reserve = request.action is Action.RESERVE
    rejection = _rejection(request, row, now_ms)
    if rejection == _INVALID_FULFILMENT and row.state is State.RESERVED:
        return _abort_invalid(request, row, rejection, now_ms)
    if rejection is not None:
        return Refused(rejection, row, reserve=reserve)
    if request.action is Action.REJECT:
        return Ignored(row)
    # From here the transfer ends.
    if request.action is Action.ABORT:
        return _abort(request, row, now_ms)
    return _commit(request, row, window, now_ms)


def _rejection(request: FulfilRequest, row: Transfer, now_ms: int) -> Rejection | None:
    """Steps 6 to 8 of protocol 3.4."""
    needs_fulfilment = request.action in (Action.COMMIT, Action.RESERVE)
    if needs_fulfilment and not fulfils(row.condition, request.fulfilment):
        return _INVALID_FULFILMENT
    if row.state is not State.RESERVED:
        return _NOT_RESERVED
    if row.expires_at_ms <= now_ms:
        return _EXPIRED
    return None


def _abort_invalid(request: FulfilRequest, row: Transfer, rejection: Rejection, now_ms: int) -> AbortedInvalid:
    aborted = row.step(Step.ACCEPT_ERROR, now_ms).step(Step.ABORT, now_ms)
    transfer = aborted._replace(error=ErrorInformation.of(rejection))
    return AbortedInvalid(transfer, rejection, reserve=request.action is Action.RESERVE)


def _abort(request: FulfilRequest, row: Transfer, now_ms: int) -> Aborted:
    error = told_error(request.error)
    aborted = row.step(Step.ACCEPT_ERROR, now_ms).step(Step.ABORT, now_ms)
    return Aborted(aborted._replace(error=error), error_replaced=error is not request.error)


def told_error(error: ErrorInformation | None) -> ErrorInformation:
    """The payee's error as the payer is told it: the hub's own in place of one that the specification does not know."""
    if error is None or not is_defined_error_code(error.code):
        return ErrorInformation.of(_UNDEFINED_CODE)
    return error


def _commit(request: FulfilRequest, row: Transfer, window: int, now_ms: int) -> Committed:
    accepted = row.step(Step.ACCEPT_FULFIL, now_ms)._replace(
        fulfilment=request.fulfilment,
        completed_timestamp=request.completed_timestamp,
        window=window,
        fulfil_extensions=request.extensions,
    )
    return Committed(accepted.step(Step.COMMIT, now_ms), reserve=request.action is Action.RESERVE)
