"""POST /bulkTransfers on the payer's partition: all items are decided in one record and transaction (protocol 8.1).

So a bulk is accepted as a whole or not at all, whatever crashes, and no item is decided twice (ADR 14).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec
import structlog

from agents.bulk.notify import ITEMS_AT_ONCE, BulkNotifier
from agents.context import LedgerContext
from agents.transfers.prepare import apply_prepare
from agents.turn import Turn
from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.domain.bulk.prepare import (
    Begun,
    BulkPrepareRequest,
    Ignored,
    Modified,
    PartyEligibility,
    Refused,
    Resent,
    close_prepare,
    decide_bulk_prepare,
)
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.transfers.prepare import PrepareOutcome, PrepareRequest, Reserved
from clearinghub.messages.bulk import BulkItem, BulkPrepareBody, BulkPrepareMessage, decode_prepare_body
from tables.bulks import BULKS
from tables.participants import PARTICIPANTS

log = structlog.get_logger(__name__)


def on_bulk_prepare(turn: Turn, message: BulkPrepareMessage, body: bytes) -> Iterator[None]:
    """Decide a bulk and its items; notify the payee of the reserved ones, or the payer that there are none."""
    content = decode_prepare_body(body)
    outcome = decide_bulk_prepare(
        _bulk_request(message, content),
        turn.view.get(BULKS, message.id),
        _eligibility(turn.view.get(PARTICIPANTS, message.payer)),
        _eligibility(turn.context.participants.get(message.payee)),
        destination_exists=_is_known(turn.context, message.destination),
        now_ms=turn.now_ms,
    )
    log.debug("bulk-prepare-decided", bulk=message.id, outcome=type(outcome).__name__, trace=turn.trace)
    notifier = BulkNotifier(turn, message.id)
    match outcome:
        case Begun(bulk):
            yield from _prepare_items(turn, notifier, bulk, message, content)
        case Refused(bulk, rejection):
            turn.view.put(BULKS, bulk.bulk_id, bulk)
            notifier.error(message.source, ErrorInformation.of(rejection))
        case Modified(rejection):
            notifier.error(message.source, ErrorInformation.of(rejection))
        case Resent(bulk):
            # To the payer, whoever has sent the repetition: the body holds the fulfilments.
            yield from notifier.state(bulk, bulk.payer)
        case Ignored():
            pass


def _prepare_items(
    turn: Turn, notifier: BulkNotifier, bulk: Bulk, message: BulkPrepareMessage, content: BulkPrepareBody
) -> Iterator[None]:
    """Decide every item, then send the reserved ones to the payee, or the bulk's end to the payer."""
    items = content.individual_transfers
    outcomes: list[PrepareOutcome] = []
    for item, amount, item_hash in zip(items, message.amounts, message.hashes, strict=True):
        request = _item_request(message, item, amount, item_hash)
        outcomes.append(apply_prepare(turn, request, partial(getattr, item, "ilp_packet")))
        if len(outcomes) % ITEMS_AT_ONCE == 0:
            yield
    closed = msgspec.structs.replace(close_prepare(bulk, outcomes, turn.now_ms), trace=turn.trace)
    turn.view.put(BULKS, closed.bulk_id, closed)
    log.debug("bulk-prepared", bulk=closed.bulk_id, accepted=closed.tally.pending, refused=closed.tally.refused)
    if closed.state.is_final:
        yield from notifier.state(closed, closed.payer)
        return
    reserved = tuple(item for item, outcome in zip(items, outcomes, strict=True) if isinstance(outcome, Reserved))
    notifier.post(closed.payee, closed.payer, msgspec.structs.replace(content, individual_transfers=reserved))


def _bulk_request(message: BulkPrepareMessage, content: BulkPrepareBody) -> BulkPrepareRequest:
    return BulkPrepareRequest(
        message.id,
        message.source,
        message.destination,
        message.payer,
        message.payee,
        message.expires_at_ms,
        message.hash,
        tuple(item.transfer_id for item in content.individual_transfers),
    )


def _item_request(message: BulkPrepareMessage, item: BulkItem, amount: int, item_hash: str) -> PrepareRequest:
    return PrepareRequest(
        item.transfer_id,
        message.source,
        message.payer,
        message.payee,
        amount,
        item.transfer_amount.currency,
        item.condition,
        message.expires_at_ms,
        item_hash,
        item.extension_list,
        message.id,
    )


def _eligibility(participant: Participant | None) -> PartyEligibility:
    return PartyEligibility(participant is not None, participant is not None and participant.active)


def _is_known(context: LedgerContext, destination: str | None) -> bool:
    return destination == context.hub_name or (
        destination is not None and context.participants.get(destination) is not None
    )
