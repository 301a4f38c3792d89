"""What happens to a bulk after its prepare, on the payer's partition: PUT, /error, GET, expiry (protocol 8.2 to 8.4).

The payee knows the bulk from the hub and mostly answers to the hub, and it may ask for it by GET. Both reach a
partition that need not know the bulk, and visit the others on this same topic (agents/transfers/lookup.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import structlog

from agents.bulk.notify import ITEMS_AT_ONCE, BulkNotifier
from agents.transfers.fulfil import apply_fulfil
from agents.transfers.lookup import is_passed_on
from agents.transfers.timeout import apply_timeout
from agents.turn import Turn
from clearinghub.domain.bulk.bulk import Bulk, BulkState
from clearinghub.domain.bulk.fulfil import (
    Aborting,
    Answered,
    BulkAction,
    BulkFulfilPolicy,
    BulkFulfilRequest,
    Ignored,
    ItemResult,
    Refused,
    Resent,
    close,
    decide_bulk_fulfil,
    decide_bulk_timeout,
    fit_of_bulk_fulfil,
    item_request,
)
from clearinghub.domain.bulk.lookup import Found, Rejected, Silent, decide_bulk_get
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.fit import fit_of_get
from clearinghub.domain.transfers.fulfil import Aborted, AbortedInvalid, Committed
from clearinghub.domain.transfers.transfer import State
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkTimeoutMessage, decode_fulfil_body
from tables.bulks import BULKS
from tables.transfers import TRANSFERS

log = structlog.get_logger(__name__)

TOPIC = "bulk-fulfil"


def on_bulk_fulfil(turn: Turn, message: BulkFulfilMessage, body: bytes) -> Iterator[None]:
    """Decide the payee's answer to a bulk and to its items; notify both DFSPs when the bulk is final."""
    stored = turn.view.get(BULKS, message.id)
    content = decode_fulfil_body(body)
    answered = [result.transfer_id for result in content.individual_transfer_results]
    fit = fit_of_bulk_fulfil(message.source, message.destination, answered, stored, turn.hub_name)
    if is_passed_on(turn, TOPIC, message, fit):
        return
    request = BulkFulfilRequest(
        message.id,
        BulkAction(message.action),
        message.source,
        message.destination,
        message.hash,
        message.completed_ms,
        content.error_information,
    )
    context = turn.context
    policy = BulkFulfilPolicy(context.hub_name, context.completed_ahead_ms_max, context.completed_age_ms_max)
    outcome = decide_bulk_fulfil(request, stored, policy, turn.now_ms)
    log.debug("bulk-fulfil-decided", bulk=message.id, outcome=type(outcome).__name__, trace=turn.trace)
    notifier = BulkNotifier(turn, message.id)
    match outcome:
        case Answered(bulk):
            yield from _end_items(turn, notifier, bulk, iter(content.individual_transfer_results), message, None)
        case Aborting(bulk, error):
            # The error's extensions are stored in no item: a thousand copies would outgrow any message.
            bare = msgspec.structs.replace(error, extensions=None)
            results = (ItemResult(transfer_id, error=bare) for transfer_id in bulk.transfer_ids)
            yield from _end_items(turn, notifier, bulk, results, message, error)
        case Refused(rejection):
            notifier.error(message.source, ErrorInformation.of(rejection))
        case Resent(bulk):
            yield from notifier.state(bulk, message.source)
        case Ignored():
            pass


def on_bulk_get(turn: Turn, message: BulkGetMessage, _body: bytes) -> Iterator[None]:
    """Show a bulk to one of its two DFSPs, from whichever partition has it."""
    stored = turn.view.get(BULKS, message.id)
    if is_passed_on(turn, TOPIC, message, fit_of_get(stored, message.source)):
        return
    requester = message.source
    notifier = BulkNotifier(turn, message.id)
    requester_exists = turn.context.participants.get(requester) is not None
    match decide_bulk_get(stored, requester, requester_exists=requester_exists):
        case Found(bulk):
            yield from notifier.state(bulk, requester)
        case Rejected(rejection):
            notifier.error(requester, ErrorInformation.of(rejection))
        case Silent():
            pass


def on_bulk_timeout(turn: Turn, message: BulkTimeoutMessage, _body: bytes) -> Iterator[None]:
    """Expire what is pending of a bulk that is due, and notify both DFSPs.

    The payee's answers are decided on this same partition, so an item is committed or expired, never both.
    """
    turn.context.reminders.decided(TOPIC, turn.view.partition, message.id)
    bulk = decide_bulk_timeout(turn.view.get(BULKS, message.id), turn.now_ms)
    if bulk is None:
        return
    expired = 0
    for number, transfer_id in enumerate(bulk.transfer_ids):
        item = turn.view.get(TRANSFERS, transfer_id)
        if item is not None and item.bulk_id == bulk.bulk_id:
            expired += apply_timeout(turn, transfer_id) is not None
        if number % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
            yield
    closed = close(bulk, turn.now_ms, expired=expired)
    turn.view.put(BULKS, closed.bulk_id, closed)
    log.debug("bulk-expired", bulk=closed.bulk_id, items=expired)
    notifier = BulkNotifier(turn._replace(trace=closed.trace), closed.bulk_id)
    yield from notifier.state(closed, closed.payer, closed.payee)


def _end_items(
    turn: Turn,
    notifier: BulkNotifier,
    bulk: Bulk,
    results: Iterator[ItemResult],
    message: BulkFulfilMessage,
    error: ErrorInformation | None,
) -> Iterator[None]:
    """Commit or abort each item that is pending and has a result; results of other items change nothing.

    `error` is why the whole bulk is aborted, or None.
    """
    committed = aborted = 0
    for number, result in enumerate(results):
        item = turn.view.get(TRANSFERS, result.transfer_id)
        if item is not None and item.bulk_id == bulk.bulk_id and item.state is State.RESERVED:
            outcome = apply_fulfil(turn, item_request(bulk, result, message.completed, message.hash), item)
            committed += isinstance(outcome, Committed)
            aborted += isinstance(outcome, Aborted | AbortedInvalid)
        if number % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
            yield
    closed = close(bulk, turn.now_ms, committed=committed, aborted=aborted)
    turn.view.put(BULKS, closed.bulk_id, closed)
    if closed.state is BulkState.REJECTED:
        assert error is not None
        notifier.error(closed.payer, error)
        notifier.error(closed.payee, error)
    elif closed.state.is_final:
        yield from notifier.state(closed, closed.payer, closed.payee)
