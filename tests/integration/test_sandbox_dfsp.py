"""Two simulated DFSPs pay each other through a fake hub."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import ClientSession

from sandbox.dfsp.behaviour import Behaviour
from sandbox.dfsp.messages import CallbackKind, Direction, Hop
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.screen import curl_command
from tests.integration.fake_hub import FakeHub
from tests.integration.fake_hub_admin import Dfsp

TEN = 100_000


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    hub = FakeHub()
    await hub.start()
    yield hub
    await hub.stop()


class Pair:
    """A payer and a payee that are registered with the hub, and the hops that they reported."""

    def __init__(self, hub: FakeHub) -> None:
        self.hops: list[Hop] = []
        self.hub = hub
        self.payer = SimulatedDfsp("payerbank", hub.url, observe=self.hops.append)
        self.payee = SimulatedDfsp("payeewallet", hub.url, observe=self.hops.append)

    async def start(self) -> None:
        for dfsp in (self.payer, self.payee):
            await dfsp.start()
            accounts = {("USD", "POSITION"): 0, ("USD", "SETTLEMENT"): -10 * TEN}
            self.hub.dfsps[dfsp.name] = Dfsp(accounts, {}, {"USD": 5 * TEN}, dfsp.endpoints)

    def position(self, dfsp: SimulatedDfsp) -> int:
        return self.hub.dfsps[dfsp.name].accounts["USD", "POSITION"]


@pytest.fixture
async def pair(hub: FakeHub) -> AsyncIterator[Pair]:
    pair = Pair(hub)
    await pair.start()
    yield pair
    await pair.payer.stop()
    await pair.payee.stop()


async def send(pair: Pair, behaviour: Behaviour, lifetime_s: int = 60) -> str:
    order = pair.payer.order(pair.payee, TEN, "USD", behaviour=behaviour, lifetime_s=lifetime_s)
    answer = await pair.payer.post_transfer(order)
    assert answer.status == 202
    return order.transfer_id


@pytest.mark.parametrize(
    ("behaviour", "to_payer", "to_payee", "moved"),
    [
        (Behaviour.COMMIT, "PUT COMMITTED", "PUT COMMITTED", TEN),
        (Behaviour.RESERVE, "PUT COMMITTED", "PATCH COMMITTED", TEN),
        (Behaviour.REJECT, "ERROR 5105", "ERROR 5105", 0),
        (Behaviour.WRONG_FULFILMENT, "ERROR 3100", "ERROR 3100", 0),
    ],
)
async def test_the_payee_behaves_as_the_transfer_demands(
    pair: Pair, behaviour: Behaviour, to_payer: str, to_payee: str, moved: int
) -> None:
    transfer_id = await send(pair, behaviour)

    callback = await pair.payer.wait_for(transfer_id)
    confirmed = await pair.payee.wait_for(transfer_id, lambda each: each.kind is not CallbackKind.PREPARE)

    assert to_payer == callback.label
    assert to_payee == confirmed.label
    assert (moved, -moved) == (pair.position(pair.payer), pair.position(pair.payee))


async def test_a_transfer_to_a_silent_payee_expires(pair: Pair) -> None:
    transfer_id = await send(pair, Behaviour.SILENT, lifetime_s=1)

    callback = await pair.payer.wait_for(transfer_id, timeout_s=5)

    assert callback.label == "ERROR 3303"
    assert [method for method, _, _ in pair.hub.requests] == ["POST"]


async def test_the_payees_own_setting_overrides_the_transfers(pair: Pair) -> None:
    pair.payee.always = Behaviour.REJECT

    transfer_id = await send(pair, Behaviour.COMMIT)

    assert (await pair.payer.wait_for(transfer_id)).label == "ERROR 5105"


async def test_headers_are_those_of_fspiop(pair: Pair) -> None:
    transfer_id = await send(pair, Behaviour.COMMIT)
    await pair.payer.wait_for(transfer_id)
    await pair.payer.get_transfer(transfer_id)

    sent = {method: headers for method, _, headers in pair.hub.requests}

    assert sent["POST"]["content-type"] == "application/vnd.interoperability.transfers+json;version=1.1"
    assert sent["POST"]["accept"] == "application/vnd.interoperability.transfers+json;version=1"
    assert (sent["POST"]["fspiop-source"], sent["POST"]["fspiop-destination"]) == ("payerbank", "payeewallet")
    assert sent["POST"]["date"].endswith(" GMT")
    assert (sent["PUT"]["fspiop-source"], sent["PUT"]["fspiop-destination"]) == ("payeewallet", "payerbank")
    assert "accept" not in sent["PUT"]
    assert "accept" in sent["GET"]
    assert "content-type" in sent["GET"]


async def test_hops_report_the_whole_journey_in_order(pair: Pair) -> None:
    transfer_id = await send(pair, Behaviour.COMMIT)
    await pair.payer.wait_for(transfer_id)
    await pair.payee.wait_for(transfer_id, count=2)
    await asyncio.sleep(0.05)

    times = [hop.at_ns for hop in pair.hops]
    reported = {(hop.dfsp, hop.direction, hop.what) for hop in pair.hops}

    assert reported == {
        ("payerbank", Direction.TO_HUB, "POST /transfers 10 USD"),
        ("payerbank", Direction.FROM_HUB, "202 Accepted"),
        ("payeewallet", Direction.FROM_HUB, "POST /transfers 10 USD"),
        ("payeewallet", Direction.TO_HUB, "PUT /transfers/… COMMITTED"),
        ("payeewallet", Direction.FROM_HUB, "200 OK"),
        ("payerbank", Direction.FROM_HUB, "PUT /transfers/… COMMITTED"),
        ("payeewallet", Direction.FROM_HUB, "PUT /transfers/… COMMITTED"),
    }
    assert len(pair.hops) == 7
    assert times[0] == min(times)


async def test_a_get_of_either_side_is_answered_by_callback(pair: Pair) -> None:
    transfer_id = await send(pair, Behaviour.REJECT)
    await pair.payer.wait_for(transfer_id)

    for dfsp in (pair.payer, pair.payee):
        await dfsp.get_transfer(transfer_id)
        answer = await dfsp.wait_for(transfer_id, lambda each: each.kind is CallbackKind.FULFIL)
        assert answer.label == "PUT ABORTED"
        assert answer.cause == "5105: some text"


async def test_an_order_can_be_sent_again_or_changed(pair: Pair) -> None:
    order = pair.payer.order(pair.payee, TEN, "USD")
    await pair.payer.post_transfer(order)
    await pair.payer.wait_for(order.transfer_id)

    await pair.payer.post_transfer(order)
    again = await pair.payer.wait_for(order.transfer_id, count=2)
    await pair.payer.post_transfer(replace(order, amount_units=TEN + 1))
    changed = await pair.payer.wait_for(order.transfer_id, count=3)

    assert (again.label, again.source) == ("PUT COMMITTED", "Hub")
    assert changed.label == "ERROR 3106"


async def test_waiting_in_vain_reports_what_was_received(pair: Pair) -> None:
    transfer_id = await send(pair, Behaviour.COMMIT)
    await pair.payer.wait_for(transfer_id)

    with pytest.raises(TimeoutError, match=r"payerbank waited 0\.1 s .* it saw PUT COMMITTED"):
        await pair.payer.wait_for(transfer_id, count=2, timeout_s=0.1)


async def test_during_an_outage_callbacks_are_refused(pair: Pair) -> None:
    pair.payee.outage_status = 503
    transfer_id = await send(pair, Behaviour.COMMIT)

    with pytest.raises(TimeoutError):
        await pair.payee.wait_for(transfer_id, timeout_s=0.2)

    assert pair.payee.turned_away == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"1"])
async def test_a_callback_that_is_no_object_is_refused(pair: Pair, body: bytes) -> None:
    url = pair.payer.endpoints["FSPIOP_CALLBACK_URL_TRANSFER_PUT"].replace("{{transferId}}", "some")
    async with ClientSession() as session, session.put(url, data=body) as response:
        assert response.status == 400

    assert pair.payer.callbacks_of("some") == []


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="needs bash and curl")
async def test_the_printed_curl_command_sends_a_new_transfer_each_time(pair: Pair) -> None:
    terms = pair.payee.quote("payerbank", TEN, "USD", "00000000-0000-4000-8000-000000000000")
    line = curl_command(pair.hub.url, "payerbank", "payeewallet", TEN, "USD", terms)
    assert "\n" not in line

    for _ in range(2):
        shell = await asyncio.create_subprocess_exec("bash", "-c", line, stdout=asyncio.subprocess.PIPE)
        printed, _ = await shell.communicate()
        assert shell.returncode == 0
        assert b"202 Accepted" in printed

    assert len(pair.hub.transfers) == 2
    for transfer_id in pair.hub.transfers:
        assert (await pair.payer.wait_for(transfer_id)).label == "PUT COMMITTED"
    assert pair.position(pair.payer) == 2 * TEN
