"""PUT /bulkTransfers/{ID} and its /error, and the expiry of a bulk (protocol 8.2 and 8.3).

An item's outcome is decided by `decide_fulfil` and `decide_timeout`; here it is decided whether they are called, and
what the bulk's state is then. As with transfers, only the payee can change a bulk, and a final bulk never changes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from clearinghub.domain.bulk.bulk import Bulk, BulkState, BulkStep
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.transfers.fit import Fit
from clearinghub.domain.transfers.fulfil import Action, FulfilRequest, error_for_payer

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
    """The hub's name, which may be the destination, and how far completedTimestamp may be from the record's time."""

    hub_name: str
    completed_ahead_ms_max: int
    completed_age_ms_max: int


@dataclass(frozen=True, slots=True)
class BulkFulfilRequest:
    """A PUT without its items' results; `error` is the errorInformation of an ABORT.

    `completed_ms` is the completedTimestamp in milliseconds since 1970, or None if it is absent or not to be judged.
    """

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
    """Notify the sender only; nothing is stored."""

    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Resent:
    """The same message again, to a final bulk: send the sender the bulk's state."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Ignored:
    """Notify nobody; nothing is stored."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Decide the items that the message names, then `close` the bulk."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Aborting:
    """Abort every pending item with `error`, then `close` the bulk."""

    bulk: Bulk
    error: ErrorInformation


BulkFulfilOutcome: TypeAlias = Refused | Resent | Ignored | Answered | Aborting


def fit_of_bulk_fulfil(
    source: str, destination: str | None, answered_ids: Collection[str], stored: Bulk | None, hub_name: str
) -> Fit:
    """Return how well a bulk fits its payee's answer: by payee, payer if it is named, and the items that are answered.

    An id that was refused here may be a bulk elsewhere: its payer may have named another payer first.
    """
    if stored is None or stored.state is BulkState.INVALID:
        return Fit.NOTHING
    if source != stored.payee:
        return Fit.SAME_ID
    has_items = not answered_ids or not set(answered_ids).isdisjoint(stored.transfer_ids)
    return Fit.FITS if destination in (None, stored.payer, hub_name) and has_items else Fit.SAME_PAYEE


def decide_bulk_fulfil(
    request: BulkFulfilRequest, stored: Bulk | None, policy: BulkFulfilPolicy, now_ms: int
) -> BulkFulfilOutcome:
    """Return what the payee's answer leads to; `stored` is the bulk with that id on this partition, or None."""
    if stored is None or stored.state is BulkState.INVALID:
        return Refused(_NOT_FOUND)
    if request.source != stored.payee:
        return Refused(_WRONG_SOURCE)
    is_abort = request.action is BulkAction.ABORT
    known_hash = stored.error_hash if is_abort else stored.fulfil_hash
    if known_hash is not None:
        return _decide_repeated(request, stored, known_hash)
    if stored.expires_at_ms <= now_ms:
        return Ignored()  # too late; both DFSPs are notified when the reminder expires the bulk
    if stored.state.is_final:
        return Refused(_IS_FINAL)
    # From here items end.
    bulk = replace(stored, error_hash=request.hash) if is_abort else replace(stored, fulfil_hash=request.hash)
    rejections = _rejections(request, stored, policy, now_ms)
    if rejections:
        return Aborting(_begin_abort(bulk, now_ms), _joined(rejections))
    if is_abort:
        return Aborting(_begin_abort(bulk, now_ms), error_for_payer(request.error))
    return Answered(bulk.step(BulkStep.ANSWER, now_ms))


def decide_bulk_timeout(stored: Bulk | None, now_ms: int) -> Bulk | None:
    """Return the bulk whose pending items must now expire, to be closed after that; None if there is nothing to do."""
    if stored is None or stored.state.is_final or stored.expires_at_ms >= now_ms:
        return None
    return stored.step(BulkStep.EXPIRE, now_ms)


def item_request(bulk: Bulk, result: ItemResult, completed: str | None, message_hash: str) -> FulfilRequest:
    """Return an item's result as the PUT /transfers/{ID} it corresponds to.

    An error aborts the item; any other result must have the right fulfilment.
    """
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
    """Return the bulk after so many items have ended: final if none is pending any more."""
    counted = replace(bulk, tally=bulk.tally.ended(committed=committed, aborted=aborted, expired=expired))
    return counted if counted.tally.pending else counted.step(BulkStep.FINISH, now_ms)


def _decide_repeated(request: BulkFulfilRequest, stored: Bulk, known_hash: str) -> Refused | Resent | Ignored:
    if request.hash != known_hash:
        return Refused(_MODIFIED)
    return Resent(stored) if stored.state.is_final else Ignored()


def _begin_abort(bulk: Bulk, now_ms: int) -> Bulk:
    """Return the bulk as ABORTING; or, if some items were answered before, as one that the others will complete."""
    return bulk.step(BulkStep.ABORT if bulk.state is BulkState.ACCEPTED else BulkStep.ANSWER, now_ms)


def _rejections(request: BulkFulfilRequest, stored: Bulk, policy: BulkFulfilPolicy, now_ms: int) -> Sequence[Rejection]:
    """Return all that is wrong with the payee's message."""
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
    """Return the first rejection as an error, with the others in its extensions (protocol 8.2)."""
    first, *others = rejections
    if not others:
        return ErrorInformation.of(first)
    extension = [
        {"key": ADDITIONAL_ERROR.format(number), "value": other.description[:_VALUE_LENGTH_MAX]}
        for number, other in enumerate(others)
    ]
    return ErrorInformation.of(first, {"extension": extension})
