"""The demo's verdict on whole payments: their hops, the terms, the lines of bulks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from clearinghub.domain.money import format_amount
from sandbox.callback import Direction, Hop, Message
from sandbox.demo.payments.cast import bulk_wishes, make_cast, wish_of
from sandbox.demo.payments.check import (
    bulk_request_problems,
    bulk_result_problems,
    party_problems,
    quote_problems,
)
from sandbox.demo.payments.exchange import Asked, Exchange, HopLog, Step, exchange_of
from sandbox.demo.payments.kinds import BULK_LINES, DEALS, TARIFF, PaymentKind, bulk_deal
from sandbox.demo.payments.payment import Payment
from sandbox.dfsp import SimulatedDfsp
from sandbox.ilp import encode_base64url
from sandbox.quoting import offer_of, quote_answer
from sandbox.requests import quote_request

CAST = make_cast(("ada", "bea", "cyd"), "00c0de")
QUOTE = Asked("quotes", "ada", "bea", "Hub")
BULK = Asked("bulkTransfers", "ada", "bea", "Hub")
TO, FROM = Direction.TO_HUB, Direction.FROM_HUB


def a_hop(at_ms: int, dfsp: str, direction: Direction, message: Message | None) -> Hop:
    return Hop(dfsp, direction, "id", "text", at_ms * 1_000_000, message=message)


def hops_of(asked: Asked = QUOTE, **changed: Any) -> list[Hop]:
    """A right exchange of 5 ms there and 7 ms back; `changed` are fields of the messages, like `told_body`."""
    by_hub = asked.resource == "bulkTransfers"
    asker, answerer = (asked.hub, asked.hub) if by_hub else (asked.asker, asked.answerer)
    there = {"fspiop-source": asker, "fspiop-destination": asked.answerer, "accept": "any"}
    back = {"fspiop-source": answerer, "fspiop-destination": asked.asker}
    messages = {
        "sent": Message("POST", f"/{asked.resource}", {"fspiop-source": asked.asker}, b"question"),
        "forwarded": Message("POST", f"/{asked.resource}", there, b"question"),
        "answered": Message("PUT", f"/{asked.resource}/id", {}, b"answer"),
        "told": Message("PUT", f"/{asked.resource}/id", back, b"answer"),
    }
    for name, value in changed.items():
        which, _, field = name.partition("_")
        messages[which] = replace(messages[which], **{field: value})
    return [
        a_hop(1, asked.asker, TO, messages["sent"]),
        a_hop(2, asked.asker, FROM, None),
        a_hop(6, asked.answerer, FROM, messages["forwarded"]),
        a_hop(8, asked.answerer, TO, messages["answered"]),
        a_hop(15, asked.asker, FROM, messages["told"]),
    ]


def test_an_exchange_has_its_shares() -> None:
    exchange, problems = exchange_of(hops_of(), QUOTE)

    assert [] == problems
    assert exchange is not None
    assert (Step.QUOTE, 5.0, 7.0) == (exchange.step, exchange.there_ms, exchange.back_ms)


def test_a_hub_writes_its_own_messages_about_bulks() -> None:
    assert [] == exchange_of(hops_of(BULK, forwarded_body=b"of the hub", told_body=b"of the hub"), BULK)[1]


def test_a_dfsp_may_ask_itself() -> None:
    asked = replace(QUOTE, answerer="ada")

    exchange, problems = exchange_of(hops_of(asked), asked)

    assert [] == problems
    assert exchange is not None
    assert (5.0, 7.0) == (exchange.there_ms, exchange.back_ms)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (0, "not sent"),
        (2, "not forwarded"),
        (3, "not answered"),
        (4, "the answer was not passed on"),
    ],
)
def test_a_missing_hop_is_told(missing: int, told: str) -> None:
    hops = [hop for number, hop in enumerate(hops_of()) if number != missing]

    assert (None, [f"quote: {told}"]) == exchange_of(hops, QUOTE)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"forwarded_body": b"other"}, "not forwarded byte by byte"),
        ({"told_body": b"other"}, "the answer was not passed on byte by byte"),
        (
            {"forwarded_headers": {"fspiop-source": "eve", "fspiop-destination": "bea"}},
            "forwarded from eve to bea, not from ada to bea",
        ),
        (
            {"told_headers": {"fspiop-source": "bea", "fspiop-destination": "ada", "accept": "any"}},
            "the callback has Accept",
        ),
        ({"told_headers": {}}, "told from None to None, not from bea to ada"),
    ],
)
def test_a_wrong_hop_is_told(changed: dict[str, Any], told: str) -> None:
    assert [f"quote: {told}"] == exchange_of(hops_of(**changed), QUOTE)[1]


def test_the_log_knows_what_is_new() -> None:
    log = HopLog()
    for hop in hops_of():
        log.observe(hop)

    assert (5, 2, 0) == (len(log.of("id")), len(log.of("id", 8_000_000)), len(log.of("other")))
    assert 2 == log.callbacks


def test_a_payment_takes_from_its_first_request_to_its_last_callback() -> None:
    steps = [Exchange(Step.LOOKUP, 1_000_000, 0, 0, 9_000_000), Exchange(Step.QUOTE, 11_000_000, 0, 0, 31_000_000)]

    assert 30.0 == Payment(PaymentKind.P2P_SEND, steps).whole_ms


@pytest.mark.parametrize("kind", [kind for kind in PaymentKind if kind is not PaymentKind.BULK])
def test_the_tariff_gives_every_deal(kind: PaymentKind) -> None:
    deal, wish = DEALS[kind], wish_of(kind, CAST, "XTS")
    request = quote_request(wish)

    answer = quote_answer(request, wish.payee.fsp, b"secret", TARIFF)

    assert [] == quote_problems(answer, request, wish, deal)
    charge_units = deal.fee_units - deal.commission_units
    assert deal.pays_units == deal.gets_units + charge_units
    assert deal.asked_units == (deal.pays_units if deal.amount_type == "SEND" else deal.gets_units)


def test_a_bulks_lines_differ_and_have_a_deal_each() -> None:
    deals = [bulk_deal(line) for line in range(BULK_LINES)]
    wishes = bulk_wishes(CAST, "XTS")

    assert BULK_LINES == len({deal.pays_units for deal in deals}) == len({wish.payee.path for wish in wishes})
    for deal, wish in zip(deals, wishes, strict=True):
        charge = TARIFF[wish.purpose.scenario, wish.purpose.initiator_type]
        offer = offer_of(wish.amount_type, wish.amount_units, charge)
        assert (deal.pays_units, deal.gets_units) == (offer.transfer_units, offer.receive_units)


def answer_and_request() -> tuple[dict[str, Any], dict[str, Any]]:
    wish = wish_of(PaymentKind.P2P_RECEIVE, CAST, "XTS")
    request = quote_request(wish)
    return quote_answer(request, wish.payee.fsp, b"secret", TARIFF), request


def quoted(answer: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    kind = PaymentKind.P2P_RECEIVE
    return quote_problems(answer, request, wish_of(kind, CAST, "XTS"), DEALS[kind])


@pytest.mark.parametrize(
    ("name", "units"),
    [("transferAmount", 1_000_000), ("payeeReceiveAmount", 1_010_000), ("payeeFspFee", 1), ("payeeFspCommission", 1)],
)
def test_wrong_terms_are_told(name: str, units: int) -> None:
    answer, request = answer_and_request()

    [problem] = quoted(answer | {name: {"currency": "XTS", "amount": format_amount(units)}}, request)

    assert problem.startswith(f"quote: {name} is ")


def test_another_quotes_packet_is_told() -> None:
    answer, request = answer_and_request()
    other, _ = answer_and_request()

    [problem] = quoted(answer | {"ilpPacket": other["ilpPacket"]}, request)

    assert problem.startswith("quote: the packet's transaction is ")


@pytest.mark.parametrize("packet", ["", "no packet!", encode_base64url(b"\x01\x00")])
def test_a_packet_that_cannot_be_read_is_told(packet: str) -> None:
    answer, request = answer_and_request()

    [problem] = quoted(answer | {"ilpPacket": packet}, request)

    assert problem.startswith("quote: the packet cannot be read")


@pytest.mark.parametrize("condition", [None, "", "AAAA", "!" * 43])
def test_what_is_no_condition_is_told(condition: object) -> None:
    answer, request = answer_and_request()

    assert [f"quote: {condition!r} is no condition"] == quoted(answer | {"condition": condition}, request)


def test_another_party_is_told() -> None:
    wish = wish_of(PaymentKind.MERCHANT, CAST, "XTS")

    assert [] == party_problems({"party": CAST.shop.described}, wish)
    assert [] == party_problems({"party": CAST.ann.described}, wish, is_payer=True)
    assert ["lookup: told None of BUSINESS/corner-shop-00c0de/till-3"] == party_problems({}, wish)
    assert 1 == len(party_problems({"party": CAST.ben.described}, wish))


class Bulk:
    """Three lines, and what a right hub says of them."""

    def __init__(self) -> None:
        payer, self.payee = SimulatedDfsp("ada", "http://nowhere"), SimulatedDfsp("bea", "http://nowhere")
        self.orders = [payer.order(self.payee, 10_000 + line, "XTS") for line in range(3)]

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
    def told(self) -> dict[str, Any]:
        results = [
            {"transferId": order.transfer_id, "fulfilment": self.payee.fulfilment_of(order.terms.ilp_packet)}
            for order in self.orders
        ]
        return {"bulkTransferState": "COMPLETED", "individualTransferResults": results}


def test_a_right_bulk_is_right() -> None:
    bulk = Bulk()

    assert [] == bulk_request_problems(bulk.forwarded, bulk.orders)
    assert [] == bulk_result_problems(bulk.told, bulk.orders, "ada")


@pytest.mark.parametrize("changed", [{"condition": "other"}, {"transferAmount": {"currency": "XTS", "amount": "2"}}])
def test_a_changed_line_is_told(changed: dict[str, Any]) -> None:
    bulk = Bulk()
    forwarded = bulk.forwarded
    forwarded["individualTransfers"][1] |= changed

    assert ["transfer: the payee was sent 3 lines, or others than were sent"] == bulk_request_problems(
        forwarded, bulk.orders
    )


def test_a_lost_line_is_told() -> None:
    bulk = Bulk()
    told = bulk.told | {"individualTransferResults": bulk.told["individualTransferResults"][1:]}

    assert ["transfer: ada was told of 2 lines, or of others than were sent"] == bulk_result_problems(
        told, bulk.orders, "ada"
    )


def test_a_line_that_is_not_fulfilled_is_told() -> None:
    bulk = Bulk()
    told = bulk.told
    told["individualTransferResults"][2] = {
        "transferId": bulk.orders[2].transfer_id,
        "errorInformation": {"errorCode": "5105"},
    }

    assert [
        f"transfer: ada was told no fulfilment that fits of line {bulk.orders[2].transfer_id}"
    ] == bulk_result_problems(told, bulk.orders, "ada")


@pytest.mark.parametrize("told", [{}, {"bulkTransferState": "PROCESSING", "individualTransferResults": None}])
def test_a_bulk_that_is_not_over_is_told(told: dict[str, Any]) -> None:
    problems = bulk_result_problems(told, Bulk().orders, "ada")

    assert [f"transfer: ada was told {told}", "transfer: ada was told of 0 lines, or of others than were sent"] == (
        problems
    )
