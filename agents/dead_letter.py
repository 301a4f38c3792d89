"""What the sender of a poison record is told: error 2001, for the record itself is on the dead letter (design 4)."""

from __future__ import annotations

import structlog

from agents.bulk.notify import BulkNotifier
from agents.context import LedgerContext
from agents.notify import AgreementNotifier, TransferNotifier
from agents.parties.notify import tell_of_failure
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import VERSION, MalformedMessageError, ReplyMessage, decode, decode_fields, encode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkPrepareMessage
from clearinghub.messages.transfers import FulfilMessage, GetMessage, PrepareMessage

log = structlog.get_logger(__name__)

_FAILED = Rejection(ErrorCode.INTERNAL_SERVER_ERROR)


def make_on_poison_record(context: LedgerContext) -> Handler:
    """Return the handler of records that were dead-lettered because their own handler raised.

    The sender of a DFSP's message is notified by a callback, the ingress of a command by a reply.
    """

    def on_poison_record(record: Record, view: View) -> None:
        try:
            message, _body = decode(record.value)
        except MalformedMessageError:
            _notify_untyped(record, view, context)
            return
        turn = Turn(record, view, context, message.trace, record.timestamp_ms)
        log.error("record-dead-lettered", kind=type(message).__name__, trace=message.trace)
        match message:
            case PrepareMessage() | FulfilMessage() | GetMessage():
                TransferNotifier(turn, message.id).error(message.source, ErrorInformation.of(_FAILED))
            case BulkPrepareMessage() | BulkFulfilMessage() | BulkGetMessage():
                BulkNotifier(turn, message.id).error(message.source, ErrorInformation.of(_FAILED))
            case _:
                pass  # written by the ledger itself: no sender waits for anything

    return on_poison_record


def _notify_untyped(record: Record, view: View, context: LedgerContext) -> None:
    fields, _body = decode_fields(record.value)
    log.error("record-dead-lettered", kind=fields["kind"], trace=fields.get("trace"))
    turn = Turn(record, view, context, fields.get("trace"), record.timestamp_ms)
    if fields["kind"] == "agreement":
        notifier = AgreementNotifier(turn, fields["resource"], fields["id"], 0)
        notifier.error(fields["source"], ErrorInformation.of(_FAILED))
    elif record.topic == "party" and fields["kind"] != "party-import":
        tell_of_failure(turn, fields, ErrorInformation.of(_FAILED))
    elif fields["kind"] in ("command", "party-import"):
        reply: ReplyMessage = {
            "v": VERSION,
            "kind": "reply",
            "correlation_id": fields["correlation_id"],
            "reply_to": fields["reply_to"],
            "result": None,
            "error": {"code": _FAILED.code, "description": _FAILED.description, "status": _FAILED.status},
        }
        view.emit("reply", fields["reply_to"], encode(reply))
