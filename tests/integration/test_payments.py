"""Payments end to end: real HTTP, real Kafka, real tables, two or three simulated DFSPs."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.dfsp.behaviour import Behaviour
from sandbox.dfsp.messages import Callback, CallbackKind
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import callback_headers, fulfil_body, request_headers, timestamp
from sandbox.scheme import Scheme
from tests.integration.hub_under_test import (
    CURRENCY,
    HubUnderTest,
    eventually,
    position_units,
    request,
    running_hub,
    scheme_of,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
UNIT = 10_000
CAP = 1_000 * UNIT
FUNDS = 5_000 * UNIT


class Played:
    """A running hub with its scheme."""

    def __init__(self, hub: HubUnderTest, scheme: Scheme, dfsps: list[SimulatedDfsp]) -> None:
        self.hub = hub
        self.scheme = scheme
        self.payer, self.payee, self.third = dfsps

    async def positions(self) -> dict[str, int]:
        return {one.name: await position_units(self.scheme, one.name) for one in (self.payer, self.payee, self.third)}


@pytest.fixture
async def played(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Played]:
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub,
        scheme_of(hub, "payer1", "payee1", "third1", cap_units=CAP, funds_units=FUNDS) as (scheme, dfsps),
    ):
        yield Played(hub, scheme, dfsps)


async def told(dfsp: SimulatedDfsp, transfer_id: str, label: str, count: int = 1, within_s: float = 10.0) -> Callback:
    """The callback of that kind and outcome."""
    return await dfsp.wait_for(transfer_id, lambda one: one.label == label, count=count, timeout_s=within_s)


async def test_life_of_payments(played: Played) -> None:
    """One hub, every way in which a payment may go; after each the positions are right to the last unit."""
    await committed(played)
    await committed_after_reserved(played)
    await rejected(played)
    await wrong_fulfilment(played)
    await timed_out(played)
    await refused_for_the_limit(played)
    await duplicates(played)
    await lookups(played)
    await what_was_agreed(played)
    await strangers(played)


async def committed(played: Played) -> None:
    before = await played.positions()
    order = played.payer.order(played.payee, 10 * UNIT, CURRENCY)
    assert 202 == (await played.payer.post_transfer(order)).status

    forwarded = await told(played.payee, order.transfer_id, "POST")
    assert order.body() == forwarded.body
    assert (played.payer.name, played.payee.name) == (forwarded.source, forwarded.headers["fspiop-destination"])
    fulfilled = await told(played.payer, order.transfer_id, "PUT COMMITTED")
    assert played.payee.name == fulfilled.source
    assert "accept" not in fulfilled.headers
    assert "Hub" == (await told(played.payee, order.transfer_id, "PUT COMMITTED")).source
    await eventually(
        played.scheme,
        {
            played.payer.name: before[played.payer.name] + 10 * UNIT,
            played.payee.name: before[played.payee.name] - 10 * UNIT,
            played.third.name: before[played.third.name],
        },
    )


async def committed_after_reserved(played: Played) -> None:
    order = played.payer.order(played.payee, UNIT, CURRENCY, behaviour=Behaviour.RESERVE)
    await played.payer.post_transfer(order)
    assert "Hub" == (await told(played.payer, order.transfer_id, "PUT COMMITTED")).source
    patch = await told(played.payee, order.transfer_id, "PATCH COMMITTED")
    assert "fulfilment" not in patch.content
    assert "accept" not in patch.headers


async def rejected(played: Played) -> None:
    before = await played.positions()
    order = played.payer.order(played.payee, 7 * UNIT, CURRENCY, behaviour=Behaviour.REJECT)
    await played.payer.post_transfer(order)
    assert played.payee.name == (await told(played.payer, order.transfer_id, "ERROR 5105")).source
    await eventually(played.scheme, before)


async def wrong_fulfilment(played: Played) -> None:
    before = await played.positions()
    order = played.payer.order(played.payee, 7 * UNIT, CURRENCY, behaviour=Behaviour.WRONG_FULFILMENT)
    await played.payer.post_transfer(order)
    error = await told(played.payer, order.transfer_id, "ERROR 3100")
    assert "Generic validation error - invalid fulfilment" == error.content["errorInformation"]["errorDescription"]
    await told(played.payee, order.transfer_id, "ERROR 3100")
    await eventually(played.scheme, before)


async def timed_out(played: Played) -> None:
    before = await played.positions()
    order = played.payer.order(played.payee, 7 * UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=2)
    await played.payer.post_transfer(order)
    error = await told(played.payer, order.transfer_id, "ERROR 3303")
    assert "Transfer expired" == error.content["errorInformation"]["errorDescription"]
    assert "Hub" == (await told(played.payee, order.transfer_id, "ERROR 3303")).source
    await eventually(played.scheme, before)


async def refused_for_the_limit(played: Played) -> None:
    before = await played.positions()
    for amount, code in ((2_000, "4200"), (9_000, "4001")):
        order = played.payer.order(played.payee, amount * UNIT, CURRENCY)
        await played.payer.post_transfer(order)
        await told(played.payer, order.transfer_id, f"ERROR {code}")
        assert [] == played.payee.callbacks_of(order.transfer_id)
    await eventually(played.scheme, before)


async def duplicates(played: Played) -> None:
    order = played.payer.order(played.payee, UNIT, CURRENCY)
    await played.payer.post_transfer(order)
    await told(played.payer, order.transfer_id, "PUT COMMITTED")
    before = await played.positions()
    await played.payer.post_transfer(order)
    again = await told(played.payer, order.transfer_id, "PUT COMMITTED", count=2)
    assert "Hub" == again.source
    await played.payer.post_transfer(replace(order, amount_units=2 * UNIT))
    modified = await told(played.payer, order.transfer_id, "ERROR 3106")
    assert "Modified request" == modified.content["errorInformation"]["errorDescription"]
    fulfilment = played.payee.fulfilment_of(order.terms.ilp_packet)
    await played.payee.client.put_fulfil(order.transfer_id, played.payer.name, fulfilment, "RESERVED")
    await told(played.payee, order.transfer_id, "ERROR 3106")
    await eventually(played.scheme, before)


async def lookups(played: Played) -> None:
    """Both sides find the transfer, wherever on the ring it is; strangers and unknown ids get their errors."""
    order = played.payer.order(played.payee, UNIT, CURRENCY)
    await played.payer.post_transfer(order)
    await told(played.payer, order.transfer_id, "PUT COMMITTED")
    await told(played.payee, order.transfer_id, "PUT COMMITTED")
    for party in (played.payer, played.payee):
        assert 202 == (await party.get_transfer(order.transfer_id)).status
        answer = await told(party, order.transfer_id, "PUT COMMITTED", count=2)
        assert {"completedTimestamp", "transferState", "fulfilment"} <= answer.content.keys()
    await played.third.get_transfer(order.transfer_id)
    stranger = await told(played.third, order.transfer_id, "ERROR 3000")
    assert "Generic client error" == stranger.content["errorInformation"]["errorDescription"]
    unknown = str(uuid.uuid4())
    await played.third.get_transfer(unknown)
    await told(played.third, unknown, "ERROR 3208")


async def what_was_agreed(played: Played) -> None:
    """The admin API shows the Transaction of the transfer's packet, wherever the transfer is; 3200 for no transfer."""
    order = played.payee.order(played.third, UNIT, CURRENCY)
    await played.payee.post_transfer(order)
    await told(played.payee, order.transfer_id, "PUT COMMITTED")
    transaction = await played.scheme.admin.get(f"/transactions/{order.transfer_id}")
    assert {"amount": "1", "currency": CURRENCY} == transaction["amount"]
    status, answer = await request("GET", f"{played.hub.urls.admin}/transactions/{uuid.uuid4()}", None, {})
    assert (400, "3200") == (status, json.loads(answer)["errorInformation"]["errorCode"])


async def strangers(played: Played) -> None:
    """A fulfil by a stranger changes nothing; one by the payee to a wrong destination finds its way, and aborts."""
    order = played.payer.order(played.payee, UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=30)
    await played.payer.post_transfer(order)
    await told(played.payee, order.transfer_id, "POST")
    before = await played.positions()
    fulfilment = played.payee.fulfilment_of(order.terms.ilp_packet)
    await played.third.client.put_fulfil(order.transfer_id, played.payer.name, fulfilment, "COMMITTED")
    await told(played.third, order.transfer_id, "ERROR 3100")
    await eventually(played.scheme, before)
    await played.payee.client.put_fulfil(order.transfer_id, played.third.name, fulfilment, "COMMITTED")
    await told(played.payer, order.transfer_id, "ERROR 3100")
    await eventually(played.scheme, {**before, played.payer.name: before[played.payer.name] - UNIT})
    never = str(uuid.uuid4())
    await played.payee.client.put_fulfil(never, played.payer.name, fulfilment, "COMMITTED")
    unknown = await told(played.payee, never, "ERROR 2001")
    assert "transfer not found" in unknown.content["errorInformation"]["errorDescription"]


BAD_AMOUNTS = ("1.50", "-1", "1e3", "1234567890123456789", "", "01", "1.23456", "NaN", " 1")


async def test_bad_input_is_refused_and_leaves_nothing(played: Played) -> None:
    """Each a documented error, never a 5xx, and no record of it anywhere."""
    payer, payee, url = played.payer, played.payee, played.hub.urls.fspiop
    order = payer.order(payee, UNIT, CURRENCY)
    good = json.loads(order.body())
    headers = request_headers(payer.name, payee.name)
    before = await played.positions()
    amounts = [({**good, "amount": {**good["amount"], "amount": bad}}, "3100") for bad in BAD_AMOUNTS]
    bodies: list[tuple[bytes, str]] = [(json.dumps(body).encode(), code) for body, code in amounts]
    bodies += [
        (order.body()[:-20], "3101"),
        (b"", "3101"),
        (b"[]", "3101"),
        (json.dumps({**good, "amount": 5}).encode(), "3101"),
        (json.dumps({**good, "transferId": "not-an-id"}).encode(), "3100"),
        (json.dumps({key: value for key, value in good.items() if key != "condition"}).encode(), "3102"),
        (b"x" * 6_000_000, "3104"),
        (b'{"transferId": "' + b"a" * 6_000_000, "3104"),
    ]
    for body, code in bodies:
        status, answer = await request("POST", f"{url}/transfers", body, headers)
        assert 400 == status, body[:80]
        assert code == json.loads(answer)["errorInformation"]["errorCode"], body[:80]
    for missing in ("Accept", "Content-Type", "Date", "FSPIOP-Source"):
        fewer = {name: value for name, value in headers.items() if name.lower() != missing.lower()}
        status, answer = await request("POST", f"{url}/transfers", order.body(), fewer)
        assert (400, "3102") == (status, json.loads(answer)["errorInformation"]["errorCode"]), missing
    status, answer = await request(
        "PUT", f"{url}/transfers/not-an-id", fulfil_body("x", "COMMITTED"), callback_headers(payee.name, payer.name)
    )
    assert (400, "3100") == (status, json.loads(answer)["errorInformation"]["errorCode"])
    assert [] == payer.callbacks_of(order.transfer_id)
    await eventually(played.scheme, before)


async def test_unknown_participants(played: Played) -> None:
    """An unknown payee is refused by callback; an unknown payer has nobody to tell, and reserves nothing."""
    before = await played.positions()
    order = played.payer.order(played.payee, UNIT, CURRENCY)
    await played.payer.post_transfer(replace(order, payee="nobody"))
    error = await told(played.payer, order.transfer_id, "ERROR 3100")
    assert "Participant nobody not found" in error.content["errorInformation"]["errorDescription"]
    late = replace(played.payer.order(played.payee, UNIT, CURRENCY), expiration=timestamp(-5))
    await played.payer.post_transfer(late)
    await told(played.payer, late.transfer_id, "ERROR 3100")
    forged = played.payer.order(played.payee, UNIT, CURRENCY)
    ghost = SimulatedDfsp("ghost", played.hub.urls.fspiop)
    async with ghost:
        assert 202 == (await ghost.post_transfer(replace(forged, payer="ghost"))).status
    await asyncio.sleep(1)
    assert [] == played.payee.callbacks_of(forged.transfer_id)
    await eventually(played.scheme, before)


async def test_many_at_once(played: Played) -> None:
    """Two hundred transfers in both directions at the same time, every one committed, the sum right."""
    before = await played.positions()
    pairs = [(played.payer, played.payee), (played.payee, played.payer), (played.payee, played.third)]
    orders = [(payer, payer.order(payee, UNIT, CURRENCY)) for _count in range(70) for payer, payee in pairs]
    answers = await asyncio.gather(*(payer.post_transfer(order) for payer, order in orders))
    assert {202} == {answer.status for answer in answers}
    done = await asyncio.gather(
        *(told(payer, order.transfer_id, "PUT COMMITTED", within_s=30.0) for payer, order in orders)
    )
    assert {CallbackKind.FULFIL} == {one.kind for one in done}
    await eventually(
        played.scheme,
        {
            played.payer.name: before[played.payer.name],
            played.payee.name: before[played.payee.name] + 70 * UNIT,
            played.third.name: before[played.third.name] - 70 * UNIT,
        },
    )
