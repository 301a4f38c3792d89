"""Topic `agreement`: forward what DFSPs agree on before a transfer, or refuse it (protocol 7).

That is quotes, bulk quotes, transaction requests, transactions and authorizations. All messages about one id are on one
partition, so their order is kept, and an answer finds its question (ADR 42). With `quotes=stored` quotes and bulk
quotes are stored on that partition too, until a punctuator deletes them.
"""

from __future__ import annotations

from typing import Final

import structlog

from agents.answers import is_question_open, note_question, waits_for_answer
from agents.quotes.notify import AgreementNotifier
from agents.turn import Turn
from clearinghub.domain.answers import UNREQUESTED
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.quotes.agreement import Action, Dropped, Forwarded, Message, Refused, decide
from clearinghub.domain.quotes.stored_quote import STORED, Answered, Stored, StoredOutcome, decide_stored
from clearinghub.engine.record import Punctuator, PunctuatorView
from clearinghub.messages import AgreementMessage
from tables.questions import Subject
from tables.quotes import QUOTES, expires_at, quote_key

log = structlog.get_logger(__name__)

PUNCTUATE_COUNT_MAX: Final = 1_000


def on_agreement(turn: Turn, message: AgreementMessage, body: bytes) -> None:
    """Forward a DFSP's message to its receiver, answer it from the stored quote, or send the sender an error."""
    outcome = _decide(turn, message, body)
    log.debug(
        "agreement-decided",
        resource=message.resource,
        action=message.action.value,
        id=message.id,
        outcome=type(outcome).__name__,
        trace=turn.trace,
    )
    notifier = AgreementNotifier(turn, message)
    match outcome:
        case Stored(quote):
            turn.view.put(QUOTES, quote_key(message.resource, message.id), quote)
            notifier.forward(body)
        case Forwarded():
            notifier.forward(body)
        case Answered(answer, source):
            notifier.answer(source, answer)
        case Refused(rejection):
            notifier.error(ErrorInformation.of(rejection))
        case Dropped():
            log.info("message-of-a-stranger", source=message.source, resource=message.resource)


def make_quote_punctuator(retention_ms: int) -> Punctuator:
    """Return the punctuator that deletes stored quotes `retention_ms` after they have expired."""

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        for key in view.scan(QUOTES, expires_at(0), expires_at(max(0, now_ms - retention_ms)), PUNCTUATE_COUNT_MAX):
            view.delete(QUOTES, key)

    return punctuate


def _decide(turn: Turn, message: AgreementMessage, body: bytes) -> StoredOutcome:
    find, rules, read = turn.context.participants.get, turn.context.quotes, _what_is_read(message)
    if not rules.stored or message.resource not in STORED:
        outcome = decide(read, find, rules.policy)
        if not isinstance(outcome, Forwarded) or _is_welcome(turn, message):
            return outcome
        log.info("answer-unrequested", source=message.source, receiver=message.destination, resource=message.resource)
        return Refused(UNREQUESTED)
    return decide_stored(
        read,
        turn.view.get(QUOTES, quote_key(message.resource, message.id)),
        find,
        rules.policy,
        headers=message.headers,
        body=body,
        lifetime_ms=rules.lifetime_ms,
        now_ms=turn.now_ms,
    )


def _is_welcome(turn: Turn, message: AgreementMessage) -> bool:
    """Note a question, which is always welcome; return whether the receiver of an answer waits for it.

    A question may have several answers: a transaction request is received first, and accepted later.
    """
    subject, source, destination = Subject(message.resource, message.id), message.source, message.destination
    match message.action:
        case Action.REQUEST | Action.QUERY:
            note_question(turn, subject, source, (destination,))
            return True
        case Action.ANSWER:
            return is_question_open(turn, subject, destination, source)
        case Action.ERROR:
            # A requester may withdraw, but not from a DFSP that waits for an answer itself: it would take the error
            # for that answer.
            may_withdraw = not waits_for_answer(turn, subject, destination)
            is_withdrawn = may_withdraw and is_question_open(turn, subject, source, destination)
            return is_withdrawn or is_question_open(turn, subject, destination, source)


def _what_is_read(message: AgreementMessage) -> Message:
    return Message(
        message.resource,
        message.action,
        message.id,
        message.source,
        message.destination,
        message.currency,
        message.supported_currencies,
        message.payer_fsp,
        message.payee_fsp,
        message.expires_at_ms,
        message.hash,
        has_accept="accept" in message.headers,
    )
