"""A record whose handler raised is on the dead letter; whoever sent it hears 2001 (design 4)."""

from __future__ import annotations

import structlog

from agents.bulk.notify import BulkNotifier
from agents.context import LedgerContext
from agents.notify import AgreementNotifier, TransferNotifier
from agents.parties.notify import tell_of_failure
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import ReplyMessage, decode_fields, encode
from clearinghub.messages.commands import ReplyError

log = structlog.get_logger(__name__)

_FAILED = Rejection(ErrorCode.INTERNAL_SERVER_ERROR)


def make_on_poison_record(context: LedgerContext) -> Handler:
    """Tells the sender of a DFSP's message by callback, the ingress of a command by reply; others have no sender."""

    def on_poison_record(record: Record, view: View) -> None:
        line, _body = decode_fields(record.value)
        log.error("record-set-aside", kind=line["kind"], transfer=line.get("id"), trace=line.get("trace"))
        if line["kind"] in ("prepare", "fulfil", "get"):
            notifier = TransferNotifier(record, view, line["id"], line["trace"], context.hub_name)
            notifier.error(line["source"], ErrorInformation.of(_FAILED))
        elif line["kind"] in ("bulk-prepare", "bulk-fulfil", "bulk-get"):
            bulks = BulkNotifier(record, view, line["id"], line["trace"], context)
            bulks.error(line["source"], ErrorInformation.of(_FAILED))
        elif line["kind"] == "agreement":
            resource, subject = line["resource"], line["id"]
            told = AgreementNotifier(record, view, resource, subject, line["trace"], context.hub_name, 0)
            told.error(line["source"], ErrorInformation.of(_FAILED))
        elif record.topic == "party" and line["kind"] != "party-import":
            tell_of_failure(record, view, line, ErrorInformation.of(_FAILED), context.hub_name)
        elif line["kind"] in ("command", "party-import"):
            error = ReplyError(_FAILED.code, _FAILED.description, _FAILED.status)
            reply = ReplyMessage(correlation_id=line["correlation_id"], reply_to=line["reply_to"], error=error)
            view.emit("reply", reply.reply_to, encode(reply))

    return on_poison_record
