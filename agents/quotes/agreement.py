"""Quotes, bulk quotes, transaction requests, transactions and authorizations: passed on, or refused (protocol 7).

All messages about one id are on one partition, so their order is kept. With `quotes=stored` quotes and bulk quotes are
kept there too, until a punctuator drops them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from agents.context import LedgerContext
from agents.notify import AgreementNotifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.quotes.agreement import Action, Dropped, Forwarded, Message, Refused, decide
from clearinghub.domain.quotes.stored_quote import STORED, Answered, Kept, StoredOutcome, decide_stored
from clearinghub.engine.record import Handler, Punctuator, PunctuatorView, Record, View
from clearinghub.messages import decode_fields
from tables.quotes import QUOTES, expires_at, quote_key

log = structlog.get_logger(__name__)

PUNCTUATE_COUNT_MAX: Final = 1_000


def make_on_agreement(context: LedgerContext) -> Handler:
    """The handler of topic `agreement`."""

    def on_agreement(record: Record, view: View) -> None:
        line, body = decode_fields(record.value)
        message = _message(line)
        outcome = _decide(context, record, view, message, line["headers"], body)
        log.debug(
            "agreement-decided",
            resource=message.resource,
            action=message.action.value,
            id=message.subject_id,
            outcome=type(outcome).__name__,
            trace=line["trace"],
        )
        notifier = AgreementNotifier(
            Turn(record, view, context, line["trace"], record.timestamp_ms),
            message.resource,
            message.subject_id,
            record.timestamp_ms + context.forward_patience_ms,
        )
        match outcome:
            case Kept(quote):
                view.put(QUOTES, quote_key(message.resource, message.subject_id), quote)
                notifier.forward(message, line["path"], line["headers"], body)
            case Forwarded():
                notifier.forward(message, line["path"], line["headers"], body)
            case Answered(answer, source):
                notifier.answer(message.source, source, answer)
            case Refused(rejection):
                notifier.error(message.source, ErrorInformation.of(rejection))
            case Dropped():
                log.info("message-of-a-stranger", source=message.source, resource=message.resource)

    return on_agreement


def make_quote_punctuator(retention_ms: int) -> Punctuator:
    """Stored quotes leave the table `retention_ms` after their expiry."""

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        for key in view.scan(QUOTES, expires_at(0), expires_at(max(0, now_ms - retention_ms)), PUNCTUATE_COUNT_MAX):
            view.delete(QUOTES, key)

    return punctuate


def _decide(
    context: LedgerContext,
    record: Record,
    view: View,
    message: Message,
    headers: Mapping[str, str],
    body: bytes,
) -> StoredOutcome:
    find, rules = context.participants.get, context.quotes
    if not rules.stored or message.resource not in STORED:
        return decide(message, find, rules.policy)
    stored = view.get(QUOTES, quote_key(message.resource, message.subject_id))
    return decide_stored(
        message,
        stored,
        find,
        rules.policy,
        headers=headers,
        body=body,
        lifetime_ms=rules.lifetime_ms,
        now_ms=record.timestamp_ms,
    )


def _message(line: Mapping[str, Any]) -> Message:
    return Message(
        line["resource"],
        Action(line["action"]),
        line["id"],
        line["source"],
        line["destination"],
        line["currency"],
        tuple(line["supported_currencies"]),
        line["payer_fsp"],
        line["payee_fsp"],
        line["expires_at_ms"],
        line["hash"],
        has_accept="accept" in line["headers"],
    )
