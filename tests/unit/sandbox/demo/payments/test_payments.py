"""The demo's checks of whole payments: their hops, the terms, the items of bulks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from clearinghub.domain.money import format_amount
from sandbox.demo.payments.actors import bulk_intents, intent_of, make_actors
from sandbox.demo.payments.content_checks import (
    bulk_request_problems,
    bulk_result_problems,
    party_problems,
    quote_problems,
)
from sandbox.demo.payments.deals import BULK_ITEMS, DEALS, TARIFF, PaymentKind, bulk_deal
from sandbox.demo.payments.exchange import Exchange, HopLog, Request, Step, exchange_of
from sandbox.demo.payments.payment_result import PaymentResult
from sandbox.dfsp.ilp import encode_base64url
from sandbox.dfsp.messages import Direction, Hop, Message
from sandbox.dfsp.quoting import offer_of, quote_answer
from sandbox.dfsp.requests import quote_request
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp

ACTORS = make_actors(("ada", "bea", "cyd"), "00c0de")
QUOTE = Request("quotes", "ada", "bea", "Hub")
BULK = Request("bulkTransfers", "ada", "bea", "Hub")
TO, FROM = Direction.TO_HUB, Direction.FROM_HUB


def hop_at(at_ms: int, dfsp: str, direction: Direction, message: Message | None) -> Hop:
    return Hop(dfsp, direction, "id", "text", at_ms * 1_000_000, message=message)


def hops_of(request: Request = QUOTE, **changed: Any) -> list[Hop]:
    """Return the hops of a right exchange, 5 ms there, 7 ms back; `changed` are fields such as `returned_body`."""
    by_hub = request.resource == "bulkTransfers"
    sender, answerer = (request.hub, request.hub) if by_hub else (request.requester, request.answerer)
    there = {"fspiop-source": sender, "fspiop-destination": request.answerer, "accept": "any"}
    back = {"fspiop-source": answerer, "fspiop-destination": request.requester}
    messages = {
        "sent": Message("POST", f"/{request.resource}", {"fspiop-source": request.requester}, b"question"),
        "forwarded": Message("POST", f"/{request.resource}", there, b"question"),
        "answered": Message("PUT", f"/{request.resource}/id", {}, b"answer"),
        "returned": Message("PUT", f"/{request.resource}/id", back, b"answer"),
    }
    for name, value in changed.items():
        which, _, field = name.partition("_")
        messages[which] = replace(messages[which], **{field: value})
    return [
        hop_at(1, request.requester, TO, messages["sent"]),
        hop_at(2, request.requester, FROM, None),
        hop_at(6, request.answerer, FROM, messages["forwarded"]),
        hop_at(8, request.answerer, TO, messages["answered"]),
        hop_at(15, request.requester, FROM, messages["returned"]),
    ]


def test_an_exchange_has_its_times() -> None:
    exchange, problems = exchange_of(hops_of(), QUOTE)

    assert [] == problems
    assert exchange is not None
    assert (Step.QUOTE, 5.0, 7.0) == (exchange.step, exchange.forward_ms, exchange.return_ms)


def test_the_hub_sends_messages_of_its_own_about_bulks() -> None:
    assert [] == exchange_of(hops_of(BULK, forwarded_body=b"of the hub", returned_body=b"of the hub"), BULK)[1]


def test_a_dfsp_may_send_to_itself() -> None:
    request = replace(QUOTE, answerer="ada")

    exchange, problems = exchange_of(hops_of(request), request)

    assert [] == problems
    assert exchange is not None
    assert (5.0, 7.0) == (exchange.forward_ms, exchange.return_ms)


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        (0, "not sent"),
        (2, "not forwarded"),
        (3, "not answered"),
        (4, "the answer was not forwarded"),
    ],
)
def test_a_missing_hop_is_reported(missing: int, problem: str) -> None:
    hops = [hop for number, hop in enumerate(hops_of()) if number != missing]

    assert (None, [f"quote: {problem}"]) == exchange_of(hops, QUOTE)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"forwarded_body": b"other"}, "not forwarded byte by byte"),
        ({"returned_body": b"other"}, "the answer was not forwarded byte by byte"),
        (
            {"forwarded_headers": {"fspiop-source": "eve", "fspiop-destination": "bea"}},
            "request from eve to bea, not from ada to bea",
        ),
        (
            {"returned_headers": {"fspiop-source": "bea", "fspiop-destination": "ada", "accept": "any"}},
            "the callback has Accept",
        ),
        ({"returned_headers": {}}, "answer from None to None, not from bea to ada"),
    ],
)
def test_a_wrong_hop_is_reported(changed: dict[str, Any], problem: str) -> None:
    assert [f"quote: {problem}"] == exchange_of(hops_of(**changed), QUOTE)[1]


def test_the_log_returns_hops_since_a_time() -> None:
    log = HopLog()
    for hop in hops_of():
        log.observe(hop)

    assert (5, 2, 0) == (len(log.of("id")), len(log.of("id", 8_000_000)), len(log.of("other")))
    assert 2 == log.callbacks


def test_a_payments_time_is_from_its_first_request_to_its_last_callback() -> None:
    steps = [Exchange(Step.LOOKUP, 1_000_000, 0, 0, 9_000_000), Exchange(Step.QUOTE, 11_000_000, 0, 0, 31_000_000)]

    assert 30.0 == PaymentResult(PaymentKind.P2P_SEND, steps).whole_ms


@pytest.mark.parametrize("kind", [kind for kind in PaymentKind if kind is not PaymentKind.BULK])
def test_every_deal_follows_the_tariff(kind: PaymentKind) -> None:
    deal, intent = DEALS[kind], intent_of(kind, ACTORS, "XTS")
    request = quote_request(intent)

    answer = quote_answer(request, intent.payee.fsp, b"secret", TARIFF)

    assert [] == quote_problems(answer, request, intent, deal)
    charge_units = deal.fee_units - deal.commission_units
    assert deal.pays_units == deal.gets_units + charge_units
    assert deal.requested_units == (deal.pays_units if deal.amount_type == "SEND" else deal.gets_units)


def test_a_bulks_items_differ_and_have_a_deal_each() -> None:
    deals = [bulk_deal(index) for index in range(BULK_ITEMS)]
    intents = bulk_intents(ACTORS, "XTS")

    assert BULK_ITEMS == len({deal.pays_units for deal in deals}) == len({intent.payee.path for intent in intents})
    for deal, intent in zip(deals, intents, strict=True):
        charge = TARIFF[intent.purpose.scenario, intent.purpose.initiator_type]
        offer = offer_of(intent.amount_type, intent.amount_units, charge)
        assert (deal.pays_units, deal.gets_units) == (offer.transfer_units, offer.receive_units)


def answer_and_request() -> tuple[dict[str, Any], dict[str, Any]]:
    intent = intent_of(PaymentKind.P2P_RECEIVE, ACTORS, "XTS")
    request = quote_request(intent)
    return quote_answer(request, intent.payee.fsp, b"secret", TARIFF), request


def quoted(answer: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    kind = PaymentKind.P2P_RECEIVE
    return quote_problems(answer, request, intent_of(kind, ACTORS, "XTS"), DEALS[kind])


@pytest.mark.parametrize(
    ("name", "units"),
    [("transferAmount", 1_000_000), ("payeeReceiveAmount", 1_010_000), ("payeeFspFee", 1), ("payeeFspCommission", 1)],
)
def test_wrong_terms_are_reported(name: str, units: int) -> None:
    answer, request = answer_and_request()

    [problem] = quoted(answer | {name: {"currency": "XTS", "amount": format_amount(units)}}, request)

    assert problem.startswith(f"quote: {name} is ")


def test_another_quotes_packet_is_reported() -> None:
    answer, request = answer_and_request()
    other, _ = answer_and_request()

    [problem] = quoted(answer | {"ilpPacket": other["ilpPacket"]}, request)

    assert problem.startswith("quote: the packet's transaction is ")


@pytest.mark.parametrize("packet", ["", "no packet!", encode_base64url(b"\x01\x00")])
def test_a_packet_that_cannot_be_read_is_reported(packet: str) -> None:
    answer, request = answer_and_request()

    [problem] = quoted(answer | {"ilpPacket": packet}, request)

    assert problem.startswith("quote: the packet cannot be read")


@pytest.mark.parametrize("condition", [None, "", "AAAA", "!" * 43])
def test_what_is_no_condition_is_reported(condition: object) -> None:
    answer, request = answer_and_request()

    assert [f"quote: {condition!r} is no condition"] == quoted(answer | {"condition": condition}, request)


def test_another_party_is_reported() -> None:
    intent = intent_of(PaymentKind.MERCHANT, ACTORS, "XTS")

    assert [] == party_problems({"party": ACTORS.shop.described}, intent)
    assert [] == party_problems({"party": ACTORS.ann.described}, intent, is_payer=True)
    assert ["lookup: BUSINESS/corner-shop-00c0de/till-3 is None"] == party_problems({}, intent)
    assert 1 == len(party_problems({"party": ACTORS.ben.described}, intent))


class Bulk:
    """A bulk of three items, with the messages of a hub that is right."""

    def __init__(self) -> None:
        payer, self.payee = SimulatedDfsp("ada", "http://nowhere"), SimulatedDfsp("bea", "http://nowhere")
        self.orders = [payer.order(self.payee, 10_000 + index, "XTS") for index in range(3)]

    @property
    def forwarded(self) -> dict[str, Any]:
        return {
            "individualTransfers": [
                {
                    "transferId": order.transfer_id,
                    "transferAmount": {"currency": "XTS", "amount": format_amount(order.amount_units)},
                    "ilpPacket": order.terms.ilp_packet,
                    "condition": order.terms.condition,
                }
                for order in self.orders
            ]
        }

    @property
    def results(self) -> dict[str, Any]:
        results = [
            {"transferId": order.transfer_id, "fulfilment": self.payee.fulfilment_of(order.terms.ilp_packet)}
            for order in self.orders
        ]
        return {"bulkTransferState": "COMPLETED", "individualTransferResults": results}


def test_a_right_bulk_is_right() -> None:
    bulk = Bulk()

    assert [] == bulk_request_problems(bulk.forwarded, bulk.orders)
    assert [] == bulk_result_problems(bulk.results, bulk.orders, "ada")


@pytest.mark.parametrize("changed", [{"condition": "other"}, {"transferAmount": {"currency": "XTS", "amount": "2"}}])
def test_a_changed_item_is_reported(changed: dict[str, Any]) -> None:
    bulk = Bulk()
    forwarded = bulk.forwarded
    forwarded["individualTransfers"][1] |= changed

    assert ["transfer: the payee got 3 items, or others than were sent"] == bulk_request_problems(
        forwarded, bulk.orders
    )


def test_a_lost_item_is_reported() -> None:
    bulk = Bulk()
    results = bulk.results | {"individualTransferResults": bulk.results["individualTransferResults"][1:]}

    assert ["transfer: ada got results of 2 items, or of others than were sent"] == bulk_result_problems(
        results, bulk.orders, "ada"
    )


def test_an_item_that_is_not_fulfilled_is_reported() -> None:
    bulk = Bulk()
    results = bulk.results
    results["individualTransferResults"][2] = {
        "transferId": bulk.orders[2].transfer_id,
        "errorInformation": {"errorCode": "5105"},
    }

    assert [f"transfer: ada got no fulfilment that fits item {bulk.orders[2].transfer_id}"] == bulk_result_problems(
        results, bulk.orders, "ada"
    )


@pytest.mark.parametrize("result", [{}, {"bulkTransferState": "PROCESSING", "individualTransferResults": None}])
def test_a_bulk_that_has_not_ended_is_reported(result: dict[str, Any]) -> None:
    problems = bulk_result_problems(result, Bulk().orders, "ada")

    assert [f"transfer: ada got {result}", "transfer: ada got results of 0 items, or of others than were sent"] == (
        problems
    )
