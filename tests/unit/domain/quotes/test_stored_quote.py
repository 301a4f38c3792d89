"""Quotes that the hub keeps (protocol 7.1, persistent mode)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clearinghub.domain.quotes.agreement import Action, Dropped, Forwarded, Message, Policy, Refused
from clearinghub.domain.quotes.stored_quote import (
    Answered,
    Kept,
    StoredAnswer,
    StoredOutcome,
    StoredQuote,
    decide_stored,
)
from tests.unit.domain.quotes.test_agreement import SCHEME

NOW_MS = 1_000_000
DAY_MS = 86_400_000
ASK = Message("quotes", Action.ASK, "q-1", "payer", "payee", "USD", expires_at_ms=NOW_MS + 60_000, hash="h1")
ANSWER = Message("quotes", Action.ANSWER, "q-1", "payee", "payer", "USD", expires_at_ms=NOW_MS + 90_000, hash="h2")
FAIL = Message("quotes", Action.FAIL, "q-1", "payee", "payer", hash="h3")
LOOK = Message("quotes", Action.LOOK, "q-1", "payer", "payee")
ASKED = StoredQuote("quotes", "q-1", "payer", "payee", "h1", NOW_MS + 60_000)
WORDS = StoredAnswer(Action.ANSWER, "h2", NOW_MS + 90_000, {"date": "d"}, b"{}")
KNOWN = replace(ASKED, answer=WORDS)


def decided(message: Message, stored: StoredQuote | None, **changes: Any) -> StoredOutcome:
    given: dict[str, Any] = {"headers": {"date": "d"}, "body": b"{}", "lifetime_ms": DAY_MS, "now_ms": NOW_MS}
    return decide_stored(message, stored, SCHEME.get, Policy("Hub"), **given | changes)


def error(outcome: StoredOutcome) -> str:
    assert isinstance(outcome, Refused)
    return f"{outcome.rejection.code} {outcome.rejection.description}"


def test_the_first_request_is_kept() -> None:
    assert Kept(ASKED) == decided(ASK, None)


@pytest.mark.parametrize(
    ("expires_at_ms", "until_ms"),
    [(None, NOW_MS + DAY_MS), (10**15, NOW_MS + DAY_MS), (NOW_MS + 1, NOW_MS + 1), (-5, NOW_MS)],
)
def test_a_life_is_neither_endless_nor_over_before_it_begins(expires_at_ms: int | None, until_ms: int) -> None:
    kept = decided(replace(ASK, expires_at_ms=expires_at_ms), None)
    assert Kept(replace(ASKED, asked_until_ms=until_ms)) == kept
    assert isinstance(kept, Kept)
    assert until_ms == kept.quote.until_ms


def test_a_request_that_is_refused_is_not_kept() -> None:
    assert "3201 Destination FSP Error - Unsupported participant 'poor'" == error(
        decided(replace(ASK, destination="poor"), None)
    )
    assert Dropped() == decided(replace(ASK, source="nobody"), None)


def test_a_repeated_request_goes_on_until_there_is_an_answer_and_then_gets_that() -> None:
    assert Forwarded() == decided(ASK, ASKED)
    assert Answered(WORDS, "payee") == decided(ASK, KNOWN)


@pytest.mark.parametrize("change", [{"hash": "other"}, {"source": "third"}, {"destination": "third"}])
@pytest.mark.parametrize("stored", [ASKED, KNOWN])
def test_a_changed_request_is_refused(change: dict[str, Any], stored: StoredQuote) -> None:
    assert "3106 Modified request - Quote q-1 is a duplicate but hashes dont match" == error(
        decided(replace(ASK, **change), stored)
    )


def test_the_first_answer_is_kept_whichever_it_is() -> None:
    assert Kept(KNOWN) == decided(ANSWER, ASKED)
    assert NOW_MS + 90_000 == KNOWN.until_ms
    refusal = StoredAnswer(Action.FAIL, "h3", NOW_MS + DAY_MS, {"date": "d"}, b"{}")
    assert Kept(replace(ASKED, answer=refusal)) == decided(FAIL, ASKED)


def test_a_repeated_answer_goes_on_and_a_changed_one_is_refused() -> None:
    assert Forwarded() == decided(ANSWER, KNOWN)
    for changed in (replace(ANSWER, hash="other"), FAIL, replace(FAIL, hash="h2")):
        assert "3106 Modified request - Update for quote q-1 is a duplicate but hashes don't match" == error(
            decided(changed, KNOWN)
        )


def test_an_answer_to_nothing_is_told_so() -> None:
    assert "3205 Quote ID not found - Provided Quote ID was not found on the server." == error(decided(ANSWER, None))
    bulk = replace(FAIL, resource="bulkQuotes")
    assert "3209 Bulk quote ID not found - Provided Quote ID was not found on the server." == error(decided(bulk, None))


def test_only_the_payee_answers_and_only_its_payer() -> None:
    assert "3100 Generic validation error - FSPIOP-Source header should match Payee FSP" == error(
        decided(replace(ANSWER, source="third"), ASKED)
    )
    assert "3100 Generic validation error - FSPIOP-Destination header should match Payer FSP" == error(
        decided(replace(ANSWER, destination="third"), ASKED)
    )


def test_a_payer_that_gives_a_quote_up_does_not_answer_it() -> None:
    given_up = replace(FAIL, source="payer", destination="payee")
    assert Forwarded() == decided(given_up, ASKED)
    assert Forwarded() == decided(given_up, KNOWN)


def test_both_sides_are_shown_the_answer() -> None:
    assert Answered(WORDS, "payee") == decided(LOOK, KNOWN)
    assert Answered(WORDS, "Hub") == decided(replace(LOOK, source="payee", destination="payer"), KNOWN)


def test_without_an_answer_the_payee_is_asked() -> None:
    assert Forwarded() == decided(LOOK, ASKED)
    assert "3100 Generic validation error - FSPIOP-Destination header should match Payee FSP" == error(
        decided(replace(LOOK, destination="third"), ASKED)
    )
    assert "3205 Quote ID not found - The quote has no answer yet" == error(
        decided(replace(LOOK, source="payee", destination="payer"), ASKED)
    )
    unreachable = replace(ASKED, payee="deaf")
    assert error(decided(replace(LOOK, destination="deaf"), unreachable)).startswith("3201 Destination FSP Error - No ")


def test_others_are_shown_nothing() -> None:
    assert "3000 Generic client error" == error(decided(replace(LOOK, source="third"), KNOWN))
    assert "3205 Quote ID not found - Provided Quote ID was not found on the server." == error(decided(LOOK, None))
    assert Dropped() == decided(replace(LOOK, source="nobody"), KNOWN)
