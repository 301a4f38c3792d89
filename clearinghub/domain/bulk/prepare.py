"""POST /bulkTransfers: may this bulk begin, and what did its lines make of it? (protocol 8.1).

The lines themselves are decided by `decide_prepare`, one after the other, in between `decide_bulk_prepare` and
`close_prepare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from clearinghub.domain.bulk.bulk import Bulk, BulkState, BulkStep, Tally
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.prepare import Ignored as LineIgnored
from clearinghub.domain.transfers.prepare import Modified as LineModified
from clearinghub.domain.transfers.prepare import PrepareOutcome, Reserved
from clearinghub.domain.transfers.prepare import Resent as LineResent

_MODIFIED: Final = Rejection(ErrorCode.MODIFIED_REQUEST)
_LINE_REPEATED: Final = ErrorInformation.of(
    Rejection(ErrorCode.MODIFIED_REQUEST, "Individual transfer prepare duplicate")
)
_LINE_MODIFIED: Final = ErrorInformation.of(_MODIFIED)
_WRONG_SOURCE: Final = Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Source header should match Payer FSP")
_SAME_PARTY: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Payer and Payee FSPs should be different")


@dataclass(frozen=True, slots=True)
class BulkPrepareRequest:
    """A POST /bulkTransfers without its lines' terms; `source` and `destination` are the headers."""

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
    """What the hub knows of a DFSP."""

    exists: bool
    active: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """Decide its lines, then `close_prepare`."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Refused:
    """No line is decided, so their IDs stay free. Store the bulk, so that its own is burnt; tell the sender."""

    bulk: Bulk
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Modified:
    """Another body under an ID that is consumed_ids: tell the sender; the original is unaffected."""

    rejection: Rejection = _MODIFIED


@dataclass(frozen=True, slots=True)
class Resent:
    """The same message again, to a bulk that is final: tell the payer where it stands."""

    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Ignored:
    """The same message again, while the first is still at work."""


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
    """What a bulk leads to. `stored` is the bulk that has the request's ID already, or None."""
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
    """The bulk once all its lines are decided; `outcomes` are theirs, in the order of the list.

    ACCEPTED if any line was: the others are not known to the payee. Else it is over, REJECTED.
    """
    assert len(outcomes) == len(bulk.transfer_ids)
    consumed_ids = tuple(
        (place, _LINE_MODIFIED if isinstance(outcome, LineModified) else _LINE_REPEATED)
        for place, outcome in enumerate(outcomes)
        if isinstance(outcome, LineModified | LineResent | LineIgnored)
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
    """The first thing wrong with the request, in the order of protocol 8.1, or None."""
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
    if request.destination is not None and not destination_exists:  # it is the one that is named if both are wrong
        nobody = PartyEligibility(exists=False, active=False)
        return _party_rejection(ErrorCode.PAYEE_FSP_ID_NOT_FOUND, request.destination, nobody)
    return _party_rejection(ErrorCode.PAYEE_FSP_ID_NOT_FOUND, request.payee, payee)


def _party_rejection(code: ErrorCode, name: str, party: PartyEligibility) -> Rejection | None:
    if not party.exists:
        return Rejection(code, f"Participant {name} not found")
    return None if party.active else Rejection(code, f"Participant {name} is inactive")
