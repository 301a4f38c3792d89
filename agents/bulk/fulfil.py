"""What happens to a bulk after its prepare, at the payer's partition: PUT, /error, GET, expiry (protocol 8.2 to 8.4).

The payee knows the bulk from the hub and mostly answers to the hub, and it may ask for it by GET: both land on a
partition that need not know the bulk, and walk the ring on this very topic (design 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import structlog

from agents.bulk.notify import LINES_AT_ONCE, BulkNotifier
from agents.context import LedgerContext
from agents.transfers.apply_transfer import apply_fulfil, apply_timeout
from clearinghub.domain.bulk.bulk import Bulk, BulkState
from clearinghub.domain.bulk.fulfil import (
    Answered,
    BulkAction,
    BulkFulfilPolicy,
    BulkFulfilRequest,
    GivenUp,
    Ignored,
    LineResult,
    Refused,
    Resent,
    close,
    decide_bulk_fulfil,
    decide_bulk_timeout,
    line_request,
)
from clearinghub.domain.bulk.lookup import Found, Rejected, Silent, decide_bulk_get
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.fulfil import Aborted, AbortedInvalid, Committed
from clearinghub.domain.transfers.transfer import State
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields, encode
from tables.bulks import BULKS
from tables.transfers import TRANSFERS

log = structlog.get_logger(__name__)


def make_on_bulk_fulfil(context: LedgerContext) -> Handler:
    """The handler of topic `bulk-fulfil`."""
    policy = BulkFulfilPolicy(context.hub_name, context.completed_ahead_ms_max, context.completed_age_ms_max)

    def on_bulk_fulfil(record: Record, view: View) -> Iterator[None]:
        line, body = decode_fields(record.value)
        bulk_id = line["id"]
        stored = view.get(BULKS, bulk_id)
        kind = line["kind"]
        if kind == "bulk-timeout":
            yield from _expire(record, view, context, stored)
            return
        # An ID that was refused here may be a bulk elsewhere: its payer may have named another payer first.
        is_elsewhere = stored is None or (kind == "bulk-fulfil" and stored.state is BulkState.INVALID)
        if is_elsewhere and line["hops"] + 1 < view.partitions:
            onward = encode({**line, "hops": line["hops"] + 1}, body)
            view.emit_to_partition("bulk-fulfil", (view.partition + 1) % view.partitions, bulk_id, onward)
            return
        notifier = BulkNotifier(record, view, bulk_id, line["trace"], context)
        if kind == "bulk-get":
            yield from _show(context, notifier, stored, line["source"])
        else:
            yield from _answer(record, view, notifier, policy, stored, line, orjson.loads(body))

    return on_bulk_fulfil


def _answer(
    record: Record,
    view: View,
    notifier: BulkNotifier,
    policy: BulkFulfilPolicy,
    stored: Bulk | None,
    line: dict[str, Any],
    content: dict[str, Any],
) -> Iterator[None]:
    request = _request(line, content)
    outcome = decide_bulk_fulfil(request, stored, policy, record.timestamp_ms)
    log.debug("bulk-fulfil-decided", bulk=line["id"], outcome=type(outcome).__name__, trace=line["trace"])
    match outcome:
        case Answered(bulk):
            results = (_result(one) for one in content.get("individualTransferResults", ()))
            yield from _end_lines(record, view, policy.hub_name, notifier, bulk, results, line, None)
        case GivenUp(bulk, error):
            # Its extensions are told once: with a thousand lines they would outgrow any message.
            of_line = replace(error, extensions=None)
            results = (LineResult(transfer_id, None, of_line, None) for transfer_id in bulk.transfer_ids)
            yield from _end_lines(record, view, policy.hub_name, notifier, bulk, results, line, error)
        case Refused(rejection):
            notifier.error(request.source, ErrorInformation.of(rejection))
        case Resent(bulk):
            yield from notifier.eligibility(bulk, request.source)
        case Ignored():
            pass


def _end_lines(
    record: Record,
    view: View,
    hub_name: str,
    notifier: BulkNotifier,
    bulk: Bulk,
    results: Iterator[LineResult],
    line: dict[str, Any],
    error: ErrorInformation | None,
) -> Iterator[None]:
    """Let each line that is pending come to its end; what the payee says of any other changes nothing."""
    committed = aborted = 0
    for number, result in enumerate(results):
        row = view.get(TRANSFERS, result.transfer_id)
        if row is not None and row.bulk_id == bulk.bulk_id and row.state is State.RESERVED:
            request = line_request(bulk, result, line["completed"], line["hash"])
            outcome = apply_fulfil(view, hub_name, request, row, record.timestamp_ms, line["trace"])
            committed += isinstance(outcome, Committed)
            aborted += isinstance(outcome, Aborted | AbortedInvalid)
        if number % LINES_AT_ONCE == LINES_AT_ONCE - 1:
            yield
    closed = close(bulk, record.timestamp_ms, committed=committed, aborted=aborted)
    view.put(BULKS, closed.bulk_id, closed)
    if closed.state is BulkState.REJECTED:
        assert error is not None
        notifier.error(closed.payer, error)
        notifier.error(closed.payee, error)
    elif closed.state.is_final:
        yield from notifier.eligibility(closed, closed.payer, closed.payee)


def _expire(record: Record, view: View, context: LedgerContext, stored: Bulk | None) -> Iterator[None]:
    """The punctuator's reminder: commit or timeout, never both, for this partition decides the answers too."""
    bulk = decide_bulk_timeout(stored, record.timestamp_ms)
    if bulk is None:
        return
    expired = 0
    for number, transfer_id in enumerate(bulk.transfer_ids):
        row = view.get(TRANSFERS, transfer_id)
        if row is not None and row.bulk_id == bulk.bulk_id:
            expired += apply_timeout(view, transfer_id, record.timestamp_ms) is not None
        if number % LINES_AT_ONCE == LINES_AT_ONCE - 1:
            yield
    closed = close(bulk, record.timestamp_ms, expired=expired)
    view.put(BULKS, closed.bulk_id, closed)
    log.debug("bulk-expired", bulk=closed.bulk_id, lines=expired)
    notifier = BulkNotifier(record, view, closed.bulk_id, None, context)
    yield from notifier.eligibility(closed, closed.payer, closed.payee)


def _show(context: LedgerContext, notifier: BulkNotifier, stored: Bulk | None, requester: str) -> Iterator[None]:
    match decide_bulk_get(stored, requester, requester_exists=context.participants.get(requester) is not None):
        case Found(bulk):
            yield from notifier.eligibility(bulk, requester)
        case Rejected(rejection):
            notifier.error(requester, ErrorInformation.of(rejection))
        case Silent():
            pass


def _request(line: dict[str, Any], content: dict[str, Any]) -> BulkFulfilRequest:
    action = BulkAction(line["action"])
    error = _error(content["errorInformation"]) if action is BulkAction.ABORT else None
    return BulkFulfilRequest(
        line["id"], action, line["source"], line["destination"], line["hash"], line["completed_ms"], error
    )


def _result(one: dict[str, Any]) -> LineResult:
    told = one.get("errorInformation")
    error = None if told is None else _error(told)
    return LineResult(one["transferId"], one.get("fulfilment"), error, one.get("extensionList"))


def _error(told: dict[str, Any]) -> ErrorInformation:
    return ErrorInformation(told["errorCode"], told["errorDescription"], told.get("extensionList"))
