"""Quotes that the hub stores, if the scheme wants it, to answer repeated requests and GETs (protocol 7.1).

A quote is kept from its first request on, with its first answer, whichever it is; whoever says something else under the
same id is told 3106. It stays until it has expired and the scheme's time behind that is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.quotes.agreement import (
    BULK_QUOTES,
    QUOTES,
    Action,
    Dropped,
    Find,
    Forwarded,
    Message,
    Policy,
    Refused,
    decide,
    is_stranger,
    missing_endpoint,
)

STORED: Final = frozenset({QUOTES, BULK_QUOTES})

_UNKNOWN: Final[Mapping[str, ErrorCode]] = {
    QUOTES: ErrorCode.QUOTE_ID_NOT_FOUND,
    BULK_QUOTES: ErrorCode.BULK_QUOTE_ID_NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the payee's DFSP has answered, whole, so that it can be sent again with its signature."""

    action: Action  # ANSWER or FAIL
    hash: str
    until_ms: int  # its expiration, or the end of the longest life that the scheme allows
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredQuote:
    """A quote, or a bulk quote, that was asked for. Times in milliseconds since 1970."""

    resource: str
    quote_id: str
    payer: str  # FSPIOP-Source of the request
    payee: str  # FSPIOP-Destination of the request
    request_hash: str
    asked_until_ms: int  # as `StoredAnswer.until_ms`, by the request
    answer: StoredAnswer | None = None

    @property
    def until_ms(self) -> int:
        """When it expires."""
        return self.asked_until_ms if self.answer is None else self.answer.until_ms


@dataclass(frozen=True, slots=True)
class Kept:
    """Store the quote as it is now, and pass the message on."""

    quote: StoredQuote


@dataclass(frozen=True, slots=True)
class Answered:
    """Send the stored answer to whoever asked: as the payee's own words, or, to the payee itself, as the hub's."""

    answer: StoredAnswer
    source: str


StoredOutcome: TypeAlias = Kept | Answered | Forwarded | Refused | Dropped


def decide_stored(
    message: Message,
    stored: StoredQuote | None,
    find: Find,
    policy: Policy,
    *,
    headers: Mapping[str, str],
    body: bytes,
    lifetime_ms: int,
    now_ms: int,
) -> StoredOutcome:
    """What becomes of a message of `STORED`.

    Args:
        message: the message.
        stored: the quote of its id, or None.
        find: the participants.
        policy: the scheme's.
        headers: what goes on with the message, and is kept with an answer.
        body: the message's bytes.
        lifetime_ms: the longest life of a quote, and that of one without expiration.
        now_ms: the record's time.
    """
    if message.action is Action.LOOK:
        return _decide_look(message, stored, find, policy)
    outcome = decide(message, find, policy)
    if not isinstance(outcome, Forwarded):
        return outcome
    until_ms = _until_ms(message, now_ms, lifetime_ms)
    if message.action is Action.ASK:
        return _decide_ask(message, stored, until_ms)
    assert message.hash is not None  # whatever has a body has one
    return _decide_answer(message, stored, StoredAnswer(message.action, message.hash, until_ms, headers, body))


def _until_ms(message: Message, now_ms: int, lifetime_ms: int) -> int:
    """The message's own expiration, but neither in the past nor beyond the longest life."""
    latest_ms = now_ms + lifetime_ms
    return latest_ms if message.expires_at_ms is None else max(now_ms, min(latest_ms, message.expires_at_ms))


def _decide_ask(message: Message, stored: StoredQuote | None, until_ms: int) -> StoredOutcome:
    assert message.hash is not None
    asked = StoredQuote(
        message.resource, message.subject_id, message.source, message.destination, message.hash, until_ms
    )
    if stored is None:
        return Kept(asked)
    if (stored.payer, stored.payee, stored.request_hash) != (asked.payer, asked.payee, asked.request_hash):
        detail = f"Quote {message.subject_id} is a duplicate but hashes dont match"
        return Refused(Rejection(ErrorCode.MODIFIED_REQUEST, detail))
    if stored.answer is None:
        return Forwarded()  # the payee may not have got it
    return Answered(stored.answer, stored.payee)


def _decide_answer(message: Message, stored: StoredQuote | None, answer: StoredAnswer) -> StoredOutcome:
    if stored is None:
        return _not_found(message)
    if message.action is Action.FAIL and (message.source, message.destination) == (stored.payer, stored.payee):
        return Forwarded()  # the payer's side gives the quote up; that is no answer to it
    if message.source != stored.payee:
        return Refused(Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Source header should match Payee FSP"))
    if message.destination != stored.payer:
        return Refused(Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Destination header should match Payer FSP"))
    if stored.answer is None:
        return Kept(replace(stored, answer=answer))
    if (stored.answer.action, stored.answer.hash) == (answer.action, answer.hash):
        return Forwarded()
    detail = f"Update for quote {message.subject_id} is a duplicate but hashes don't match"
    return Refused(Rejection(ErrorCode.MODIFIED_REQUEST, detail))


def _decide_look(message: Message, stored: StoredQuote | None, find: Find, policy: Policy) -> StoredOutcome:
    if is_stranger(message, find, policy):
        return Dropped()
    if stored is None:
        return _not_found(message)
    if message.source not in (stored.payer, stored.payee):
        return Refused(Rejection(ErrorCode.CLIENT_ERROR))
    if stored.answer is not None:
        return Answered(stored.answer, stored.payee if message.source == stored.payer else policy.hub_name)
    if message.source == stored.payee:
        return _not_found(message, "The quote has no answer yet")
    if message.destination != stored.payee:
        return Refused(Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Destination header should match Payee FSP"))
    rejection = missing_endpoint(message, find)
    return Forwarded() if rejection is None else Refused(rejection)


def _not_found(message: Message, detail: str = "Provided Quote ID was not found on the server.") -> Refused:
    return Refused(Rejection(_UNKNOWN[message.resource], detail))
