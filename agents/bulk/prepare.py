"""POST /bulkTransfers at the payer's partition: every item is decided in one record, in one transaction (protocol 8.1).

So a bulk is accepted as a whole or not at all, whatever crashes, and no line is decided twice (ADR 14).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson
import structlog

from agents.bulk.notify import LINES_AT_ONCE, BulkNotifier
from agents.context import LedgerContext
from agents.transfers.apply_transfer import apply_prepare
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
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields
from tables.bulks import BULKS
from tables.participants import PARTICIPANTS

log = structlog.get_logger(__name__)


def make_on_bulk_prepare(context: LedgerContext) -> Handler:
    """The handler of topic `bulk-prepare`."""

    def on_bulk_prepare(record: Record, view: View) -> Iterator[None]:
        line, body = decode_fields(record.value)
        content = orjson.loads(body)
        request = _request(line, content)
        outcome = decide_bulk_prepare(
            request,
            view.get(BULKS, request.bulk_id),
            _standing(view.get(PARTICIPANTS, request.payer)),
            _standing(context.participants.get(request.payee)),
            destination_exists=_is_known(context, request.destination),
            now_ms=record.timestamp_ms,
        )
        log.debug("bulk-prepare-decided", bulk=line["id"], outcome=type(outcome).__name__, trace=line["trace"])
        notifier = BulkNotifier(record, view, request.bulk_id, line["trace"], context)
        match outcome:
            case Begun(bulk):
                yield from _begin(record, view, context, notifier, bulk, line, content)
            case Refused(bulk, rejection):
                view.put(BULKS, bulk.bulk_id, bulk)
                notifier.error(request.source, ErrorInformation.of(rejection))
            case Modified(rejection):
                notifier.error(request.source, ErrorInformation.of(rejection))
            case Resent(bulk):
                # Never to whoever repeats the payer's words: the body has the fulfilments.
                yield from notifier.eligibility(bulk, bulk.payer)
            case Ignored():
                pass

    return on_bulk_prepare


def _begin(
    record: Record,
    view: View,
    context: LedgerContext,
    notifier: BulkNotifier,
    bulk: Bulk,
    line: dict[str, Any],
    content: dict[str, Any],
) -> Iterator[None]:
    """Decide every line, then tell the payee of those that are accepted, or the payer that none is."""
    lines = content["individualTransfers"]
    outcomes: list[PrepareOutcome] = []
    for one, amount, line_hash in zip(lines, line["amounts"], line["hashes"], strict=True):
        request = PrepareRequest(
            one["transferId"],
            line["source"],
            line["payer"],
            line["payee"],
            amount,
            one["transferAmount"]["currency"],
            one["condition"],
            line["expires_at_ms"],
            line_hash,
            one.get("extensionList"),
            line["id"],
        )
        outcomes.append(apply_prepare(record, view, context, request, line["trace"], partial(one.get, "ilpPacket")))
        if len(outcomes) % LINES_AT_ONCE == 0:
            yield
    closed = close_prepare(bulk, outcomes, record.timestamp_ms)
    view.put(BULKS, closed.bulk_id, closed)
    log.debug("bulk-prepared", bulk=closed.bulk_id, accepted=closed.tally.pending, refused=closed.tally.refused)
    if closed.state.is_final:
        yield from notifier.eligibility(closed, closed.payer)
        return
    accepted = [one for one, outcome in zip(lines, outcomes, strict=True) if isinstance(outcome, Reserved)]
    notifier.post(closed.payee, closed.payer, orjson.dumps(content | {"individualTransfers": accepted}))


def _request(line: dict[str, Any], content: dict[str, Any]) -> BulkPrepareRequest:
    return BulkPrepareRequest(
        line["id"],
        line["source"],
        line["destination"],
        line["payer"],
        line["payee"],
        line["expires_at_ms"],
        line["hash"],
        tuple(one["transferId"] for one in content["individualTransfers"]),
    )


def _standing(participant: Participant | None) -> PartyEligibility:
    return PartyEligibility(participant is not None, participant is not None and participant.active)


def _is_known(context: LedgerContext, destination: str | None) -> bool:
    return destination == context.hub_name or (
        destination is not None and context.participants.get(destination) is not None
    )
