"""POST /transfers at the payer's partition: decide, hold its position, forward to the payee (protocol 3.2, 3.3)."""

from __future__ import annotations

from functools import partial

import structlog

from agents.context import LedgerContext
from agents.notify import TransferNotifier
from agents.settlement.fees import ilp_packet
from agents.transfers.apply_transfer import apply_prepare
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.lookup import transfer_body
from clearinghub.domain.transfers.prepare import Ignored, Modified, PrepareRequest, Refused, Resent, Reserved
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields

log = structlog.get_logger(__name__)


def make_on_prepare(context: LedgerContext) -> Handler:
    """The handler of topic `prepare`."""

    def on_prepare(record: Record, view: View) -> None:
        line, body = decode_fields(record.value)
        request = PrepareRequest(
            line["id"],
            line["source"],
            line["payer"],
            line["payee"],
            line["amount"],
            line["currency"],
            line["condition"],
            line["expires_at_ms"],
            line["hash"],
            line["extensions"],
        )
        outcome = apply_prepare(record, view, context, request, line["trace"], partial(ilp_packet, body))
        log.debug("prepare-decided", transfer=line["id"], outcome=type(outcome).__name__, trace=line["trace"])
        notifier = TransferNotifier(record, view, request.transfer_id, line["trace"], context.hub_name)
        match outcome:
            case Reserved():
                notifier.forward_prepare(request.payee, request.source, line["headers"], body)
            case Refused(_, rejection):
                notifier.error(request.source, ErrorInformation.of(rejection, request.extensions))
            case Modified(rejection):
                notifier.error(request.source, ErrorInformation.of(rejection))
            case Resent(transfer):
                # Never to whoever repeats the payer's words: the body has the fulfilment (protocol 3.2).
                notifier.put(transfer.payer, transfer_body(transfer))
            case Ignored():
                pass

    return on_prepare
