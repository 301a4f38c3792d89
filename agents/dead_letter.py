"""How the sender of a poison record is notified: with error 2001; the record itself is dead-lettered (design 4)."""

from __future__ import annotations

import structlog

from agents.bulk.notify import BulkNotifier
from agents.context import LedgerContext
from agents.notify import TransferNotifier
from agents.parties.notify import notify_of_failure
from agents.posting import emit_reply
from agents.quotes.notify import AgreementNotifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import MalformedMessageError, decode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkPrepareMessage
from clearinghub.messages.commands import CommandMessage
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
            log.exception("record-dead-lettered", topic=record.topic)  # and nobody knows who sent it
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
            case CommandMessage() | PartyImportMessage():
                emit_reply(view, message, _FAILED)
            case _:
                pass  # written by the ledger itself: no sender waits for anything

    return on_poison_record
