"""What becomes of quotes and of what is relayed beside them (protocol 7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.quotes.agreement import ENDPOINTS, Action, Dropped, Forwarded, Message, Policy, Refused, decide

POLICY = Policy("Hub")
QUOTE = Message("quotes", Action.REQUEST, "q-1", "payer", "payee", "USD", payer_fsp="payer", payee_fsp="payee")
ANSWER = Message("quotes", Action.ANSWER, "q-1", "payee", "payer", "USD")
BULK = replace(QUOTE, resource="bulkQuotes")


def dfsp(name: str, *currencies: str, active: bool = True, closed: tuple[str, ...] = ()) -> Participant:
    """A participant with a POSITION account of each currency, those of `closed` inactive, and all endpoints."""
    accounts = tuple(
        Account(number, currency, "POSITION", currency not in closed, 0)
        for number, currency in enumerate(currencies, start=1)
    )
    endpoints = dict.fromkeys(ENDPOINTS.values(), f"http://{name}")
    return Participant(1, name, active, 0, accounts=accounts, endpoints=endpoints)


SCHEME = {
    one.name: one
    for one in (
        dfsp("payer", "USD"),
        dfsp("payee", "USD"),
        dfsp("third", "USD"),
        dfsp("poor"),
        dfsp("sleeping", "USD", active=False),
        dfsp("closed", "USD", closed=("USD",)),
        Participant(9, "deaf", active=True, created_at_ms=0, accounts=(Account(1, "USD", "POSITION", True, 0),)),
        Participant(0, "Hub", active=True, created_at_ms=0),
    )
}


def outcome(message: Message, policy: Policy = POLICY) -> str:
    """The verdict in a word: `forwarded`, `dropped`, or the error."""
    match decide(message, SCHEME.get, policy):
        case Forwarded():
            return "forwarded"
        case Dropped():
            return "dropped"
        case Refused(rejection):
            return f"{rejection.code} {rejection.description}"


UNSUPPORTED_PAYEE = "3201 Destination FSP Error - Unsupported participant '{}'"
UNSUPPORTED_PAYER = "3202 Payer FSP ID not found - Unsupported participant '{}'"


@pytest.mark.parametrize("name", ["nobody", "poor", "sleeping", "closed"])
def test_a_quote_needs_an_active_payee_that_can_hold_the_currency(name: str) -> None:
    assert UNSUPPORTED_PAYEE.format(name) == outcome(replace(QUOTE, destination=name, payee_fsp=name))


def test_a_quote_in_another_currency_is_refused() -> None:
    assert UNSUPPORTED_PAYEE.format("payee") == outcome(replace(QUOTE, currency="EUR"))


def test_the_payer_of_a_quote_is_not_judged_by_its_accounts() -> None:
    for name in ("poor", "sleeping", "closed"):
        assert "forwarded" == outcome(replace(QUOTE, source=name, payer_fsp=name))


def test_with_supported_currencies_the_payer_must_hold_all_and_the_payee_none() -> None:
    converting = replace(QUOTE, destination="poor", payee_fsp=None, supported_currencies=("USD",))
    assert "forwarded" == outcome(converting)
    assert UNSUPPORTED_PAYER.format("payer") == outcome(replace(converting, supported_currencies=("USD", "EUR")))


def test_other_fsps_in_the_body_must_be_able_to_take_part() -> None:
    assert "forwarded" == outcome(replace(QUOTE, payer_fsp="third", payee_fsp="third"))
    assert UNSUPPORTED_PAYER.format("poor") == outcome(replace(QUOTE, payer_fsp="poor"))
    assert UNSUPPORTED_PAYEE.format("nobody") == outcome(replace(QUOTE, payee_fsp="nobody"))
    assert "forwarded" == outcome(replace(QUOTE, payer_fsp=None, payee_fsp=None))


@pytest.mark.parametrize("message", [QUOTE, BULK])
def test_a_scheme_may_want_header_and_body_to_agree(message: Message) -> None:
    strict = Policy("Hub", parties_must_match=True)
    assert "forwarded" == outcome(message, strict)
    assert "3100 Generic validation error - FSPIOP-Source header should match Payer FSP" == outcome(
        replace(message, payer_fsp="third"), strict
    )
    assert "3100 Generic validation error - FSPIOP-Destination header should match Payee FSP" == outcome(
        replace(message, payee_fsp="third"), strict
    )
    assert "forwarded" == outcome(replace(message, payer_fsp=None, payee_fsp=None), strict)


def test_an_answer_needs_a_payee_that_can_hold_the_currency_and_no_accept() -> None:
    assert "forwarded" == outcome(ANSWER)
    assert UNSUPPORTED_PAYEE.format("poor") == outcome(replace(ANSWER, source="poor"))
    assert (
        '3100 Generic validation error - Update for quote q-1 failed: "accept" header should not be sent in callbacks.'
    ) == outcome(replace(ANSWER, has_accept=True))


def test_a_bulk_quote_needs_both() -> None:
    assert "forwarded" == outcome(BULK)
    assert UNSUPPORTED_PAYER.format("poor") == outcome(replace(BULK, source="poor"))
    assert UNSUPPORTED_PAYEE.format("poor") == outcome(replace(BULK, destination="poor"))
    assert "forwarded" == outcome(replace(BULK, action=Action.ANSWER, currency=None, has_accept=True))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (QUOTE, "No FSPIOP_CALLBACK_URL_QUOTES found for quote q-1 PAYEE party deaf"),
        (
            replace(QUOTE, action=Action.QUERY, currency=None),
            "No FSPIOP_CALLBACK_URL_QUOTES found for quote q-1 PAYEE party deaf",
        ),
        (
            replace(QUOTE, action=Action.ERROR, currency=None),
            "No FSPIOP_CALLBACK_URL_QUOTES found for quote q-1 PAYER party deaf",
        ),
        (BULK, "No FSPIOP_CALLBACK_URL_BULK_QUOTES found for bulk quote q-1 PAYEE party deaf"),
        (
            replace(QUOTE, resource="transactionRequests"),
            "No FSPIOP_CALLBACK_URL_TRX_REQ_SERVICE endpoint found for transactionRequest q-1 for deaf",
        ),
        (
            replace(QUOTE, resource="transactions", action=Action.QUERY),
            "No FSPIOP_CALLBACK_URL_TRX_REQ_SERVICE endpoint found for transaction q-1 for deaf",
        ),
        (
            replace(QUOTE, resource="authorizations", action=Action.QUERY),
            "No FSPIOP_CALLBACK_URL_AUTHORIZATIONS endpoint found for authorization q-1 for deaf",
        ),
    ],
)
def test_who_cannot_be_reached_is_named(message: Message, text: str) -> None:
    deaf = replace(message, destination="deaf", payee_fsp=None)
    assert f"3201 {f'Destination FSP Error - {text}'[:128]}" == outcome(deaf)


@pytest.mark.parametrize("resource", ENDPOINTS)
@pytest.mark.parametrize("action", Action)
def test_what_nobody_of_the_scheme_says_goes_nowhere(resource: str, action: Action) -> None:
    message = replace(QUOTE, resource=resource, action=action)
    assert "forwarded" == outcome(message)
    assert "dropped" == outcome(replace(message, source="nobody"))
    assert "dropped" == outcome(replace(message, source="Hub"))


@pytest.mark.parametrize("resource", ["transactionRequests", "transactions", "authorizations"])
def test_a_relay_asks_for_nothing_but_an_endpoint(resource: str) -> None:
    message = Message(resource, Action.ANSWER, "t-1", "sleeping", "closed")
    assert "forwarded" == outcome(message)
    assert outcome(replace(message, destination="nobody")).startswith("3201 Destination FSP Error - No ")
