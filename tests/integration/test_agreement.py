"""Quotes end to end: real HTTP, real Kafka, simulated DFSPs, among them dead, slow and refusing ones."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from sandbox.dfsp.agreements import ENDPOINT_TYPES, OTP
from sandbox.dfsp.messages import ReceivedMessage
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import Terms, new_transfer_id
from sandbox.scheme import Scheme
from tests.integration.hub_under_test import CURRENCY, free_port, running_hub, scheme_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
UNIT = 10_000
PATIENCE_MS = 3_000
MEASURED = 40
DISTURBING_PER_MEASURED = 2


class QuotingScheme:
    """A running hub with three DFSPs."""

    def __init__(self, scheme: Scheme, dfsps: list[SimulatedDfsp]) -> None:
        self.scheme = scheme
        self.payer, self.payee, self.third = dfsps

    async def unreachable(self, name: str, port: int) -> str:
        """Register a DFSP whose endpoints are at a port that the test controls."""
        base = f"http://127.0.0.1:{port}"
        endpoints = {f"FSPIOP_CALLBACK_URL_{kind}": base for kind in ENDPOINT_TYPES}
        await self.scheme.ensure_dfsp(name, 1_000 * UNIT, endpoints)
        return name

    async def quoted(self, payee: str, timeout_s: float = 20.0) -> ReceivedMessage:
        """Return the callback that the payer gets for a quote."""
        quote_id, accepted = await self.payer.agreements.post_quote(payee, UNIT, CURRENCY)
        assert 202 == accepted.status, accepted.text
        return await self.payer.agreements.wait_for(quote_id, timeout_s=timeout_s)


@asynccontextmanager
async def a_scene(bootstrap: str, prefix: str, folder: Path, **settings: object) -> AsyncIterator[QuotingScheme]:
    async with (
        running_hub(bootstrap, prefix, folder, forward_patience_ms=PATIENCE_MS, **settings) as hub,
        scheme_of(hub, "payer1", "payee1", "third1", cap_units=1_000 * UNIT, funds_units=1_000 * UNIT) as (
            scheme,
            dfsps,
        ),
    ):
        yield QuotingScheme(scheme, dfsps)


@pytest.fixture
async def scheme(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[QuotingScheme]:
    async with a_scene(kafka_bootstrap, topic_prefix, tmp_path) as one:
        yield one


def is_from_hub(message: ReceivedMessage) -> bool:
    return message.headers["fspiop-source"] == "Hub"


async def test_what_is_agreed_on_can_be_paid(scheme: QuotingScheme) -> None:
    """A quote's packet and condition are valid for a transfer that commits."""
    payer, payee = scheme.payer, scheme.payee
    answer = await scheme.quoted("payee1")
    quote_id = answer.transfer_id
    assert ("PUT", f"/quotes/{quote_id}", "payee1", "payer1") == (
        answer.method,
        answer.path,
        answer.headers["fspiop-source"],
        answer.headers["fspiop-destination"],
    )
    assert "accept" not in answer.headers
    [request] = payee.agreements.received(quote_id)
    assert ("POST", "/quotes", "payer1") == (request.method, request.path, request.headers["fspiop-source"])
    assert "application/vnd.interoperability.quotes+json;version=1" == request.headers["accept"]

    terms = Terms(answer.content["ilpPacket"], answer.content["condition"])
    order = replace(payer.order(payee, UNIT, CURRENCY), terms=terms)
    await payer.post_transfer(order)
    await payer.wait_for(order.transfer_id, lambda one: one.label == "PUT COMMITTED")

    await payer.agreements.send("GET", f"/quotes/{quote_id}", quote_id, "payee1")
    again = await payer.agreements.wait_for(quote_id, lambda one: one is not answer)
    assert answer.content == again.content


async def test_bulk_quotes_and_requests_to_pay(scheme: QuotingScheme) -> None:
    payer, payee = scheme.payer.agreements, scheme.payee.agreements
    single = payer.quote("payee1", UNIT, CURRENCY)
    bulk_id = new_transfer_id()
    individual = {key: single[key] for key in ("quoteId", "transactionId", "payee", "amountType", "amount")}
    bulk = {
        "bulkQuoteId": bulk_id,
        "payer": single["payer"],
        "individualQuotes": [{**individual, "transactionType": single["transactionType"]}],
    }
    await payer.send("POST", "/bulkQuotes", bulk_id, "payee1", bulk)
    [result] = (await payer.wait_for(bulk_id)).content["individualQuoteResults"]
    assert single["quoteId"] == result["quoteId"]

    request_id = new_transfer_id()
    request: dict[str, Any] = {
        "transactionRequestId": request_id,
        "payee": single["payee"],
        "payer": single["payer"]["partyIdInfo"],
        "amount": single["amount"],
        "transactionType": {**single["transactionType"], "initiator": "PAYEE"},
    }
    await payee.send("POST", "/transactionRequests", request_id, "payer1", request)
    received = await payee.wait_for(request_id)
    assert "RECEIVED" == received.content["transactionRequestState"]

    query = f"authenticationType=OTP&retriesLeft=2&amount=1&currency={CURRENCY}"
    await payee.send("GET", f"/authorizations/{request_id}?{query}", request_id, "payer1")
    entered = await payee.wait_for(request_id, lambda one: one.resource == "authorizations")
    assert OTP == entered.content["authenticationInfo"]["authenticationValue"]
    forwarded = next(one for one in payer.received(request_id) if one.resource == "authorizations")
    assert f"/authorizations/{request_id}?{query}" == forwarded.headers["fspiop-uri"]
    assert {"authenticationType": "OTP", "retriesLeft": "2", "amount": "1", "currency": CURRENCY} == forwarded.query

    await payer.send("GET", f"/transactions/{request_id}", request_id, "payee1")
    assert "3207" == (await payer.wait_for(request_id, lambda one: one.path.startswith("/transactions/"))).error_code


async def test_the_sender_of_a_quote_is_notified_of_each_kind_of_failure(scheme: QuotingScheme) -> None:
    scheme.payee.outage_status = 400
    refused = await scheme.quoted("payee1")
    assert (True, "3000") == (is_from_hub(refused), refused.error_code)

    scheme.payee.outage_status = 503
    failing = await scheme.quoted("payee1")
    assert (True, "1001") == (is_from_hub(failing), failing.error_code)

    await scheme.unreachable("dead1", free_port())
    started = time.monotonic()
    dead = await scheme.quoted("dead1")
    assert (True, "1001") == (is_from_hub(dead), dead.error_code)
    assert time.monotonic() - started < PATIENCE_MS / 1000 + 5

    unknown = await scheme.quoted("nobody1")
    assert (True, "3201") == (is_from_hub(unknown), unknown.error_code)


async def test_a_payer_is_notified_at_once_that_its_payee_has_no_endpoint(scheme: QuotingScheme) -> None:
    """Later it is notified that the transfer has expired: nothing else ends it (protocol 5.4, 3.8)."""
    await scheme.scheme.ensure_dfsp("mute1", 1_000 * UNIT, {})
    order = replace(scheme.payer.order(scheme.payee, UNIT, CURRENCY, lifetime_s=6), payee="mute1")
    await scheme.payer.post_transfer(order)
    first = await scheme.payer.wait_for(order.transfer_id)
    assert "ERROR 1001" == first.label
    assert "Hub" == first.source
    await scheme.payer.wait_for(order.transfer_id, lambda one: one.label == "ERROR 3303", timeout_s=30)


async def test_stored_quotes_are_answered_by_the_hub(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The hub answers a repeated quote from its store when the payee is gone, until the quote expires."""
    settings = {"quotes": "stored", "quote_retention_s": 1, "quote_lifetime_s": 12}
    async with a_scene(kafka_bootstrap, topic_prefix, tmp_path, **settings) as scheme:
        payer = scheme.payer.agreements
        answer = await scheme.quoted("payee1")
        quote_id, expired_at = answer.transfer_id, time.monotonic() + 14
        scheme.payee.outage_status = 503
        request = scheme.payee.agreements.received(quote_id)[0].content
        await payer.send("POST", "/quotes", quote_id, "payee1", request)
        again = await payer.wait_for(quote_id, lambda one: one is not answer)
        assert ("payee1", answer.body) == (again.headers["fspiop-source"], again.body)
        await payer.send("POST", "/quotes", quote_id, "payee1", {**request, "note": "changed"})
        assert "3106" == (await payer.wait_for(quote_id, lambda one: bool(one.error_code))).error_code

        while time.monotonic() < expired_at + 10:
            await asyncio.sleep(1)
            await payer.send("GET", f"/quotes/{quote_id}", quote_id, "payee1")
            if any(one.error_code == "3205" for one in payer.received(quote_id)):
                break
        assert "3205" == payer.received(quote_id)[-1].error_code


async def test_a_dead_and_a_hanging_dfsp_delay_nobody_else(scheme: QuotingScheme) -> None:
    """The same quotes are measured beside as many quotes to a healthy DFSP, and beside quotes that nobody answers."""

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    await scheme.unreachable("hangs1", server.sockets[0].getsockname()[1])
    await scheme.unreachable("dead1", free_port())
    try:
        for _ in range(10):
            await scheme.quoted("payee1")
        medians: dict[str, list[float]] = {"healthy": [], "dead and hanging": []}
        for _ in range(2):
            for name, others in (("healthy", ("payer1", "payer1")), ("dead and hanging", ("dead1", "hangs1"))):
                found = await _latencies_ms(scheme, others)
                medians[name].append(statistics.median(found))
                p95 = statistics.quantiles(found, n=20)[-1]
                print(f"quotes beside {name}: median {medians[name][-1]:.0f} ms, p95 {p95:.0f} ms")
    finally:
        server.close()
    assert min(medians["dead and hanging"]) < 2 * max(medians["healthy"]) + 50


async def _latencies_ms(scheme: QuotingScheme, others: tuple[str, ...]) -> list[float]:
    """Measure from POST to PUT, one quote at a time, while each other DFSP gets `DISTURBING_PER_MEASURED` quotes.

    Requests that the hub refuses because the machine is busy (503) are repeated.
    """
    found: list[float] = []
    while len(found) < MEASURED:
        for name in others:
            for _ in range(DISTURBING_PER_MEASURED):
                await scheme.third.agreements.post_quote(name, UNIT, CURRENCY)
        quote_id, accepted = await scheme.payer.agreements.post_quote("payee1", UNIT, CURRENCY)
        if accepted.status == HTTPStatus.SERVICE_UNAVAILABLE:
            await asyncio.sleep(1)
            continue
        assert 202 == accepted.status, accepted.text
        answer = await scheme.payer.agreements.wait_for(quote_id)
        assert "" == answer.error_code
        found.append((answer.arrived_at_ns - accepted.sent_at_ns) / 1_000_000)
    return found
