"""Agreement on payments end to end: real HTTP, real Kafka, simulated DFSPs; dead, slow and refusing ones among them."""

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


class Scene:
    """A running hub, and three DFSPs."""

    def __init__(self, scheme: Scheme, dfsps: list[SimulatedDfsp]) -> None:
        self.scheme = scheme
        self.payer, self.payee, self.third = dfsps

    async def unreachable(self, name: str, port: int) -> str:
        """A DFSP of the scheme at a port of which the test knows what is there."""
        base = f"http://127.0.0.1:{port}"
        endpoints = {f"FSPIOP_CALLBACK_URL_{kind}": base for kind in ENDPOINT_TYPES}
        await self.scheme.ensure_dfsp(name, 1_000 * UNIT, endpoints)
        return name

    async def quoted(self, payee: str, timeout_s: float = 20.0) -> ReceivedMessage:
        """What the payer hears of a quote."""
        quote_id, taken = await self.payer.agreements.post_quote(payee, UNIT, CURRENCY)
        assert 202 == taken.status, taken.text
        return await self.payer.agreements.wait_for(quote_id, timeout_s=timeout_s)


@asynccontextmanager
async def a_scene(bootstrap: str, prefix: str, folder: Path, **settings: object) -> AsyncIterator[Scene]:
    async with (
        running_hub(bootstrap, prefix, folder, forward_patience_ms=PATIENCE_MS, **settings) as hub,
        scheme_of(hub, "payer1", "payee1", "third1", cap_units=1_000 * UNIT, funds_units=1_000 * UNIT) as (
            scheme,
            dfsps,
        ),
    ):
        yield Scene(scheme, dfsps)


@pytest.fixture
async def scene(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(kafka_bootstrap, topic_prefix, tmp_path) as one:
        yield one


def is_from_hub(message: ReceivedMessage) -> bool:
    return message.headers["fspiop-source"] == "Hub"


async def test_what_is_agreed_on_can_be_paid(scene: Scene) -> None:
    """A quote's packet and condition are good for a transfer that commits."""
    payer, payee = scene.payer, scene.payee
    answer = await scene.quoted("payee1")
    quote_id = answer.transfer_id
    assert ("PUT", f"/quotes/{quote_id}", "payee1", "payer1") == (
        answer.method,
        answer.path,
        answer.headers["fspiop-source"],
        answer.headers["fspiop-destination"],
    )
    assert "accept" not in answer.headers
    [asked] = payee.agreements.received(quote_id)
    assert ("POST", "/quotes", "payer1") == (asked.method, asked.path, asked.headers["fspiop-source"])
    assert "application/vnd.interoperability.quotes+json;version=1" == asked.headers["accept"]

    terms = Terms(answer.content["ilpPacket"], answer.content["condition"])
    order = replace(payer.order(payee, UNIT, CURRENCY), terms=terms)
    await payer.post_transfer(order)
    await payer.wait_for(order.transfer_id, lambda one: one.label == "PUT COMMITTED")

    await payer.agreements.send("GET", f"/quotes/{quote_id}", quote_id, "payee1")
    again = await payer.agreements.wait_for(quote_id, lambda one: one is not answer)
    assert answer.content == again.content


async def test_bulk_quotes_and_what_the_payee_begins(scene: Scene) -> None:
    payer, payee = scene.payer.agreements, scene.payee.agreements
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
    asked = next(one for one in payer.received(request_id) if one.resource == "authorizations")
    assert f"/authorizations/{request_id}?{query}" == asked.headers["fspiop-uri"]
    assert {"authenticationType": "OTP", "retriesLeft": "2", "amount": "1", "currency": CURRENCY} == asked.query

    await payer.send("GET", f"/transactions/{request_id}", request_id, "payee1")
    assert "3207" == (await payer.wait_for(request_id, lambda one: one.path.startswith("/transactions/"))).error_code


async def test_who_asks_hears_of_each_way_in_which_it_fails(scene: Scene) -> None:
    scene.payee.outage_status = 400
    refused = await scene.quoted("payee1")
    assert (True, "3000") == (is_from_hub(refused), refused.error_code)

    scene.payee.outage_status = 503
    failing = await scene.quoted("payee1")
    assert (True, "1001") == (is_from_hub(failing), failing.error_code)

    await scene.unreachable("dead1", free_port())
    started = time.monotonic()
    dead = await scene.quoted("dead1")
    assert (True, "1001") == (is_from_hub(dead), dead.error_code)
    assert time.monotonic() - started < PATIENCE_MS / 1000 + 5

    unknown = await scene.quoted("nobody1")
    assert (True, "3201") == (is_from_hub(unknown), unknown.error_code)


async def test_a_payer_hears_at_once_that_its_payee_has_no_endpoint(scene: Scene) -> None:
    """And later, that the transfer has expired: nothing else ends it (protocol 5.4, 3.8)."""
    await scene.scheme.ensure_dfsp("mute1", 1_000 * UNIT, {})
    order = replace(scene.payer.order(scene.payee, UNIT, CURRENCY, lifetime_s=6), payee="mute1")
    await scene.payer.post_transfer(order)
    first = await scene.payer.wait_for(order.transfer_id)
    assert "ERROR 1001" == first.label
    assert "Hub" == first.source
    await scene.payer.wait_for(order.transfer_id, lambda one: one.label == "ERROR 3303", timeout_s=30)


async def test_stored_quotes_are_answered_by_the_hub(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Asked again when the payee is gone, the hub has its words; then it forgets them."""
    settings = {"quotes": "stored", "quote_retention_s": 1, "quote_lifetime_s": 12}
    async with a_scene(kafka_bootstrap, topic_prefix, tmp_path, **settings) as scene:
        payer = scene.payer.agreements
        answer = await scene.quoted("payee1")
        quote_id, expired_at = answer.transfer_id, time.monotonic() + 14
        scene.payee.outage_status = 503
        asked = scene.payee.agreements.received(quote_id)[0].content
        await payer.send("POST", "/quotes", quote_id, "payee1", asked)
        again = await payer.wait_for(quote_id, lambda one: one is not answer)
        assert ("payee1", answer.body) == (again.headers["fspiop-source"], again.body)
        await payer.send("POST", "/quotes", quote_id, "payee1", {**asked, "note": "changed"})
        assert "3106" == (await payer.wait_for(quote_id, lambda one: bool(one.error_code))).error_code

        while time.monotonic() < expired_at + 10:
            await asyncio.sleep(1)
            await payer.send("GET", f"/quotes/{quote_id}", quote_id, "payee1")
            if any(one.error_code == "3205" for one in payer.received(quote_id)):
                break
        assert "3205" == payer.received(quote_id)[-1].error_code


async def test_a_dead_and_a_hanging_dfsp_delay_nobody_else(scene: Scene) -> None:
    """The same quotes are measured beside as many that go to a healthy DFSP, and beside those that nobody answers."""

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    await scene.unreachable("hangs1", server.sockets[0].getsockname()[1])
    await scene.unreachable("dead1", free_port())
    try:
        for _ in range(10):
            await scene.quoted("payee1")
        medians: dict[str, list[float]] = {"healthy": [], "dead and hanging": []}
        for _ in range(2):
            for name, others in (("healthy", ("payer1", "payer1")), ("dead and hanging", ("dead1", "hangs1"))):
                found = await _latencies_ms(scene, others)
                medians[name].append(statistics.median(found))
                p95 = statistics.quantiles(found, n=20)[-1]
                print(f"quotes beside {name}: median {medians[name][-1]:.0f} ms, p95 {p95:.0f} ms")
    finally:
        server.close()
    assert min(medians["dead and hanging"]) < 2 * max(medians["healthy"]) + 50


async def _latencies_ms(scene: Scene, others: tuple[str, ...]) -> list[float]:
    """POST sent to PUT received, one at a time; meanwhile each of the others is asked `DISTURBING_PER_MEASURED`.

    What the hub does not take because the machine is busy (503) is asked again.
    """
    found: list[float] = []
    while len(found) < MEASURED:
        for name in others:
            for _ in range(DISTURBING_PER_MEASURED):
                await scene.third.agreements.post_quote(name, UNIT, CURRENCY)
        quote_id, taken = await scene.payer.agreements.post_quote("payee1", UNIT, CURRENCY)
        if taken.status == HTTPStatus.SERVICE_UNAVAILABLE:
            await asyncio.sleep(1)
            continue
        assert 202 == taken.status, taken.text
        answer = await scene.payer.agreements.wait_for(quote_id)
        assert "" == answer.error_code
        found.append((answer.arrived_at_ns - taken.sent_at_ns) / 1_000_000)
    return found
