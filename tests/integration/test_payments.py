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


class PayingHub:
    """A running hub with its scheme."""

    def __init__(self, hub: HubUnderTest, scheme: Scheme, dfsps: list[SimulatedDfsp]) -> None:
        self.hub = hub
        self.scheme = scheme
        self.payer, self.payee, self.third = dfsps

    async def positions(self) -> dict[str, int]:
        return {one.name: await position_units(self.scheme, one.name) for one in (self.payer, self.payee, self.third)}

    async def have_paid(self, before: dict[str, int], payer: SimulatedDfsp, payee: SimulatedDfsp) -> None:
        """Wait until one UNIT has moved since `before`: the payee's credit follows the commit's callbacks."""
        moved = {payer.name: before[payer.name] + UNIT, payee.name: before[payee.name] - UNIT}
        await eventually(self.scheme, before | moved)


@pytest.fixture
async def paying(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[PayingHub]:
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub,
        scheme_of(hub, "payer1", "payee1", "third1", cap_units=CAP, funds_units=FUNDS) as (scheme, dfsps),
    ):
        yield PayingHub(hub, scheme, dfsps)


async def callback_of(
    dfsp: SimulatedDfsp, transfer_id: str, label: str, count: int = 1, within_s: float = 10.0
) -> Callback:
    """Wait for the `count`-th callback of a kind and outcome, and return it."""
    return await dfsp.wait_for(transfer_id, lambda one: one.label == label, count=count, timeout_s=within_s)


async def test_life_of_payments(paying: PayingHub) -> None:
    """One hub, every way in which a payment may go; after each the positions are right to the last unit."""
    await committed(paying)
    await committed_after_reserved(paying)
    await rejected(paying)
    await wrong_fulfilment(paying)
    await timed_out(paying)
    await refused_for_the_limit(paying)
    await duplicates(paying)
    await lookups(paying)
    await what_was_agreed(paying)
    await strangers(paying)
    await one_id_of_two_payers(paying)


async def committed(paying: PayingHub) -> None:
    before = await paying.positions()
    order = paying.payer.order(paying.payee, 10 * UNIT, CURRENCY)
    assert 202 == (await paying.payer.post_transfer(order)).status

    forwarded = await callback_of(paying.payee, order.transfer_id, "POST")
    assert order.body() == forwarded.body
    assert (paying.payer.name, paying.payee.name) == (forwarded.source, forwarded.headers["fspiop-destination"])
    fulfilled = await callback_of(paying.payer, order.transfer_id, "PUT COMMITTED")
    assert paying.payee.name == fulfilled.source
    assert "accept" not in fulfilled.headers
    assert "Hub" == (await callback_of(paying.payee, order.transfer_id, "PUT COMMITTED")).source
    await eventually(
        paying.scheme,
        {
            paying.payer.name: before[paying.payer.name] + 10 * UNIT,
            paying.payee.name: before[paying.payee.name] - 10 * UNIT,
            paying.third.name: before[paying.third.name],
        },
    )


async def committed_after_reserved(paying: PayingHub) -> None:
    before = await paying.positions()
    order = paying.payer.order(paying.payee, UNIT, CURRENCY, behaviour=Behaviour.RESERVE)
    await paying.payer.post_transfer(order)
    assert "Hub" == (await callback_of(paying.payer, order.transfer_id, "PUT COMMITTED")).source
    patch = await callback_of(paying.payee, order.transfer_id, "PATCH COMMITTED")
    assert "fulfilment" not in patch.content
    assert "accept" not in patch.headers
    await paying.have_paid(before, paying.payer, paying.payee)


async def rejected(paying: PayingHub) -> None:
    before = await paying.positions()
    order = paying.payer.order(paying.payee, 7 * UNIT, CURRENCY, behaviour=Behaviour.REJECT)
    await paying.payer.post_transfer(order)
    assert paying.payee.name == (await callback_of(paying.payer, order.transfer_id, "ERROR 5105")).source
    await eventually(paying.scheme, before)


async def wrong_fulfilment(paying: PayingHub) -> None:
    before = await paying.positions()
    order = paying.payer.order(paying.payee, 7 * UNIT, CURRENCY, behaviour=Behaviour.WRONG_FULFILMENT)
    await paying.payer.post_transfer(order)
    error = await callback_of(paying.payer, order.transfer_id, "ERROR 3100")
    assert "Generic validation error - invalid fulfilment" == error.content["errorInformation"]["errorDescription"]
    await callback_of(paying.payee, order.transfer_id, "ERROR 3100")
    await eventually(paying.scheme, before)


async def timed_out(paying: PayingHub) -> None:
    before = await paying.positions()
    order = paying.payer.order(paying.payee, 7 * UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=2)
    await paying.payer.post_transfer(order)
    error = await callback_of(paying.payer, order.transfer_id, "ERROR 3303")
    assert "Transfer expired" == error.content["errorInformation"]["errorDescription"]
    assert "Hub" == (await callback_of(paying.payee, order.transfer_id, "ERROR 3303")).source
    await eventually(paying.scheme, before)


async def refused_for_the_limit(paying: PayingHub) -> None:
    before = await paying.positions()
    for amount, code in ((2_000, "4200"), (9_000, "4001")):
        order = paying.payer.order(paying.payee, amount * UNIT, CURRENCY)
        await paying.payer.post_transfer(order)
        await callback_of(paying.payer, order.transfer_id, f"ERROR {code}")
        assert [] == paying.payee.callbacks_of(order.transfer_id)
    await eventually(paying.scheme, before)


async def duplicates(paying: PayingHub) -> None:
    before = await paying.positions()
    order = paying.payer.order(paying.payee, UNIT, CURRENCY)
    await paying.payer.post_transfer(order)
    await callback_of(paying.payer, order.transfer_id, "PUT COMMITTED")
    before[paying.payer.name] += UNIT
    before[paying.payee.name] -= UNIT
    await paying.payer.post_transfer(order)
    again = await callback_of(paying.payer, order.transfer_id, "PUT COMMITTED", count=2)
    assert "Hub" == again.source
    await paying.payer.post_transfer(replace(order, amount_units=2 * UNIT))
    modified = await callback_of(paying.payer, order.transfer_id, "ERROR 3106")
    assert "Modified request" == modified.content["errorInformation"]["errorDescription"]
    fulfilment = paying.payee.fulfilment_of(order.terms.ilp_packet)
    await paying.payee.client.put_fulfil(order.transfer_id, paying.payer.name, fulfilment, "RESERVED")
    await callback_of(paying.payee, order.transfer_id, "ERROR 3106")
    await eventually(paying.scheme, before)


async def lookups(paying: PayingHub) -> None:
    """Both sides find the transfer, wherever on the ring it is; strangers and unknown ids get their errors."""
    before = await paying.positions()
    order = paying.payer.order(paying.payee, UNIT, CURRENCY)
    await paying.payer.post_transfer(order)
    await callback_of(paying.payer, order.transfer_id, "PUT COMMITTED")
    await callback_of(paying.payee, order.transfer_id, "PUT COMMITTED")
    for party in (paying.payer, paying.payee):
        assert 202 == (await party.get_transfer(order.transfer_id)).status
        answer = await callback_of(party, order.transfer_id, "PUT COMMITTED", count=2)
        assert {"completedTimestamp", "transferState", "fulfilment"} <= answer.content.keys()
    await paying.third.get_transfer(order.transfer_id)
    stranger = await callback_of(paying.third, order.transfer_id, "ERROR 3000")
    assert "Generic client error" == stranger.content["errorInformation"]["errorDescription"]
    unknown = str(uuid.uuid4())
    await paying.third.get_transfer(unknown)
    await callback_of(paying.third, unknown, "ERROR 3208")
    await paying.have_paid(before, paying.payer, paying.payee)


async def what_was_agreed(paying: PayingHub) -> None:
    """The admin API shows the Transaction of the transfer's packet, wherever the transfer is; 3200 for no transfer."""
    before = await paying.positions()
    order = paying.payee.order(paying.third, UNIT, CURRENCY)
    await paying.payee.post_transfer(order)
    await callback_of(paying.payee, order.transfer_id, "PUT COMMITTED")
    transaction = await paying.scheme.admin.get(f"/transactions/{order.transfer_id}")
    assert {"amount": "1", "currency": CURRENCY} == transaction["amount"]
    status, answer = await request("GET", f"{paying.hub.urls.admin}/transactions/{uuid.uuid4()}", None, {})
    assert (400, "3200") == (status, json.loads(answer)["errorInformation"]["errorCode"])
    await paying.have_paid(before, paying.payee, paying.third)


async def strangers(paying: PayingHub) -> None:
    """A fulfil by a stranger changes nothing; one by the payee to a wrong destination finds its way, and aborts."""
    order = paying.payer.order(paying.payee, UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=30)
    await paying.payer.post_transfer(order)
    await callback_of(paying.payee, order.transfer_id, "POST")
    before = await paying.positions()
    fulfilment = paying.payee.fulfilment_of(order.terms.ilp_packet)
    await paying.third.client.put_fulfil(order.transfer_id, paying.payer.name, fulfilment, "COMMITTED")
    await callback_of(paying.third, order.transfer_id, "ERROR 3100")
    await eventually(paying.scheme, before)
    await paying.payee.client.put_fulfil(order.transfer_id, paying.third.name, fulfilment, "COMMITTED")
    await callback_of(paying.payer, order.transfer_id, "ERROR 3100")
    await eventually(paying.scheme, {**before, paying.payer.name: before[paying.payer.name] - UNIT})
    never = str(uuid.uuid4())
    await paying.payee.client.put_fulfil(never, paying.payer.name, fulfilment, "COMMITTED")
    unknown = await callback_of(paying.payee, never, "ERROR 2001")
    assert "transfer not found" in unknown.content["errorInformation"]["errorDescription"]


async def one_id_of_two_payers(paying: PayingHub) -> None:
    """The payee's answer without a destination meets the other payer's transfer first, and commits its own."""
    first = paying.payer.order(paying.payee, UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=60)
    second = paying.third.order(paying.payee, 2 * UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=60)
    second = replace(second, transfer_id=first.transfer_id)
    before = await paying.positions()
    for dfsp, order in ((paying.payer, first), (paying.third, second)):
        assert 202 == (await dfsp.post_transfer(order)).status
    await callback_of(paying.payee, first.transfer_id, "POST", count=2)
    held = {
        paying.payer.name: before[paying.payer.name] + UNIT,
        paying.third.name: before[paying.third.name] + 2 * UNIT,
    }
    await eventually(paying.scheme, {**before, **held})

    body = fulfil_body(paying.payee.fulfilment_of(first.terms.ilp_packet), "COMMITTED")
    url = f"{paying.hub.urls.fspiop}/transfers/{first.transfer_id}"
    status, _answer = await request("PUT", url, body, callback_headers(paying.payee.name))
    assert 200 == status
    await callback_of(paying.payer, first.transfer_id, "PUT COMMITTED")
    await eventually(paying.scheme, {**before, **held, paying.payee.name: before[paying.payee.name] - UNIT})
    async with asyncio.timeout(10):  # and the hub has seen it
        metrics = f"http://127.0.0.1:{paying.hub.ports['ledger']}/metrics"
        while (
            b'clearinghub_alarms_total{event="id-used-twice"} 1.0' not in (await request("GET", metrics, None, {}))[1]
        ):
            await asyncio.sleep(0.2)


BAD_AMOUNTS = ("1.50", "-1", "1e3", "1234567890123456789", "", "01", "1.23456", "NaN", " 1")


async def test_bad_input_is_refused_and_leaves_nothing(paying: PayingHub) -> None:
    """Each a documented error, never a 5xx, and no record of it anywhere."""
    payer, payee, url = paying.payer, paying.payee, paying.hub.urls.fspiop
    order = payer.order(payee, UNIT, CURRENCY)
    good = json.loads(order.body())
    headers = request_headers(payer.name, payee.name)
    before = await paying.positions()
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
    await eventually(paying.scheme, before)


async def test_unknown_participants(paying: PayingHub) -> None:
    """An unknown payee is refused by callback, an unknown payer at once."""
    before = await paying.positions()
    order = paying.payer.order(paying.payee, UNIT, CURRENCY)
    await paying.payer.post_transfer(replace(order, payee="nobody"))
    error = await callback_of(paying.payer, order.transfer_id, "ERROR 3100")
    assert "Participant nobody not found" in error.content["errorInformation"]["errorDescription"]
    late = replace(paying.payer.order(paying.payee, UNIT, CURRENCY), expiration=timestamp(-5))
    await paying.payer.post_transfer(late)
    await callback_of(paying.payer, late.transfer_id, "ERROR 3100")
    forged = paying.payer.order(paying.payee, UNIT, CURRENCY)
    ghost = SimulatedDfsp("ghost", paying.hub.urls.fspiop)
    async with ghost:
        assert 400 == (await ghost.post_transfer(replace(forged, payer="ghost"))).status
    await asyncio.sleep(1)
    assert [] == paying.payee.callbacks_of(forged.transfer_id)
    await eventually(paying.scheme, before)


async def test_many_at_once(paying: PayingHub) -> None:
    """Two hundred transfers in both directions at the same time, every one committed, the sum right."""
    before = await paying.positions()
    pairs = [(paying.payer, paying.payee), (paying.payee, paying.payer), (paying.payee, paying.third)]
    orders = [(payer, payer.order(payee, UNIT, CURRENCY)) for _count in range(70) for payer, payee in pairs]
    answers = await asyncio.gather(*(payer.post_transfer(order) for payer, order in orders))
    assert {202} == {answer.status for answer in answers}
    done = await asyncio.gather(
        *(callback_of(payer, order.transfer_id, "PUT COMMITTED", within_s=30.0) for payer, order in orders)
    )
    assert {CallbackKind.FULFIL} == {one.kind for one in done}
    await eventually(
        paying.scheme,
        {
            paying.payer.name: before[paying.payer.name],
            paying.payee.name: before[paying.payee.name] + 70 * UNIT,
            paying.third.name: before[paying.third.name] - 70 * UNIT,
        },
    )
