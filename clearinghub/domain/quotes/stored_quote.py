"""Quotes that the hub stores, if the scheme wants it, to answer repeated requests and GETs (protocol 7.1).

A quote is stored from its first request on, with its first answer, whether that is an answer or an error. A different
request or answer under the same id is refused with 3106. The row is deleted when the quote has expired and the
scheme's retention time after that is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

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
from clearinghub.rows import Row

STORED: Final = frozenset({QUOTES, BULK_QUOTES})

_UNKNOWN: Final[Mapping[str, ErrorCode]] = {
    QUOTES: ErrorCode.QUOTE_ID_NOT_FOUND,
    BULK_QUOTES: ErrorCode.BULK_QUOTE_ID_NOT_FOUND,
}


class StoredAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The whole answer of the payee's DFSP, so that it can be sent again with its signature.

    `action` is ANSWER or ERROR. `until_ms`, in milliseconds since 1970, is the answer's expiration, or the end of the
    longest life that the scheme allows a quote, whichever is earlier.
    """

    action: Action
    hash: str
    until_ms: int
    headers: Mapping[str, str]
    body: bytes


class StoredQuote(Row, frozen=True, array_like=True):
    """A quote, or a bulk quote, that was requested. `request_until_ms` is to the request what `until_ms` is to answers.

    `payer` and `payee` are the request's FSPIOP-Source and FSPIOP-Destination.
    """

    resource: str
    quote_id: str
    payer: str
    payee: str
    request_hash: str
    request_until_ms: int
    answer: StoredAnswer | None = None

    @property
    def until_ms(self) -> int:
        """When the quote expires, in milliseconds since 1970."""
        return self.request_until_ms if self.answer is None else self.answer.until_ms


@dataclass(frozen=True, slots=True)
class Stored:
    """The quote is stored as it is here, and the message goes to its receiver."""

    quote: StoredQuote


@dataclass(frozen=True, slots=True)
class Answered:
    """The stored answer goes to the message's sender, with `source` as its FSPIOP-Source.

    That is the payee, or the hub if the sender is the payee itself.
    """

    answer: StoredAnswer
    source: str


StoredOutcome: TypeAlias = Stored | Answered | Forwarded | Refused | Dropped


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
    """Return what happens with a message of a resource that is in `STORED`.

    Args:
        message: the message.
        stored: the stored quote of the message's id, or None.
        find: returns a participant by its name.
        policy: the scheme's rules.
        headers: the headers that are forwarded with the message, and stored with an answer.
        body: the message's bytes.
        lifetime_ms: the longest life of a quote, and the life of a quote without expiration.
        now_ms: the record's time, in milliseconds since 1970.
    """
    if message.action is Action.QUERY:
        return _decide_query(message, stored, find, policy)
    outcome = decide(message, find, policy)
    if not isinstance(outcome, Forwarded):
        return outcome
    until_ms = _until_ms(message, now_ms, lifetime_ms)
    if message.action is Action.REQUEST:
        return _decide_request(message, stored, until_ms)
    assert message.hash is not None, "only a GET has no body, so no hash"
    return _decide_answer(message, stored, StoredAnswer(message.action, message.hash, until_ms, headers, body))


def _until_ms(message: Message, now_ms: int, lifetime_ms: int) -> int:
    """Return the message's own expiration, but neither in the past nor beyond the longest life."""
    latest_ms = now_ms + lifetime_ms
    return latest_ms if message.expires_at_ms is None else max(now_ms, min(latest_ms, message.expires_at_ms))


def _decide_request(message: Message, stored: StoredQuote | None, until_ms: int) -> StoredOutcome:
    assert message.hash is not None, "only a GET has no body, so no hash"
    quote = StoredQuote(
        message.resource, message.subject_id, message.source, message.destination, message.hash, until_ms
    )
    if stored is None:
        return Stored(quote)
    if (stored.payer, stored.payee, stored.request_hash) != (quote.payer, quote.payee, quote.request_hash):
        detail = f"Quote {message.subject_id} is a duplicate but hashes dont match"
        return Refused(Rejection(ErrorCode.MODIFIED_REQUEST, detail))
    if stored.answer is None:
        return Forwarded()  # the payee may not have received the first request
    return Answered(stored.answer, stored.payee)


def _decide_answer(message: Message, stored: StoredQuote | None, answer: StoredAnswer) -> StoredOutcome:
    if stored is None:
        return _not_found(message)
    if message.action is Action.ERROR and (message.source, message.destination) == (stored.payer, stored.payee):
        return Forwarded()  # the payer's DFSP no longer wants the quote; that is no answer to it
    if message.source != stored.payee:
        return Refused(Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Source header should match Payee FSP"))
    if message.destination != stored.payer:
        return Refused(Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Destination header should match Payer FSP"))
    if stored.answer is None:
        return Stored(msgspec.structs.replace(stored, answer=answer))
    if (stored.answer.action, stored.answer.hash) == (answer.action, answer.hash):
        return Forwarded()
    detail = f"Update for quote {message.subject_id} is a duplicate but hashes don't match"
    return Refused(Rejection(ErrorCode.MODIFIED_REQUEST, detail))


def _decide_query(message: Message, stored: StoredQuote | None, find: Find, policy: Policy) -> StoredOutcome:
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
