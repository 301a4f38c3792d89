"""Windows close under load while ledger workers are killed: each transfer is in one window, and every net is right."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from clearinghub.tools.client.admin import AdminClient, AdminError
from sandbox.scheme import Scheme
from tests.commands import run_aside
from tests.integration.hub_under_test import (
    CURRENCY,
    PARTITIONS,
    HubUnderTest,
    free_port,
)
from tests.integration.ledger_load import LedgerLoad
from tests.topics import records_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1_800)]

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
WINDOWS = int(os.environ.get("SETTLEMENT_WINDOWS") or 15)
KILL_EVERY = 6
RATE_PER_S = 200
SEED = 20_260_303
UNIT = 10_000
# Long time limits: on a busy machine, only workers that the test kills may look dead.
PATIENCE = {"session_timeout_ms": 12_000, "command_timeout_ms": 15_000}


@asynccontextmanager
async def two_ledgers(bootstrap: str, prefix: str, folder: Path) -> AsyncIterator[HubUnderTest]:
    """Yield a hub with two ledger processes, without the role `callbacks`: the load reads the notifications itself."""
    hub = HubUnderTest(bootstrap, prefix, folder, **PATIENCE)
    second = free_port()
    try:
        hub.start("ledger")
        hub.start("admin-api")
        hub.start("ingress")
        await asyncio.sleep(1)  # start one after the other: one rebalance at a time
        start_second(hub, second)
        await hub.healthy()
        hub.second_port = second  # type: ignore[attr-defined]
        yield hub
    finally:
        hub.close()


def start_second(hub: HubUnderTest, port: int) -> None:
    hub.start("ledger", "ledger-1", instance=1, ledger_port=port)


async def set_up(hub: HubUnderTest) -> None:
    """Set up a currency, and DFSPs with more funds than they need."""
    async with AdminClient(hub.urls.admin) as admin:
        scheme = Scheme(admin, "Hub", CURRENCY, step_timeout_s=180)
        await scheme.ensure_currency()
        for name in NAMES:
            await scheme.ensure_dfsp(name, 10_000_000 * UNIT, {})
            await scheme.ensure_funds(name, 100_000_000 * UNIT)


async def close_open_window(hub: HubUnderTest) -> int:
    """Close the open window, however often that must be repeated; return its number."""
    async with AdminClient(hub.urls.admin) as admin:
        while True:
            try:
                (window,) = (await admin.call("GET", "/v2/settlementWindows?state=OPEN")).content
                number: int = window["settlementWindowId"]
                await admin.call("POST", f"/v2/settlementWindows/{number}", {"state": "CLOSED", "reason": "test"})
            except AdminError:
                await asyncio.sleep(0.3)  # the coordinator was killed, or the window has no transfer yet
            else:
                return number


async def all_closed(hub: HubUnderTest, within_s: float) -> list[dict[str, Any]]:
    """Wait until no window is being closed; return the closed ones."""
    async with AdminClient(hub.urls.admin) as admin, asyncio.timeout(within_s):
        while True:
            reply = await admin.call("GET", "/v2/settlementWindows?fromDateTime=2000-01-01")
            states = Counter(window["state"] for window in reply.content)
            assert "FAILED" not in states, reply.content
            if set(states) == {"OPEN", "CLOSED"}:
                return [window for window in reply.content if window["state"] == "CLOSED"]
            await asyncio.sleep(0.2)


async def committed_transfers(bootstrap: str, prefix: str) -> list[dict[str, Any]]:
    """Return all committed transfers between DFSPs, from topic `transfers`."""
    rows = [orjson.loads(record.value) for record in await records_of(bootstrap, f"{prefix}transfers", PARTITIONS)]
    return [row for row in rows if row["state"] == "COMMITTED" and row["kind"] == "transfer"]


def recomputed(rows: list[dict[str, Any]]) -> dict[int, Counter[str]]:
    """Return the nets of each window, computed from the transfers alone."""
    nets: dict[int, Counter[str]] = {}
    for row in rows:
        of_window = nets.setdefault(row["window"], Counter())
        of_window[row["payer"]] += row["amount"]
        of_window[row["payee"]] -= row["amount"]
    return nets


async def reported_nets(hub: HubUnderTest, number: int) -> tuple[Counter[str], int]:
    """Return the nets of a window as the hub reports them, and the number of debits."""
    async with AdminClient(hub.urls.admin) as admin:
        (content,) = (await admin.call("GET", f"/v2/settlementWindows/{number}/nets")).content["content"]
    nets = Counter({one["participant"]: int(one["netAmount"] * UNIT) for one in content["nets"]})
    return nets, sum(one["debitCount"] for one in content["nets"])


async def test_windows_close_while_workers_die(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Windows are closed at random moments under load; during some, a worker is killed with -9."""
    chance = random.Random(SEED)
    closed, kills = 0, 0
    async with two_ledgers(kafka_bootstrap, topic_prefix, tmp_path) as hub:
        await set_up(hub)
        async with LedgerLoad.of(kafka_bootstrap, topic_prefix, NAMES, SEED) as load:
            load.start(RATE_PER_S)
            while closed < WINDOWS:
                await asyncio.sleep(chance.uniform(0.05, 1.0))
                closing = asyncio.create_task(close_open_window(hub))
                if closed % KILL_EVERY == KILL_EVERY - 1:
                    await asyncio.sleep(chance.uniform(0.0, 0.08))
                    victim = ("ledger", "ledger-1")[kills % 2]
                    hub.kill(victim)
                    kills += 1
                    if victim == "ledger":
                        hub.start("ledger")
                    else:
                        start_second(hub, hub.second_port)  # type: ignore[attr-defined]
                await closing
                closed += 1
                print(f"closed {closed}, killed {kills}, committed {len(load.committed)}", flush=True)
            await load.stop()
            await load.all_end(within_s=300)
            await close_open_window(hub)
        windows = await all_closed(hub, within_s=120)
        rows = await committed_transfers(kafka_bootstrap, topic_prefix)
        expected = recomputed(rows)
        assert WINDOWS <= len(windows)
        assert sorted(expected) == sorted(window["settlementWindowId"] for window in windows)
        for number, nets in expected.items():
            reported, count = await reported_nets(hub, number)
            assert nets == reported, f"window {number}"
            assert 0 == reported.total()
            assert sum(row["window"] == number for row in rows) == count
        ids = Counter(row["transferId"] for row in rows)
        assert set(load.committed) == set(ids)
        assert {1} == set(ids.values())
        audit = await run_aside(hub.environment, "audit")
        assert 0 == audit.code, audit.out[-3_000:]
    print(f"\nwindows: {len(windows)} closed, {kills} kills with -9, {len(rows)} transfers, missing 0, twice 0")
