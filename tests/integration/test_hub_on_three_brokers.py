"""The whole hub while one broker of three is killed or stopped: no role starts again, and payments hardly pause."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clearinghub.engine.partitioner import Partitioner
from sandbox.dfsp.behaviour import Behaviour
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from tests.integration.hub_under_test import CURRENCY, PARTITIONS, eventually, running_hub, scheme_of
from tests.kafka_cluster import LOSSES_TRIED, KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]
UNIT = 10_000
CAP = 9_000 * UNIT
PAUSE_S = 0.1
BEFORE_S, AFTER_S = 2.0, 11.0  # payments that stand still are waited for, however long that takes
STANDSTILL_AT_MOST_S = 15.0
COSTS_AT_MOST_S = 3.0
SEND_AGAIN = (503, 504)


@dataclass
class Payments:
    """What was sent, how long the hub took to accept it, and when it ended."""

    sent: list[str] = field(default_factory=list)
    refusals: int = 0
    longest_until_accepted_s: float = 0.0
    committed_at_s: list[float] = field(default_factory=list)

    async def pay(self, payer: SimulatedDfsp, payee: SimulatedDfsp, until_s: float) -> None:
        """Send payments until `until_s`, and wait until each is committed."""
        tasks = []
        while time.monotonic() < until_s:
            tasks.append(asyncio.create_task(self._one(payer, payee)))
            await asyncio.sleep(PAUSE_S)
        await asyncio.gather(*tasks)

    async def _one(self, payer: SimulatedDfsp, payee: SimulatedDfsp) -> None:
        order = payer.order(payee, UNIT, CURRENCY, behaviour=Behaviour.COMMIT, lifetime_s=120)
        began_s = time.monotonic()
        while (answer := await payer.post_transfer(order)).status in SEND_AGAIN:
            self.refusals += 1
            await asyncio.sleep(0.25)
        assert 202 == answer.status
        self.longest_until_accepted_s = max(self.longest_until_accepted_s, time.monotonic() - began_s)
        self.sent.append(order.transfer_id)
        await payer.wait_for(order.transfer_id, lambda one: one.label == "PUT COMMITTED", timeout_s=60)
        self.committed_at_s.append(time.monotonic())

    @property
    def standstill_s(self) -> float:
        """The longest time between two commits."""
        return max(two - one for one, two in itertools.pairwise(sorted(self.committed_at_s)))


@pytest.mark.parametrize("how", LOSSES_TRIED)
async def test_one_broker_of_three_is_lost(
    kafka_cluster: KafkaCluster, topic_prefix: str, tmp_path: Path, how: str
) -> None:
    await kafka_cluster.restore()
    async with (
        running_hub(kafka_cluster.bootstrap, topic_prefix, tmp_path, replication_factor=3) as hub,
        scheme_of(hub, "payer1", "payee1", cap_units=CAP, funds_units=CAP) as (scheme, dfsps),
    ):
        payer, payee = dfsps
        pids = {role: process.pid for role, process in hub.processes.items()}
        payments = Payments()
        paying = asyncio.create_task(payments.pay(payer, payee, time.monotonic() + BEFORE_S + AFTER_S))
        await asyncio.sleep(BEFORE_S)
        if "controller" in how:
            number = kafka_cluster.controller()
        else:
            number = await kafka_cluster.leader(f"{topic_prefix}prepare", _partition_of(payer.name))
        if how.startswith("stop"):
            await kafka_cluster.stop(number)
        else:
            kafka_cluster.kill(number)
        await paying
        await kafka_cluster.restore()
        alive = {role: process.pid for role, process in hub.processes.items() if process.poll() is None}
        await eventually(scheme, {payer.name: len(payments.sent) * UNIT, payee.name: -len(payments.sent) * UNIT})

        print(
            f"\n{how}: {len(payments.sent)} payments, {payments.refusals} refusals, longest until accepted "
            f"{payments.longest_until_accepted_s:.2f} s, longest without a commit {payments.standstill_s:.2f} s"
        )
        assert pids == alive, "\n".join(hub.logs(role) for role in pids)
        assert payments.standstill_s < STANDSTILL_AT_MOST_S
        assert payments.longest_until_accepted_s < COSTS_AT_MOST_S


def _partition_of(name: str) -> int:
    return Partitioner({"prepare": PARTITIONS})("prepare", name)
