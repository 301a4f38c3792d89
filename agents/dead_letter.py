"""A record whose handler raised is on the dead letter; whoever sent it hears 2001 (design 4)."""

from __future__ import annotations

import structlog

from agents.bulk.notify import BulkNotifier
from agents.context import LedgerContext
from agents.notify import AgreementNotifier, TransferNotifier
from agents.parties.notify import notify_of_failure
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import VERSION, AgreementMessage, Message, ReplyMessage, decode, decode_fields, encode
from clearinghub.messages.parties import (
    OracleAnswerMessage,
    PartyBatchMessage,
    PartyImportMessage,
    PartyMessage,
    PartyPartDoneMessage,
    PartyPartMessage,
)

log = structlog.get_logger(__name__)

_FAILED = Rejection(ErrorCode.INTERNAL_SERVER_ERROR)


def make_on_poison_record(context: LedgerContext) -> Handler:
    """Tells the sender of a DFSP's message by callback, the ingress of a command by reply; others have no sender."""

    def on_poison_record(record: Record, view: View) -> None:
        line, _body = decode_fields(record.value)
        log.error("record-set-aside", kind=line["kind"], transfer=line.get("id"), trace=line.get("trace"))
        if record.topic in ("agreement", "party"):
            message, _body = decode(record.value)
            _notify_sender(Turn(record, view, context, message.trace, record.timestamp_ms), message)
        elif line["kind"] in ("prepare", "fulfil", "get"):
            notifier = TransferNotifier(record, view, line["id"], line["trace"], context.hub_name)
            notifier.error(line["source"], ErrorInformation.of(_FAILED))
        elif line["kind"] in ("bulk-prepare", "bulk-fulfil", "bulk-get"):
            bulks = BulkNotifier(record, view, line["id"], line["trace"], context)
            bulks.error(line["source"], ErrorInformation.of(_FAILED))
        elif line["kind"] == "command":
            _reply(view, line["correlation_id"], line["reply_to"])

    return on_poison_record


def _notify_sender(turn: Turn, message: Message) -> None:
    match message:
        case AgreementMessage():
            notifier = AgreementNotifier(
                turn.record, turn.view, message.resource, message.id, turn.trace, turn.hub_name, deliver_by_ms=0
            )
            notifier.error(message.source, ErrorInformation.of(_FAILED))
        case PartyImportMessage():
            _reply(turn.view, message.correlation_id, message.reply_to)
        case PartyMessage() | PartyBatchMessage() | PartyPartMessage() | PartyPartDoneMessage() | OracleAnswerMessage():
            notify_of_failure(turn, message, ErrorInformation.of(_FAILED))


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
