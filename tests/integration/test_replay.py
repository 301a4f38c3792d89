"""Callbacks on the dead letter can be sent again (design 9)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.commands import run_process
from tests.integration.hub_under_test import CURRENCY, HubUnderTest, running_hub, scheme_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]
UNIT = 10_000


def replay(hub: HubUnderTest, *arguments: str) -> str:
    """Run the command as an operator does; return its output."""
    ended = run_process(hub.environment, "replay", *arguments)
    assert 0 == ended.code, ended.out + ended.said
    return ended.out


async def test_replay_delivers_dead_lettered_callbacks(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Callbacks refused with 400 are dead-lettered at once; replayed to the repaired payee, they arrive."""
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub,
        scheme_of(hub, "payer1", "payee1", cap_units=1_000 * UNIT, funds_units=1_000 * UNIT) as (_scheme, dfsps),
    ):
        payer, payee = dfsps
        payee.outage_status = 400
        order = payer.order(payee, UNIT, CURRENCY, lifetime_s=120)
        await payer.post_transfer(order)
        deadline = time.monotonic() + 20
        while "payee1" not in (counted := await asyncio.to_thread(replay, hub, "--dry-run")):
            assert time.monotonic() < deadline, counted
            await asyncio.sleep(0.2)
        assert "1 callbacks would be sent again" in counted
        assert "0 callbacks" in await asyncio.to_thread(replay, hub, "--receiver", "payer1")
        assert [] == payee.callbacks_of(order.transfer_id)

        payee.outage_status = None
        assert "1 callbacks sent again" in await asyncio.to_thread(replay, hub, "--receiver", "payee1")
        await payer.wait_for(order.transfer_id, lambda one: one.label == "PUT COMMITTED", timeout_s=20)
