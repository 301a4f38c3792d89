"""PUT /transfers/{id} and its /error on the payer's partition: commit or abort the transfer (protocol 3.4, 3.5)."""

from __future__ import annotations

import re
from typing import Final

import structlog

from agents.notify import TRANSFER_ERROR, TRANSFER_PUT, TransferNotifier
from agents.posting import release_payer, store_transfer
from agents.settlement.booking import book_commit
from agents.transfers.lookup import is_passed_on
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.fit import fit_of_fulfil
from clearinghub.domain.transfers.fulfil import (
    Aborted,
    AbortedInvalid,
    Action,
    Committed,
    FulfilOutcome,
    FulfilRequest,
    Ignored,
    Refused,
    Resent,
    decide_fulfil,
)
from clearinghub.domain.transfers.lookup import aborted_patch_body, committed_body, committed_patch_body, transfer_body
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.messages.transfers import FulfilMessage
from tables.transfers import TRANSFERS
from tables.windows import open_window

log = structlog.get_logger(__name__)

_VERSION_PARAMETER: Final = re.compile(r"version=([0-9.]+)")


def on_fulfil(turn: Turn, message: FulfilMessage, body: bytes) -> None:
    """Decide the payee's answer to a transfer and notify both DFSPs; pass it on if no transfer here fits it."""
    stored, request = turn.view.get(TRANSFERS, message.id), _request(message)
    if is_passed_on(turn, "lookup", message, fit_of_fulfil(request, stored)):
        return
    outcome = apply_fulfil(turn, request, stored)
    log.debug("fulfil-decided", transfer=message.id, outcome=type(outcome).__name__, trace=turn.trace)
    notifier = TransferNotifier(turn, message.id)
    match outcome:
        case Committed(transfer, reserve):
            _notify_committed(turn, notifier, transfer, message, body, reserve=reserve)
        case Aborted(transfer, error_replaced):
            _notify_aborted(turn, notifier, transfer, message, body, error_replaced=error_replaced)
        case AbortedInvalid(transfer, _, reserve):
            _notify_invalid(turn, notifier, transfer, reserve=reserve)
        case Refused(rejection, _, reserve):
            notifier.error(message.source, ErrorInformation.of(rejection))
            if reserve:
                notifier.patch(message.source, aborted_patch_body(turn.now_ms))
        case Resent(transfer, reserve):
            _notify_again(notifier, transfer, message.source, reserve=reserve)
        case Ignored():
            pass


def apply_fulfil(turn: Turn, request: FulfilRequest, stored: Transfer | None) -> FulfilOutcome:
    """Decide the payee's answer to `stored`; store what has changed, book a commit, release an abort's reservation.

    Notifies no DFSP. A `Committed` outcome is returned with the transfer as it was booked.
    """
    view = turn.view
    outcome = decide_fulfil(request, stored, open_window(view), turn.now_ms)
    match outcome:
        case Committed(transfer, reserve):
            return Committed(book_commit(turn, transfer), reserve)
        case Aborted(transfer) | AbortedInvalid(transfer):
            store_transfer(view, transfer)
            release_payer(turn, transfer)
        case Refused(transfer=answered) | Ignored(answered):
            if answered is not None:
                assert stored is not None
                assert answered.history == stored.history, "an answer that is refused or ignored changes no state"
                view.put(TRANSFERS, request.transfer_id, answered)
    return outcome


def _request(message: FulfilMessage) -> FulfilRequest:
    version = _VERSION_PARAMETER.search(message.headers.get("content-type", ""))
    action, error = Action(message.action), None
    if action is Action.ABORT:
        assert message.error_code is not None
        assert message.error_description is not None
        error = ErrorInformation(message.error_code, message.error_description, message.extensions)
    return FulfilRequest(
        message.id,
        action,
        message.source,
        message.destination,
        message.fulfilment,
        message.completed,
        message.hash,
        version.group(1) if version else "",
        message.extensions,
        error,
    )


def _notify_committed(
    turn: Turn, notifier: TransferNotifier, transfer: Transfer, message: FulfilMessage, body: bytes, *, reserve: bool
) -> None:
    if reserve:
        notifier.put(transfer.payer, committed_body(transfer))
        notifier.patch(transfer.payee, committed_patch_body(transfer))
        return
    notifier.forward_put(transfer.payer, message.source, TRANSFER_PUT, message.headers, body)
    if turn.context.confirm_to_payee and transfer.payer != transfer.payee:
        # The hub signs its callbacks, so it never repeats bytes that somebody else has written.
        notifier.put(transfer.payee, committed_body(transfer))


def _notify_aborted(
    turn: Turn,
    notifier: TransferNotifier,
    transfer: Transfer,
    message: FulfilMessage,
    body: bytes,
    *,
    error_replaced: bool,
) -> None:
    assert transfer.error is not None
    if error_replaced:
        notifier.error(transfer.payer, transfer.error)
    else:
        notifier.forward_put(transfer.payer, message.source, TRANSFER_ERROR, message.headers, body)
    if turn.context.confirm_to_payee and transfer.payer != transfer.payee:
        notifier.error(transfer.payee, transfer.error)


def _notify_invalid(turn: Turn, notifier: TransferNotifier, transfer: Transfer, *, reserve: bool) -> None:
    assert transfer.error is not None
    notifier.error(transfer.payer, transfer.error)
    notifier.error(transfer.payee, transfer.error)
    if reserve:
        notifier.patch(transfer.payee, aborted_patch_body(turn.now_ms, transfer.error))


def _notify_again(notifier: TransferNotifier, transfer: Transfer, sender: str, *, reserve: bool) -> None:
    """Answer a repeated message with the transfer's state; RESERVED is answered as the first time (protocol 3.4)."""
    if not reserve:
        notifier.put(sender, transfer_body(transfer))
        return
    if transfer.state in (State.COMMITTED, State.SETTLED):
        notifier.put(transfer.payer, committed_body(transfer))
        notifier.patch(transfer.payee, committed_patch_body(transfer))
    else:
        notifier.patch(transfer.payee, aborted_patch_body(transfer.changed_at_ms, transfer.error))
