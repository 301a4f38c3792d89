"""Two simulated DFSPs look parties up and agree on quotes, through a fake hub."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.dfsp.agreements import OTP, UnansweredError
from sandbox.dfsp.messages import Direction, Hop
from sandbox.dfsp.parties import Party
from sandbox.dfsp.quoting import Charge
from sandbox.dfsp.requests import (
    PaymentIntent,
    Purpose,
    authorization_path,
    bulk_quote_request,
    quote_request,
    transaction_request,
)
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from tests.integration.fake_hub import FakeHub
from tests.integration.fake_hub_admin import Dfsp

UNIT = 10_000
ANN = Party("MSISDN", "447700900456", "payerbank", "Ann Abara")
SHOP = Party("BUSINESS", "corner-shop", "payeewallet", "Corner Shop", "till-3", "5411")
BEN = Party("EMAIL", "ben@example.org", "payeewallet", "Ben Boateng")


class Pair:
    """A payer and a payee that are registered with the hub, and the hops that they reported."""

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub
        self.hops: list[Hop] = []
        self.payer = SimulatedDfsp("payerbank", hub.url, observe=self.hops.append)
        self.payee = SimulatedDfsp("payeewallet", hub.url, observe=self.hops.append)

    async def start(self) -> None:
        for dfsp in (self.payer, self.payee):
            await dfsp.start()
            self.hub.dfsps[dfsp.name] = Dfsp(endpoints=dfsp.endpoints)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    hub = FakeHub()
    await hub.start()
    pair = Pair(hub)
    await pair.start()
    yield pair
    await pair.payee.stop()
    await pair.payer.stop()
    await hub.stop()


async def test_a_party_is_found_as_its_dfsp_describes_it(pair: Pair) -> None:
    await pair.payee.agreements.register([SHOP, BEN])

    reported = [await pair.payer.agreements.look_up(party.path) for party in (SHOP, BEN, SHOP)]

    assert [{"party": party.described} for party in (SHOP, BEN, SHOP)] == [answer.content for answer in reported]
    assert {"partySubIdOrType": "till-3"}.items() <= SHOP.id_info.items()


async def test_an_unregistered_identifier_finds_no_party(pair: Pair) -> None:
    with pytest.raises(UnansweredError, match="3204"):
        await pair.payer.agreements.look_up(BEN.path)

    pair.hub.relay.parties[BEN.path] = "payeewallet"
    with pytest.raises(UnansweredError, match="3204"):
        await pair.payer.agreements.look_up(BEN.path)


async def test_a_quote_has_the_fees(pair: Pair) -> None:
    pair.payee.agreements.tariff = {("TRANSFER", "CONSUMER"): Charge(fee_units=UNIT)}
    request = quote_request(PaymentIntent(ANN, BEN, 10 * UNIT, "USD"))

    answer = await pair.payer.agreements.request("POST", "/quotes", request["quoteId"], "payeewallet", request)

    assert {"currency": "USD", "amount": "9"} == answer.content["payeeReceiveAmount"]
    assert {"currency": "USD", "amount": "1"} == answer.content["payeeFspFee"]


async def test_a_quote_whose_fees_exceed_the_amount_is_rejected(pair: Pair) -> None:
    pair.payee.agreements.tariff = {("TRANSFER", "CONSUMER"): Charge(fee_units=UNIT)}
    request = quote_request(PaymentIntent(ANN, BEN, UNIT, "USD"))

    with pytest.raises(UnansweredError, match="5103"):
        await pair.payer.agreements.request("POST", "/quotes", request["quoteId"], "payeewallet", request)


async def test_a_silent_dfsp_is_reported(pair: Pair) -> None:
    pair.payee.agreements.silent = True
    request = quote_request(PaymentIntent(ANN, BEN, UNIT, "USD"))

    with pytest.raises(UnansweredError, match="POST /quotes: payerbank waited"):
        await pair.payer.agreements.request(
            "POST", "/quotes", request["quoteId"], "payeewallet", request, timeout_s=0.1
        )


async def test_a_bulk_quote_has_a_result_for_each_item(pair: Pair) -> None:
    request = bulk_quote_request([PaymentIntent(ANN, BEN, UNIT + index, "USD") for index in range(3)])

    answer = await pair.payer.agreements.request("POST", "/bulkQuotes", request["bulkQuoteId"], "payeewallet", request)

    results = answer.content["individualQuoteResults"]
    assert [quote["quoteId"] for quote in request["individualQuotes"]] == [result["quoteId"] for result in results]


@pytest.mark.parametrize("entered", [None, "424242"])
async def test_the_payers_authorization_reaches_the_payee(pair: Pair, entered: str | None) -> None:
    request = transaction_request(
        PaymentIntent(ANN, SHOP, UNIT, "USD", "RECEIVE", Purpose("PAYMENT", "PAYEE", "DEVICE"))
    )
    request_id = request["transactionRequestId"]
    received = await pair.payee.agreements.request("POST", "/transactionRequests", request_id, "payerbank", request)
    if entered is not None:
        pair.payee.agreements.entered[request_id] = entered

    path = authorization_path(request_id, request["amount"], retries_left=2)
    answer = await pair.payer.agreements.request("GET", path, request_id, "payeewallet")

    assert "RECEIVED" == received.content["transactionRequestState"]
    assert "ENTERED" == answer.content["responseType"]
    assert (entered or OTP) == answer.content["authenticationInfo"]["authenticationValue"]
    [question] = [one for one in pair.payee.agreements.received(request_id) if one.method == "GET"]
    assert {"authenticationType": "OTP", "retriesLeft": "2", "currency": "USD", "amount": "1"} == question.query


async def test_every_hop_is_reported_with_its_message(pair: Pair) -> None:
    await pair.payee.agreements.register([BEN])
    pair.hops.clear()

    await pair.payer.agreements.look_up(BEN.path)

    messages = [(hop.dfsp, hop.direction, hop.message.method) for hop in pair.hops if hop.message is not None]
    assert [
        ("payerbank", Direction.TO_HUB, "GET"),
        ("payeewallet", Direction.FROM_HUB, "GET"),
        ("payeewallet", Direction.TO_HUB, "PUT"),
        ("payerbank", Direction.FROM_HUB, "PUT"),
    ] == messages
    assert {BEN.path} == {hop.transfer_id for hop in pair.hops}
