"""Quotes that the hub keeps (protocol 7.1, persistent mode)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from clearinghub.domain.quotes.agreement import Action, Dropped, Forwarded, Message, Policy, Refused
from clearinghub.domain.quotes.stored_quote import (
    Answered,
    Stored,
    StoredAnswer,
    StoredOutcome,
    StoredQuote,
    decide_stored,
)
from tests.unit.domain.quotes.test_agreement import SCHEME

NOW_MS = 1_000_000
DAY_MS = 86_400_000
REQUEST = Message("quotes", Action.REQUEST, "q-1", "payer", "payee", "USD", expires_at_ms=NOW_MS + 60_000, hash="h1")
ANSWER = Message("quotes", Action.ANSWER, "q-1", "payee", "payer", "USD", expires_at_ms=NOW_MS + 90_000, hash="h2")
ERROR = Message("quotes", Action.ERROR, "q-1", "payee", "payer", hash="h3")
QUERY = Message("quotes", Action.QUERY, "q-1", "payer", "payee")
REQUESTED = StoredQuote("quotes", "q-1", "payer", "payee", "h1", NOW_MS + 60_000)
WORDS = StoredAnswer(Action.ANSWER, "h2", NOW_MS + 90_000, {"date": "d"}, b"{}")
ANSWERED = structs.replace(REQUESTED, answer=WORDS)


def decided(message: Message, stored: StoredQuote | None, **changes: Any) -> StoredOutcome:
    given: dict[str, Any] = {"headers": {"date": "d"}, "body": b"{}", "lifetime_ms": DAY_MS, "now_ms": NOW_MS}
    return decide_stored(message, stored, SCHEME.get, Policy("Hub"), **given | changes)


def error(outcome: StoredOutcome) -> str:
    assert isinstance(outcome, Refused)
    return f"{outcome.rejection.code} {outcome.rejection.description}"


def test_the_first_request_is_kept() -> None:
    assert Stored(REQUESTED) == decided(REQUEST, None)


@pytest.mark.parametrize(
    ("expires_at_ms", "until_ms"),
    [(None, NOW_MS + DAY_MS), (10**15, NOW_MS + DAY_MS), (NOW_MS + 1, NOW_MS + 1), (-5, NOW_MS)],
)
def test_a_life_is_neither_endless_nor_over_before_it_begins(expires_at_ms: int | None, until_ms: int) -> None:
    kept = decided(replace(REQUEST, expires_at_ms=expires_at_ms), None)
    assert Stored(structs.replace(REQUESTED, request_until_ms=until_ms)) == kept
    assert isinstance(kept, Stored)
    assert until_ms == kept.quote.until_ms


def test_a_request_that_is_refused_is_not_kept() -> None:
    assert "3201 Destination FSP Error - Unsupported participant 'poor'" == error(
        decided(replace(REQUEST, destination="poor"), None)
    )
    assert Dropped() == decided(replace(REQUEST, source="nobody"), None)


def test_a_repeated_request_goes_on_until_there_is_an_answer_and_then_gets_that() -> None:
    assert Forwarded() == decided(REQUEST, REQUESTED)
    assert Answered(WORDS, "payee") == decided(REQUEST, ANSWERED)


@pytest.mark.parametrize("change", [{"hash": "other"}, {"source": "third"}, {"destination": "third"}])
@pytest.mark.parametrize("stored", [REQUESTED, ANSWERED])
def test_a_changed_request_is_refused(change: dict[str, Any], stored: StoredQuote) -> None:
    assert "3106 Modified request - Quote q-1 is a duplicate but hashes dont match" == error(
        decided(replace(REQUEST, **change), stored)
    )


def test_the_first_answer_is_kept_whichever_it_is() -> None:
    assert Stored(ANSWERED) == decided(ANSWER, REQUESTED)
    assert NOW_MS + 90_000 == ANSWERED.until_ms
    refusal = StoredAnswer(Action.ERROR, "h3", NOW_MS + DAY_MS, {"date": "d"}, b"{}")
    assert Stored(structs.replace(REQUESTED, answer=refusal)) == decided(ERROR, REQUESTED)


def test_a_repeated_answer_goes_on_and_a_changed_one_is_refused() -> None:
    assert Forwarded() == decided(ANSWER, ANSWERED)
    for changed in (replace(ANSWER, hash="other"), ERROR, replace(ERROR, hash="h2")):
        assert "3106 Modified request - Update for quote q-1 is a duplicate but hashes don't match" == error(
            decided(changed, ANSWERED)
        )


def test_an_answer_to_no_request_is_refused() -> None:
    assert "3205 Quote ID not found - Provided Quote ID was not found on the server." == error(decided(ANSWER, None))
    bulk = replace(ERROR, resource="bulkQuotes")
    assert "3209 Bulk quote ID not found - Provided Quote ID was not found on the server." == error(decided(bulk, None))


def test_only_the_payee_answers_and_only_its_payer() -> None:
    assert "3100 Generic validation error - FSPIOP-Source header should match Payee FSP" == error(
        decided(replace(ANSWER, source="third"), REQUESTED)
    )
    assert "3100 Generic validation error - FSPIOP-Destination header should match Payer FSP" == error(
        decided(replace(ANSWER, destination="third"), REQUESTED)
    )


def test_a_payer_that_no_longer_wants_a_quote_does_not_answer_it() -> None:
    given_up = replace(ERROR, source="payer", destination="payee")
    assert Forwarded() == decided(given_up, REQUESTED)
    assert Forwarded() == decided(given_up, ANSWERED)


def test_both_sides_are_shown_the_answer() -> None:
    assert Answered(WORDS, "payee") == decided(QUERY, ANSWERED)
    assert Answered(WORDS, "Hub") == decided(replace(QUERY, source="payee", destination="payer"), ANSWERED)


def test_without_an_answer_the_query_goes_to_the_payee() -> None:
    assert Forwarded() == decided(QUERY, REQUESTED)
    assert "3100 Generic validation error - FSPIOP-Destination header should match Payee FSP" == error(
        decided(replace(QUERY, destination="third"), REQUESTED)
    )
    assert "3205 Quote ID not found - The quote has no answer yet" == error(
        decided(replace(QUERY, source="payee", destination="payer"), REQUESTED)
    )
    unreachable = structs.replace(REQUESTED, payee="deaf")
    assert error(decided(replace(QUERY, destination="deaf"), unreachable)).startswith(
        "3201 Destination FSP Error - No "
    )


def test_others_are_shown_nothing() -> None:
    assert "3000 Generic client error" == error(decided(replace(QUERY, source="third"), ANSWERED))
    assert "3205 Quote ID not found - Provided Quote ID was not found on the server." == error(decided(QUERY, None))
    assert Dropped() == decided(replace(QUERY, source="nobody"), ANSWERED)
