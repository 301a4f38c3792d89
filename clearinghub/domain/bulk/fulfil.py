"""PUT /bulkTransfers/{ID} and its /error, and the expiry of a bulk (protocol 8.2 and 8.3).

What becomes of a line is decided by `decide_fulfil` and `decide_timeout`; here it is decided whether they are asked,
and what the bulk is afterwards. As with transfers, only the payee can move a bulk, and none that is final is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from clearinghub.domain.bulk.bulk import Bulk, BulkState, BulkStep
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.transfers.fulfil import Action, FulfilRequest, told_error

ADDITIONAL_ERROR: Final = "additionalErrors{}"  # extensions that name what else is wrong
_VALUE_LENGTH_MAX: Final = 128  # API Definition v1.1, ExtensionValue

_NOT_FOUND: Final = Rejection(
    ErrorCode.BULK_TRANSFER_ID_NOT_FOUND, "Provided Bulk Transfer ID was not found on the server."
)
_MODIFIED: Final = Rejection(ErrorCode.MODIFIED_REQUEST)
_IS_FINAL: Final = Rejection(ErrorCode.VALIDATION_ERROR, "bulk transfer is final")
_WRONG_SOURCE: Final = Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Source header should match Payee FSP")
_WRONG_DESTINATION: Final = Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Destination header should match Payer FSP")
_IN_THE_FUTURE: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, "completedTimestamp fails because future timestamp was provided"
)
_TOO_OLD: Final = Rejection(
    ErrorCode.VALIDATION_ERROR,
    "completedTimestamp fails because provided timestamp exceeded the maximum timeout duration",
)


class BulkAction(Enum):
    """PUT /bulkTransfers/{ID}, or PUT /bulkTransfers/{ID}/error."""

    FULFIL = "fulfil"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class BulkFulfilPolicy:
    """What else may stand as the destination, and how far the payee's completedTimestamp may be from the hub's time."""

    hub_name: str
    completed_ahead_ms_max: int
    completed_age_ms_max: int


@dataclass(frozen=True, slots=True)
class BulkFulfilRequest:
    """A PUT without its lines. `completed_ms` is None when absent; `error` is the errorInformation of an ABORT."""

    bulk_id: str
    action: BulkAction
    source: str
    destination: str | None
    hash: str
    completed_ms: int | None = None
    error: ErrorInformation | None = None


class ItemResult(
    msgspec.Struct,
    frozen=True,
    rename={"transfer_id": "transferId", "error": "errorInformation", "extensions": "extensionList"},
):
    """The payee's answer to one item of a bulk, named as on the wire: a fulfilment, or an error that aborts it."""

    transfer_id: str
    fulfilment: str | None = None
    error: ErrorInformation | None = None
    extensions: object = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Tell the sender only; nothing has changed."""

    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Resent:
    """The same message again, to a bulk that is final: tell the sender where it stands."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Ignored:
    """Tell nobody; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Decide the lines that the message names, then `close`."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Aborting:
    """Abort every line that is pending, with `error`, then `close`."""

    bulk: Bulk
    error: ErrorInformation


BulkFulfilOutcome: TypeAlias = Refused | Resent | Ignored | Answered | Aborting


def decide_bulk_fulfil(
    request: BulkFulfilRequest, stored: Bulk | None, policy: BulkFulfilPolicy, now_ms: int
) -> BulkFulfilOutcome:
    """What the payee's answer leads to."""
    if stored is None or stored.state is BulkState.INVALID:
        return Refused(_NOT_FOUND)
    if request.source != stored.payee:
        return Refused(_WRONG_SOURCE)
    is_abort = request.action is BulkAction.ABORT
    used_hash = stored.error_hash if is_abort else stored.fulfil_hash
    if used_hash is not None:
        return _decide_repeated(request, stored, used_hash)
    if stored.expires_at_ms <= now_ms:
        return Ignored()  # too late; the punctuator tells everybody
    if stored.state.is_final:
        return Refused(_IS_FINAL)
    # From here lines end.
    bulk = replace(stored, error_hash=request.hash) if is_abort else replace(stored, fulfil_hash=request.hash)
    rejections = _rejections(request, stored, policy, now_ms)
    if rejections:
        return Aborting(_begin_abort(bulk, now_ms), _joined(rejections))
    if is_abort:
        return Aborting(_begin_abort(bulk, now_ms), told_error(request.error))
    return Answered(bulk.step(BulkStep.ANSWER, now_ms))


def decide_bulk_timeout(stored: Bulk | None, now_ms: int) -> Bulk | None:
    """The bulk whose pending lines are to be expired before it is closed; None if there is nothing to do."""
    if stored is None or stored.state.is_final or stored.expires_at_ms >= now_ms:
        return None
    return stored.step(BulkStep.EXPIRE, now_ms)


def item_request(bulk: Bulk, result: ItemResult, completed: str | None, message_hash: str) -> FulfilRequest:
    """An item's answer as the PUT /transfers/{ID} that it would be: an error aborts, anything else must fulfil."""
    return FulfilRequest(
        transfer_id=result.transfer_id,
        action=Action.COMMIT if result.error is None else Action.ABORT,
        source=bulk.payee,
        destination=None,
        fulfilment=result.fulfilment,
        completed_timestamp=completed,
        hash=message_hash,
        content_version="",
        extensions=result.extensions,
        error=result.error,
        bulk_id=bulk.bulk_id,
    )


def close(bulk: Bulk, now_ms: int, *, committed: int = 0, aborted: int = 0, expired: int = 0) -> Bulk:
    """The bulk once lines have ended: final when none is pending any more."""
    counted = replace(bulk, tally=bulk.tally.ended(committed=committed, aborted=aborted, expired=expired))
    return counted if counted.tally.pending else counted.step(BulkStep.FINISH, now_ms)


def _decide_repeated(request: BulkFulfilRequest, stored: Bulk, used_hash: str) -> Refused | Resent | Ignored:
    if request.hash != used_hash:
        return Refused(_MODIFIED)
    return Resent(stored) if stored.state.is_final else Ignored()


def _begin_abort(bulk: Bulk, now_ms: int) -> Bulk:
    """ABORTING, unless some lines were answered before: then what is left is ended, and the bulk is COMPLETED."""
    return bulk.step(BulkStep.ABORT if bulk.state is BulkState.ACCEPTED else BulkStep.ANSWER, now_ms)


def _rejections(request: BulkFulfilRequest, stored: Bulk, policy: BulkFulfilPolicy, now_ms: int) -> Sequence[Rejection]:
    """All that is wrong with the payee's message."""
    found = []
    if request.destination not in (None, stored.payer, policy.hub_name):
        found.append(_WRONG_DESTINATION)
    if request.completed_ms is not None:
        if request.completed_ms > now_ms + policy.completed_ahead_ms_max:
            found.append(_IN_THE_FUTURE)
        elif request.completed_ms < now_ms - policy.completed_age_ms_max:
            found.append(_TOO_OLD)
    return found


def _joined(rejections: Sequence[Rejection]) -> ErrorInformation:
    """The first, with the others in its extensions (protocol 8.2)."""
    first, *others = rejections
    if not others:
        return ErrorInformation.of(first)
    extension = [
        {"key": ADDITIONAL_ERROR.format(number), "value": other.description[:_VALUE_LENGTH_MAX]}
        for number, other in enumerate(others)
    ]
    return ErrorInformation.of(first, {"extension": extension})
