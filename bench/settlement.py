"""Measure how long it takes to close a settlement window, and whether transfers are slower meanwhile.

    python -m bench.settlement --seconds 20 --transfers 1000000

First, transfers at a steady rate, in turns without and with a window closing every second: their latency from the
prepare to the payer's outcome. Then the time from the request to close a window until it is CLOSED, for windows of
1,000 transfers and of many. Most of the many are rows written to the tables of the stopped ledger (filled_window.py).
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.filled_window import fill_window
from clearinghub.kafka.broker import LocalBroker
from clearinghub.tools.client.admin import AdminClient
from tests.integration.hub_under_test import PARTITIONS
from tests.integration.ledger_load import LedgerLoad
from tests.integration.test_settlement_windows import (
    NAMES,
    all_closed,
    close_open_window,
    set_up,
    start_second,
    two_ledgers,
)

FEW = 1_000
CLOSINGS = 3
TURNS = 3
CLOSE_EVERY_S = 1.0
WARM_UP_S = 5
END_WITHIN_S = 600.0


async def in_turns(hub: Any, load: LedgerLoad, rate_per_s: int, seconds: int) -> dict[str, list[float]]:
    """Return the latencies in ms of transfers sent while no window closed, and while one closed every second."""
    found: dict[str, list[float]] = {"no window closes": [], "a window closes every second": []}
    load.start(rate_per_s)
    await asyncio.sleep(WARM_UP_S)
    for _ in range(TURNS):
        for name, latencies in found.items():
            began, known = time.monotonic(), set(load.committed)
            while time.monotonic() < began + seconds:
                if name.startswith("a window"):
                    await close_open_window(hub)
                await asyncio.sleep(CLOSE_EVERY_S)
            ended = time.monotonic()
            await asyncio.sleep(1)
            new = (load.committed[one] for one in load.committed.keys() - known)
            latencies += [latency_s * 1000 for sent_at, latency_s in new if began <= sent_at <= ended]
    await load.stop()
    await load.all_end(END_WITHIN_S)
    return found


async def closing_ms(hub: Any, transfers: int) -> float:
    """Close the open window of `transfers` transfers; return the ms until it is CLOSED, by the ledger's times."""
    number = await close_open_window(hub)
    closed = next(one for one in await all_closed(hub, END_WITHIN_S) if one["settlementWindowId"] == number)
    async with AdminClient(hub.urls.admin) as admin:
        following = (await admin.call("GET", f"/v2/settlementWindows/{number + 1}")).content
    assert transfers == sum(content["transfers"] for content in closed["content"])
    duration = datetime.fromisoformat(closed["changedDate"]) - datetime.fromisoformat(following["createdDate"])
    return duration.total_seconds() * 1000


async def closings(hub: Any, load: LedgerLoad, bootstrap: str, many: int) -> dict[int, list[float]]:
    """Return the ms until windows are CLOSED, each after a restart of the ledger, by number of transfers."""
    await close_open_window(hub)
    # Each DFSP pays equally often, so the number of transfers is rounded down.
    filled = (many - FEW) // len(NAMES) * len(NAMES)
    found: dict[int, list[float]] = {FEW: [], FEW + filled: []}
    for transfers, closings_ms in found.items():
        for _ in range(CLOSINGS):
            await load.send(FEW)
            await load.all_end(END_WITHIN_S)
            for name in ("ledger", "ledger-1"):
                await hub.stop(name)
            if transfers > FEW:
                application = hub.environment["CLEARINGHUB_APPLICATION_ID"]
                await fill_window(bootstrap, application, PARTITIONS, NAMES, filled)
            hub.start("ledger")
            start_second(hub, hub.second_port)
            await hub.healthy()
            closings_ms.append(await closing_ms(hub, transfers))
    return found


async def run(rate_per_s: int, seconds: int, transfers: int) -> None:
    """Measure everything on a broker of our own and print the table."""
    table = Table("", "transfers", "p50 ms", "p99 ms", title="Settlement windows")
    with tempfile.TemporaryDirectory() as scratch:
        folder, prefix = Path(scratch), f"bench-{uuid.uuid4().hex[:8]}-"
        with LocalBroker(folder / "kafka", pid_file=folder / "kafka.pid") as broker:
            async with two_ledgers(broker.bootstrap, prefix, folder / "hub") as hub:
                await set_up(hub)
                async with LedgerLoad.of(broker.bootstrap, prefix, NAMES, seed=1) as load:
                    for name, latencies in (await in_turns(hub, load, rate_per_s, seconds)).items():
                        cuts = quantiles(latencies, n=100)
                        table.add_row(name, f"{len(latencies):,}", f"{cuts[49]:.0f}", f"{cuts[98]:.0f}")
                    for count, closings_ms in (await closings(hub, load, broker.bootstrap, transfers)).items():
                        shown = f"{median(closings_ms):.0f}"
                        table.add_row(f"from a close to CLOSED ({len(closings_ms)})", f"{count:,}", shown, "")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.settlement", description="Settlement windows.")
    parser.add_argument("--rate", type=int, default=200, help="transfers per second (default 200)")
    parser.add_argument("--seconds", type=int, default=20, help="of each turn (default 20)")
    parser.add_argument("--transfers", type=int, default=1_000_000, help="in the large window (default 1,000,000)")
    chosen = parser.parse_args()
    asyncio.run(run(chosen.rate, chosen.seconds, chosen.transfers))
