"""The answers of a payee's DFSP to quotes: amounts, charges and ILP packet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.tools.client.money import units
from sandbox.dfsp.ilp import condition_of, decode_base64url, decode_packet, fulfilment_of
from sandbox.dfsp.parties import Party
from sandbox.dfsp.quoting import (
    FREE,
    Charge,
    NotAQuoteError,
    Offer,
    bulk_quote_answer,
    offer_of,
    quote_answer,
)
from sandbox.dfsp.requests import PaymentIntent, Purpose, bulk_quote_request, quote_request

SECRET = b"known to the payee alone"
UNIT = 10_000
ANN = Party("MSISDN", "447700900456", "payerbank", "Ann Abara")
SHOP = Party("BUSINESS", "Corner-Shop", "payeewallet", "Corner Shop", "Till-3", "5411")
BOTH = Charge(fee_units=3 * UNIT, commission_units=UNIT)
charges = st.builds(Charge, st.integers(0, 10**6), st.integers(0, 10**6))


def intent(amount_units: int = 100 * UNIT, **changes: Any) -> PaymentIntent:
    return PaymentIntent(ANN, SHOP, amount_units, "USD", **changes)


@pytest.mark.parametrize(
    ("amount_type", "charge", "offer"),
    [
        ("SEND", FREE, Offer(100, 100)),
        ("RECEIVE", FREE, Offer(100, 100)),
        ("SEND", Charge(fee_units=1), Offer(100, 99)),
        ("RECEIVE", Charge(fee_units=1), Offer(101, 100)),
        ("SEND", Charge(commission_units=1), Offer(99, 100)),
        ("RECEIVE", Charge(commission_units=1), Offer(99, 100)),
        ("SEND", Charge(3, 1), Offer(99, 97)),
        ("RECEIVE", Charge(3, 1), Offer(102, 100)),
    ],
)
def test_an_offer_follows_the_apis_listings(amount_type: str, charge: Charge, offer: Offer) -> None:
    assert offer == offer_of(amount_type, 100, charge)


@given(st.integers(1, 10**15), charges)
def test_a_receive_amount_is_received_in_full(amount_units: int, charge: Charge) -> None:
    try:
        assert amount_units == offer_of("RECEIVE", amount_units, charge).receive_units
    except NotAQuoteError:
        assert amount_units + charge.fee_units <= charge.commission_units


@pytest.mark.parametrize("charge", [Charge(fee_units=100), Charge(commission_units=100)])
def test_charges_that_leave_nothing_are_refused(charge: Charge) -> None:
    with pytest.raises(NotAQuoteError):
        offer_of("SEND", 100, charge)


def test_an_answer_says_what_is_charged_and_can_be_fulfilled() -> None:
    request = quote_request(intent(amount_type="RECEIVE"))

    answer = quote_answer(request, "payeewallet", SECRET, {("TRANSFER", "CONSUMER"): BOTH})

    amounts = {name: units(content["amount"]) for name, content in answer.items() if isinstance(content, dict)}
    expected = {"transferAmount": 102, "payeeReceiveAmount": 100, "payeeFspFee": 3, "payeeFspCommission": 1}
    assert {name: amount * UNIT for name, amount in expected.items()} == amounts
    assert answer["condition"] == condition_of(fulfilment_of(answer["ilpPacket"], SECRET))


def test_the_packet_says_what_the_quote_says() -> None:
    request = quote_request(intent(purpose=Purpose("PAYMENT")))
    answer = quote_answer(request, "payeewallet", SECRET, {})

    payment = decode_packet(answer["ilpPacket"])
    transaction = json.loads(decode_base64url(payment.data.decode()))

    assert (10_000, "g.payeewallet.business.corner-shop.till-3") == (payment.amount, payment.address)
    assert {name: request[name] for name in ("quoteId", "transactionId", "payer", "payee", "transactionType")} | {
        "amount": {"currency": "USD", "amount": "100"}
    } == transaction


def test_a_free_quote_mentions_no_charges() -> None:
    answer = quote_answer(quote_request(intent()), "payeewallet", SECRET, {("PAYMENT", "CONSUMER"): BOTH})

    assert {"transferAmount", "payeeReceiveAmount", "ilpPacket", "condition", "expiration"} == set(answer)


def test_each_item_of_a_bulk_has_terms_of_its_own() -> None:
    request = bulk_quote_request([intent(UNIT + index) for index in range(3)])

    results = bulk_quote_answer(request, "payeewallet", SECRET, {})["individualQuoteResults"]

    assert [quote["quoteId"] for quote in request["individualQuotes"]] == [result["quoteId"] for result in results]
    assert ["1", "1.0001", "1.0002"] == [result["transferAmount"]["amount"] for result in results]
    assert 3 == len({result["condition"] for result in results})


@pytest.mark.parametrize(
    "broken",
    [
        {"amount": None},
        {"amount": {"currency": "USD", "amount": 7}},
        {"amount": {"currency": "USD", "amount": "1.50"}},
        {"payer": None, "payee": {}},
        {"transactionType": {"scenario": "TRANSFER"}},
        {"payee": {"partyIdInfo": {"partyIdType": "EMAIL", "partyIdentifier": "zoë@example.org"}}},
    ],
)
def test_what_is_no_quote_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(NotAQuoteError):
        quote_answer(quote_request(intent()) | broken, "payeewallet", SECRET, {})


def test_a_refund_names_the_transaction_that_it_returns() -> None:
    request = quote_request(
        intent(purpose=Purpose("REFUND", "PAYER", "BUSINESS", refund_of="the-first")), "the-second", "the-request"
    )

    assert {"originalTransactionId": "the-first"} == request["transactionType"]["refundInfo"]
    assert ("the-second", "the-request") == (request["transactionId"], request["transactionRequestId"])
