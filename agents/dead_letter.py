"""What the sender of a poison record is told: error 2001, for the record itself is on the dead letter (design 4)."""

from __future__ import annotations

import structlog

from agents.bulk.notify import BulkNotifier
from agents.context import LedgerContext
from agents.notify import TransferNotifier
from agents.parties.notify import notify_of_failure
from agents.quotes.notify import AgreementNotifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import VERSION, MalformedMessageError, ReplyMessage, decode, decode_fields, encode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkPrepareMessage
from clearinghub.messages.parties import (
    OracleAnswerMessage,
    PartyBatchMessage,
    PartyImportMessage,
    PartyMessage,
    PartyPartDoneMessage,
    PartyPartMessage,
)
from clearinghub.messages.quotes import AgreementMessage
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
            _notify_untyped(record, view)
            return
        turn = Turn(record, view, context, message.trace, record.timestamp_ms)
        log.error("record-dead-lettered", kind=type(message).__name__, trace=message.trace)
        match message:
            case PrepareMessage() | FulfilMessage() | GetMessage():
                TransferNotifier(turn, message.id).error(message.source, ErrorInformation.of(_FAILED))
            case BulkPrepareMessage() | BulkFulfilMessage() | BulkGetMessage():
                BulkNotifier(turn, message.id).error(message.source, ErrorInformation.of(_FAILED))
            case AgreementMessage():
                AgreementNotifier(turn, message).error(ErrorInformation.of(_FAILED))
            case (
                PartyMessage()
                | PartyBatchMessage()
                | PartyPartMessage()
                | PartyPartDoneMessage()
                | OracleAnswerMessage()
            ):
                notify_of_failure(turn, message, ErrorInformation.of(_FAILED))
            case PartyImportMessage():
                _reply(view, message.correlation_id, message.reply_to)
            case _:
                pass  # written by the ledger itself: no sender waits for anything

    return on_poison_record


def _notify_untyped(record: Record, view: View) -> None:
    fields, _body = decode_fields(record.value)
    log.error("record-dead-lettered", kind=fields["kind"], trace=fields.get("trace"))
    if fields["kind"] == "command":
        _reply(view, fields["correlation_id"], fields["reply_to"])


def _reply(view: View, correlation_id: str, reply_to: str) -> None:
    reply: ReplyMessage = {
        "v": VERSION,
        "kind": "reply",
        "correlation_id": correlation_id,
        "reply_to": reply_to,
        "result": None,
        "error": {"code": _FAILED.code, "description": _FAILED.description, "status": _FAILED.status},
    }
    view.emit("reply", reply_to, encode(reply))
