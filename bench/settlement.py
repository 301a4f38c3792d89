"""Settlement windows on a running ledger: what closing takes, and what transfers notice of it.

    python -m bench.settlement --seconds 20 --transfers 20000

In one run: transfers at a steady rate without and with a window closing every second, in turns, by their latency from
prepare to the payer's word; then the time from a close to CLOSED of a window with 1,000 transfers and of one with many.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from clearinghub.broker import LocalBroker
from clearinghub.client.admin import AdminClient
from tests.integration.ledger_load import LedgerLoad
from tests.integration.test_settlement_windows import NAMES, all_closed, close_open_window, set_up, two_ledgers

FEW = 1_000
TURNS = 3
CLOSE_EVERY_S = 1.0
WARM_UP_S = 5
END_WITHIN_S = 600.0


async def in_turns(hub: Any, load: LedgerLoad, rate_per_s: int, seconds: int) -> dict[str, list[float]]:
    """Latencies in milliseconds of transfers sent while no window closed, and while one did every second."""
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
            latencies += [took_s * 1000 for sent_at, took_s in new if began <= sent_at <= ended]
    await load.stop()
    await load.all_end(END_WITHIN_S)
    return found


async def closing_ms(hub: Any, load: LedgerLoad, transfers: int) -> float:
    """How long a window with so many transfers takes from its close to CLOSED, by the ledger's own times."""
    await close_open_window(hub) if load.committed else None
    for start in range(0, transfers, FEW):
        await load.send(min(FEW, transfers - start))
        await load.all_end(END_WITHIN_S)
    number = await close_open_window(hub)
    closed = next(one for one in await all_closed(hub, END_WITHIN_S) if one["settlementWindowId"] == number)
    async with AdminClient(hub.urls.admin) as admin:
        following = (await admin.call("GET", f"/v2/settlementWindows/{number + 1}")).content
    assert transfers == sum(content["transfers"] for content in closed["content"])
    took = datetime.fromisoformat(closed["changedDate"]) - datetime.fromisoformat(following["createdDate"])
    return took.total_seconds() * 1000


async def run(rate_per_s: int, seconds: int, transfers: int) -> None:
    """All of it, on a broker of its own."""
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
                    for count in (FEW, transfers):
                        took_ms = await closing_ms(hub, load, count)
                        table.add_row("from a close to CLOSED", f"{count:,}", f"{took_ms:.0f}", "")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.settlement", description="Settlement windows.")
    parser.add_argument("--rate", type=int, default=200, help="transfers per second (default 200)")
    parser.add_argument("--seconds", type=int, default=20, help="of each turn (default 20)")
    parser.add_argument("--transfers", type=int, default=20_000, help="in the large window (default 20,000)")
    chosen = parser.parse_args()
    asyncio.run(run(chosen.rate, chosen.seconds, chosen.transfers))
