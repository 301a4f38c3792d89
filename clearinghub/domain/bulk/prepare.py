"""POST /bulkTransfers: may this bulk begin, and what is its state once its items are decided? (protocol 8.1).

The items are decided by `decide_prepare`, one after the other, between `decide_bulk_prepare` and `close_prepare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec.structs import replace

from clearinghub.domain.bulk.bulk import Bulk, BulkState, BulkStep, Tally
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.prepare import Ignored as ItemIgnored
from clearinghub.domain.transfers.prepare import Modified as ItemModified
from clearinghub.domain.transfers.prepare import PrepareOutcome, Reserved
from clearinghub.domain.transfers.prepare import Resent as ItemResent

_MODIFIED: Final = Rejection(ErrorCode.MODIFIED_REQUEST)
_ITEM_REPEATED: Final = ErrorInformation.of(
    Rejection(ErrorCode.MODIFIED_REQUEST, "Individual transfer prepare duplicate")
)
_ITEM_MODIFIED: Final = ErrorInformation.of(_MODIFIED)
_WRONG_SOURCE: Final = Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Source header should match Payer FSP")
_SAME_PARTY: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Payer and Payee FSPs should be different")


@dataclass(frozen=True, slots=True)
class BulkPrepareRequest:
    """A POST /bulkTransfers with no more than the ids of its items; `source` and `destination` are FSPIOP headers."""

    bulk_id: str
    source: str
    destination: str | None
    payer: str
    payee: str
    expires_at_ms: int
    hash: str
    transfer_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartyEligibility:
    """Whether a DFSP is a participant, and active."""

    exists: bool
    active: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """Decide the items, then call `close_prepare`."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Refused:
    """Store the bulk, so that its id is consumed, and notify the sender. No item is decided: their ids stay free."""

    bulk: Bulk
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Modified:
    """Another body under an id that is consumed: notify the sender; the first bulk is unaffected."""

    rejection: Rejection = _MODIFIED


@dataclass(frozen=True, slots=True)
class Resent:
    """The same message again, to a final bulk: send the payer the bulk's state."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Ignored:
    """The same message again, to an open bulk: do nothing."""


BulkPrepareOutcome: TypeAlias = Begun | Refused | Modified | Resent | Ignored


def decide_bulk_prepare(
    request: BulkPrepareRequest,
    stored: Bulk | None,
    payer: PartyEligibility,
    payee: PartyEligibility,
    *,
    destination_exists: bool,
    now_ms: int,
) -> BulkPrepareOutcome:
    """Return what a bulk leads to. `stored` is the bulk that has the request's id already, or None."""
    if stored is not None:
        if request.hash != stored.prepare_hash:
            return Modified()
        return Resent(stored) if stored.state.is_final else Ignored()
    received = Bulk(
        request.bulk_id,
        request.payer,
        request.payee,
        request.expires_at_ms,
        ((BulkState.RECEIVED, now_ms),),
        request.hash,
    )
    rejection = _rejection(request, payer, payee, destination_exists=destination_exists, now_ms=now_ms)
    if rejection is not None:
        return Refused(received.step(BulkStep.REFUSE, now_ms), rejection)
    return Begun(replace(received.step(BulkStep.VALIDATE, now_ms), transfer_ids=request.transfer_ids))


def close_prepare(bulk: Bulk, outcomes: Sequence[PrepareOutcome], now_ms: int) -> Bulk:
    """Return the bulk after all its items are decided; `outcomes` are theirs, in their order.

    The bulk is ACCEPTED if any item is reserved; the payee is sent those alone. Otherwise the bulk is REJECTED.
    """
    assert len(outcomes) == len(bulk.transfer_ids)
    consumed_ids = tuple(
        (place, _ITEM_MODIFIED if isinstance(outcome, ItemModified) else _ITEM_REPEATED)
        for place, outcome in enumerate(outcomes)
        if isinstance(outcome, ItemModified | ItemResent | ItemIgnored)
    )
    accepted = sum(isinstance(outcome, Reserved) for outcome in outcomes)
    counted = replace(bulk, consumed_ids=consumed_ids, tally=Tally(refused=len(outcomes) - accepted, pending=accepted))
    if accepted:
        return counted.step(BulkStep.ACCEPT, now_ms)
    return counted.step(BulkStep.REFUSE, now_ms).step(BulkStep.FINISH, now_ms)


def _rejection(
    request: BulkPrepareRequest,
    payer: PartyEligibility,
    payee: PartyEligibility,
    *,
    destination_exists: bool,
    now_ms: int,
) -> Rejection | None:
    """Return the first thing wrong with the request, in the order of protocol 8.1, or None."""
    if request.source != request.payer:
        return _WRONG_SOURCE
    if request.expires_at_ms < now_ms:
        detail = f"Expiration date {timestamp_text(request.expires_at_ms)} is already in the past"
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    if request.payer.lower() == request.payee.lower():
        return _SAME_PARTY
    payer_rejection = _party_rejection(ErrorCode.PAYER_FSP_ID_NOT_FOUND, request.payer, payer)
    if payer_rejection is not None:
        return payer_rejection
    if request.destination is not None and not destination_exists:  # the error names the destination if both are wrong
        nobody = PartyEligibility(exists=False, active=False)
        return _party_rejection(ErrorCode.PAYEE_FSP_ID_NOT_FOUND, request.destination, nobody)
    return _party_rejection(ErrorCode.PAYEE_FSP_ID_NOT_FOUND, request.payee, payee)


def _party_rejection(code: ErrorCode, name: str, party: PartyEligibility) -> Rejection | None:
    if not party.exists:
        return Rejection(code, f"Participant {name} not found")
    return None if party.active else Rejection(code, f"Participant {name} is inactive")
