"""PUT /transfers/{id} and its /error: commit or abort on the payer's partition (protocol 3.4, 3.5).

A message whose FSPIOP-Destination is not the payer lands on a partition that does not know the transfer. It walks the
ring on topic `lookup` until a partition knows it or all have been asked (design 3).
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
import structlog

from agents.context import LedgerContext
from agents.notify import TRANSFER_ERROR, TRANSFER_PUT, TransferNotifier
from agents.transfers.apply_transfer import apply_fulfil
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.fulfil import (
    Aborted,
    AbortedInvalid,
    Action,
    Committed,
    FulfilRequest,
    Ignored,
    Refused,
    Resent,
)
from clearinghub.domain.transfers.lookup import aborted_patch_body, committed_body, committed_patch_body, transfer_body
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields, encode
from tables.transfers import TRANSFERS

log = structlog.get_logger(__name__)

_VERSION_PARAMETER: Final = re.compile(r"version=([0-9.]+)")


def make_on_fulfil(context: LedgerContext) -> Handler:
    """The handler of topic `fulfil`, and of the fulfils that walk the ring."""

    def on_fulfil(record: Record, view: View) -> None:
        line, body = decode_fields(record.value)
        transfer_id = line["id"]
        stored = view.get(TRANSFERS, transfer_id)
        if stored is None and line["hops"] + 1 < view.partitions:
            onward = encode({**line, "hops": line["hops"] + 1}, body)
            view.emit_to_partition("lookup", (view.partition + 1) % view.partitions, transfer_id, onward)
            return
        request = _request(line, body)
        outcome = apply_fulfil(view, context.hub_name, request, stored, record.timestamp_ms, line["trace"])
        log.debug("fulfil-decided", transfer=line["id"], outcome=type(outcome).__name__, trace=line["trace"])
        notifier = TransferNotifier(record, view, transfer_id, line["trace"], context.hub_name)
        match outcome:
            case Committed(transfer, reserve):
                _tell_committed(context, notifier, transfer, line, body, reserve=reserve)
            case Aborted(transfer, error_replaced):
                _tell_aborted(context, notifier, transfer, line, body, error_replaced=error_replaced)
            case AbortedInvalid(transfer, _, reserve):
                _tell_invalid(notifier, transfer, record.timestamp_ms, reserve=reserve)
            case Refused(rejection, _, reserve):
                notifier.error(request.source, ErrorInformation.of(rejection))
                if reserve:
                    notifier.patch(request.source, aborted_patch_body(record.timestamp_ms))
            case Resent(transfer, reserve):
                _tell_again(notifier, transfer, request.source, reserve=reserve)
            case Ignored():
                pass

    return on_fulfil


def _request(line: dict[str, Any], body: bytes) -> FulfilRequest:
    version = _VERSION_PARAMETER.search(line["headers"].get("content-type", ""))
    error = None
    if line["action"] == Action.ABORT.value:
        told = orjson.loads(body)["errorInformation"]
        error = ErrorInformation(told["errorCode"], told["errorDescription"], told.get("extensionList"))
    return FulfilRequest(
        line["id"],
        Action(line["action"]),
        line["source"],
        line["destination"],
        line["fulfilment"],
        line["completed"],
        line["hash"],
        version.group(1) if version else "",
        line["extensions"],
        error,
    )


def _tell_committed(
    context: LedgerContext,
    notifier: TransferNotifier,
    transfer: Transfer,
    line: dict[str, Any],
    body: bytes,
    *,
    reserve: bool,
) -> None:
    if reserve:
        notifier.put(transfer.payer, committed_body(transfer))
        notifier.patch(transfer.payee, committed_patch_body(transfer))
        return
    notifier.forward(transfer.payer, line["source"], "PUT", TRANSFER_PUT, line["headers"], body)
    if context.confirm_to_payee and transfer.payer != transfer.payee:
        notifier.confirm(transfer.payee, TRANSFER_PUT, body)


def _tell_aborted(
    context: LedgerContext,
    notifier: TransferNotifier,
    transfer: Transfer,
    line: dict[str, Any],
    body: bytes,
    *,
    error_replaced: bool,
) -> None:
    assert transfer.error is not None
    if error_replaced:
        notifier.error(transfer.payer, transfer.error)
    else:
        notifier.forward(transfer.payer, line["source"], "PUT", TRANSFER_ERROR, line["headers"], body)
    if context.confirm_to_payee and transfer.payer != transfer.payee:
        notifier.error(transfer.payee, transfer.error)


def _tell_invalid(notifier: TransferNotifier, transfer: Transfer, now_ms: int, *, reserve: bool) -> None:
    assert transfer.error is not None
    notifier.error(transfer.payer, transfer.error)
    notifier.error(transfer.payee, transfer.error)
    if reserve:
        notifier.patch(transfer.payee, aborted_patch_body(now_ms, transfer.error))


def _tell_again(notifier: TransferNotifier, transfer: Transfer, sender: str, *, reserve: bool) -> None:
    """Answer a repeated message with the transfer's state; RESERVED is answered as the first time (protocol 3.4)."""
    if not reserve:
        notifier.put(sender, transfer_body(transfer))
        return
    if transfer.state in (State.COMMITTED, State.SETTLED):
        notifier.put(transfer.payer, committed_body(transfer))
        notifier.patch(transfer.payee, committed_patch_body(transfer))
    else:
        notifier.patch(transfer.payee, aborted_patch_body(transfer.changed_at_ms, transfer.error))
