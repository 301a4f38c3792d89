"""Fulfil: what the payee's answer does to a transfer (protocol 3.4 and 3.5).

Two corrections of the reference hold throughout: only the payee can change a transfer, and no message changes a
transfer that has left RESERVED. So a stray or repeated answer never returns a payer its money twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection, is_defined_error_code
from clearinghub.domain.transfers.ilp import fulfils
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, State, Step, Transfer

VERSION_WITHOUT_RESERVED: Final = "1.0"  # a payee that uses this version may not answer RESERVED

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
    """What the sender requests: the transferState of its PUT /transfers/{ID} says it; a PUT to /error is ABORT."""

    COMMIT = "commit"
    RESERVE = "reserve"
    REJECT = "reject"
    ABORT = "abort"


class FulfilRequest(NamedTuple):
    """A PUT /transfers/{ID} or its /error, or the answer to one item of a bulk.

    `source` and `destination` are the FSPIOP headers, the latter None when absent. `content_version` is the version in
    the Content-Type, e.g. "1.1". `error` is the errorInformation of an ABORT as it came. `bulk_id` is None for a
    transfer that belongs to no bulk.
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
    """Store the transfer and credit the payee. `reserve`: the payee has answered RESERVED and waits for a PATCH."""

    transfer: Transfer
    reserve: bool


@dataclass(frozen=True, slots=True)
class Aborted:
    """The payee has sent an error: store the transfer and release the payer's position.

    `error_replaced`: the payee's code is not in the specification, so `transfer.error` is the hub's own.
    """

    transfer: Transfer
    error_replaced: bool


@dataclass(frozen=True, slots=True)
class AbortedInvalid:
    """The payee's answer is invalid: store the transfer, release the payer's position, send both `transfer.error`.

    `reserve`: the payee has answered RESERVED and is sent a PATCH too.
    """

    transfer: Transfer
    rejection: Rejection
    reserve: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Notify the sender only. If there is a `transfer`, store it: its state is as before, but it has the answer's hash.

    `reserve`: the payee has answered RESERVED, so also send it a PATCH, which says that the transfer will not be
    committed.
    """

    rejection: Rejection
    transfer: Transfer | None
    reserve: bool


@dataclass(frozen=True, slots=True)
class Resent:
    """The same message again, and the transfer is final: send the sender the transfer's state.

    `reserve`: as after the first message, the payer is sent a PUT (if committed) and the payee a PATCH (protocol 3.4).
    """

    transfer: Transfer
    reserve: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """Notify nobody. If there is a `transfer`, store it: its state is as before, but it has the answer's hash."""

    transfer: Transfer | None


FulfilOutcome: TypeAlias = Committed | Aborted | AbortedInvalid | Refused | Resent | Ignored


def decide_fulfil(request: FulfilRequest, stored: Transfer | None, window: int, now_ms: int) -> FulfilOutcome:
    """Return what the payee's answer leads to.

    Args:
        request: the answer.
        stored: the transfer with that ID on this partition, or None.
        window: the settlement window that is open on this partition.
        now_ms: the time of the answer's record.
    """
    if request.action is Action.RESERVE and request.content_version == VERSION_WITHOUT_RESERVED:
        return Ignored(None)
    if stored is None or stored.kind != TRANSFER_KIND:
        return Refused(_NOT_FOUND, None, reserve=False)
    if stored.bulk_id != request.bulk_id:
        return Refused(_OF_A_BULK, None, reserve=False)  # decided alone, it would be missing from its bulk's counts
    misaddressed = _misaddressed(request, stored)
    if misaddressed is not None:
        return _decide_misaddressed(request, stored, misaddressed, now_ms)
    known_hash = stored.error_hash if request.action is Action.ABORT else stored.fulfil_hash
    if known_hash is not None:
        return _decide_repeated(request, stored, known_hash)
    return _decide_first(request, _mark_answered(request, stored), window, now_ms)


def _misaddressed(request: FulfilRequest, stored: Transfer) -> Rejection | None:
    """Return what is wrong with source or destination; if both are wrong, the destination, as in the reference."""
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


def _decide_repeated(request: FulfilRequest, stored: Transfer, known_hash: str) -> Refused | Resent | Ignored:
    if request.hash != known_hash:
        return Refused(_MODIFIED, None, reserve=False)
    if stored.state.is_final:
        return Resent(stored, reserve=request.action is Action.RESERVE)
    return Ignored(None)


def _mark_answered(request: FulfilRequest, stored: Transfer) -> Transfer:
    """Note the answer's hash. Fulfils and errors have a hash each: a payee that has sent REJECT may send its error."""
    if request.action is Action.ABORT:
        return replace(stored, error_hash=request.hash)
    return replace(stored, fulfil_hash=request.hash)


def _decide_first(request: FulfilRequest, row: Transfer, window: int, now_ms: int) -> FulfilOutcome:
    """Decide the payee's first fulfil, or first error; `row` has its hash already."""
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
    """Return what is wrong with the answer: steps 6 to 8 of protocol 3.4."""
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
    transfer = replace(aborted, error=ErrorInformation.of(rejection))
    return AbortedInvalid(transfer, rejection, reserve=request.action is Action.RESERVE)


def _abort(request: FulfilRequest, row: Transfer, now_ms: int) -> Aborted:
    error = error_for_payer(request.error)
    aborted = row.step(Step.ACCEPT_ERROR, now_ms).step(Step.ABORT, now_ms)
    return Aborted(replace(aborted, error=error), error_replaced=error is not request.error)


def error_for_payer(error: ErrorInformation | None) -> ErrorInformation:
    """Return the error to send to the payer: the payee's, or the hub's own if the payee's code is undefined."""
    if error is None or not is_defined_error_code(error.code):
        return ErrorInformation.of(_UNDEFINED_CODE)
    return error


def _commit(request: FulfilRequest, row: Transfer, window: int, now_ms: int) -> Committed:
    accepted = replace(
        row.step(Step.ACCEPT_FULFIL, now_ms),
        fulfilment=request.fulfilment,
        completed_timestamp=request.completed_timestamp,
        window=window,
        fulfil_extensions=request.extensions,
    )
    return Committed(accepted.step(Step.COMMIT, now_ms), reserve=request.action is Action.RESERVE)
