"""The roles as processes: they stop and continue, are killed and restarted, lose the broker and find it again."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from clearinghub.kafka.broker import LocalBroker
from clearinghub.roles.all import ROLES
from sandbox.dfsp.behaviour import Behaviour
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from tests.integration.hub_under_test import (
    CURRENCY,
    STOP_WITHIN_S,
    eventually,
    free_port,
    position_units,
    running_hub,
    scheme_of,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]
UNIT = 10_000
CAP = 1_000 * UNIT
FUNDS = 5_000 * UNIT


async def committed(payer: SimulatedDfsp, transfer_id: str, within_s: float = 30.0) -> None:
    """Wait until the payer is notified of the transfer's end."""
    await payer.wait_for(transfer_id, lambda one: one.label == "PUT COMMITTED", timeout_s=within_s)


def is_committed(payer: SimulatedDfsp, transfer_id: str) -> bool:
    """Whether the payer is notified of the transfer's end."""
    return any(one.label == "PUT COMMITTED" for one in payer.callbacks_of(transfer_id))


async def test_a_second_start_continues_where_the_first_ended(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """SIGTERM stops each role within bounds; a transfer that was in flight then commits after the next start."""
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub,
        scheme_of(hub, "payer1", "payee1", cap_units=CAP, funds_units=FUNDS) as (scheme, dfsps),
    ):
        payer, payee = dfsps
        order = payer.order(payee, 5 * UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=120)
        await payer.post_transfer(order)
        await payee.wait_for(order.transfer_id)
        took_s = [await hub.stop(role) for role in reversed(ROLES)]
        assert max(took_s) < STOP_WITHIN_S
        for role in ROLES:
            hub.start(role)
        await hub.healthy()
        assert 5 * UNIT == await position_units(scheme, payer.name)
        fulfilment = payee.fulfilment_of(order.terms.ilp_packet)
        await payee.client.put_fulfil(order.transfer_id, payer.name, fulfilment, "COMMITTED")
        await committed(payer, order.transfer_id)
        await eventually(scheme, {payer.name: 5 * UNIT, payee.name: -5 * UNIT})


async def test_kills_under_load(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Every role is killed with -9 while transfers flow; each that got 202 ends, positions are right."""
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub,
        scheme_of(hub, "payer1", "payee1", cap_units=9_000 * UNIT, funds_units=9_000 * UNIT) as (scheme, dfsps),
    ):
        payer, payee = dfsps
        orders = [payer.order(payee, UNIT, CURRENCY, lifetime_s=300) for _count in range(300)]
        accepted: list[str] = []

        async def send() -> None:
            for order in orders:
                try:
                    answer = await payer.post_transfer(order)
                    if answer.status == 202:
                        accepted.append(order.transfer_id)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.2)
                await asyncio.sleep(0.02)

        async def kill() -> None:
            for role in ROLES:
                await asyncio.sleep(1.5)
                hub.kill(role)
                hub.start(role)

        await asyncio.gather(send(), kill())
        await hub.healthy()
        assert len(accepted) > 100
        # A fulfil that the killed ingress did not accept is sent again, as a DFSP does.
        for transfer_id in accepted:
            order = next(one for one in orders if one.transfer_id == transfer_id)
            if not is_committed(payer, transfer_id):
                await payee.wait_for(transfer_id, timeout_s=30)
                fulfilment = payee.fulfilment_of(order.terms.ilp_packet)
                await payee.client.put_fulfil(transfer_id, payer.name, fulfilment, "COMMITTED")
        for transfer_id in accepted:
            await committed(payer, transfer_id)
        finished = [one for one in orders if is_committed(payer, one.transfer_id)]
        await eventually(scheme, {payer.name: len(finished) * UNIT, payee.name: -len(finished) * UNIT}, within_s=30)


async def test_two_ledgers(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Two ledger workers share the partitions; when one dies the other answers for all of them."""
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub:
        hub.start("ledger", "second", instance="1", ledger_port=free_port())
        async with scheme_of(hub, "payer1", "payee1", cap_units=CAP, funds_units=FUNDS) as (scheme, dfsps):
            payer, payee = dfsps
            for number in (1, 2):
                order = payer.order(payee, UNIT, CURRENCY)
                await payer.post_transfer(order)
                await committed(payer, order.transfer_id, within_s=60)
                await eventually(scheme, {payer.name: number * UNIT, payee.name: -number * UNIT}, within_s=30)
                if number == 1:
                    hub.kill("ledger")
                    await asyncio.sleep(7)
                    await hub.healthy()


async def test_broker_away(topic_prefix: str, tmp_path: Path) -> None:
    """Without the broker nothing is accepted: 503 and 2003; once it is back, the hub continues by itself."""
    broker = LocalBroker(tmp_path / "kafka", pid_file=tmp_path / "kafka.pid")
    bootstrap = broker.start()
    try:
        async with (
            running_hub(bootstrap, topic_prefix, tmp_path / "hub", record_timeout_ms=1_500) as hub,
            scheme_of(hub, "payer1", "payee1", cap_units=CAP, funds_units=FUNDS) as (scheme, dfsps),
        ):
            payer, payee = dfsps
            broker.stop(timeout_s=5)
            refused = payer.order(payee, UNIT, CURRENCY)
            started = time.monotonic()
            answer = await payer.post_transfer(refused)
            assert (503, "2003") == (answer.status, answer.error_code), json.dumps(answer.content)
            assert time.monotonic() - started < 5
            hub.kill("callbacks")
            hub.start("callbacks")
            await asyncio.sleep(3)
            assert hub.processes["callbacks"].poll() is None, "a role that is started now waits for its broker"
            broker.start()
            await hub.healthy()
            order = payer.order(payee, UNIT, CURRENCY)
            deadline = time.monotonic() + 60
            while (await payer.post_transfer(order)).status != 202:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
            await committed(payer, order.transfer_id, within_s=90)
            await asyncio.sleep(2)
            assert [] == payee.callbacks_of(refused.transfer_id)
            await eventually(scheme, {payer.name: UNIT, payee.name: -UNIT})
    finally:
        broker.stop(timeout_s=5)
