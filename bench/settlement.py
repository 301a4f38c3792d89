"""Measure how long it takes to close a settlement window, and whether transfers are slower meanwhile.

    python -m bench.settlement --seconds 20 --transfers 1000000

First, transfers at a steady rate, in turns without and with a window closing every second: their latency from the
prepare to the payer's outcome. Then a backup of that hub, with 1,000 transfers in its open window, is filled
(filled_copy.py) and restored, several times: the time from the request to close the window until it is CLOSED, for
windows of 1,000 transfers and of many.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.filled_copy import fill_copy
from clearinghub.kafka.broker import LocalBroker
from clearinghub.tools.client.admin import AdminClient
from tests.commands import run_aside
from tests.integration.hub_under_test import HubUnderTest
from tests.integration.ledger_load import LedgerLoad
from tests.integration.test_settlement_windows import NAMES, all_closed, close_open_window, set_up, two_ledgers

FEW: Final = 1_000
CLOSINGS: Final = 3
TURNS: Final = 3
CLOSE_EVERY_S: Final = 1.0
WARM_UP_S: Final = 5
END_WITHIN_S: Final = 600.0
COMMAND_WITHIN_S: Final = 3_600


async def in_turns(hub: HubUnderTest, load: LedgerLoad, rate_per_s: int, seconds: int) -> dict[str, list[float]]:
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


async def closing_ms(hub: HubUnderTest, transfers: int) -> float:
    """Close the open window of `transfers` transfers; return the ms until it is CLOSED, by the ledger's times."""
    number = await close_open_window(hub)
    closed = next(one for one in await all_closed(hub, END_WITHIN_S) if one["settlementWindowId"] == number)
    async with AdminClient(hub.urls.admin) as admin:
        following = (await admin.call("GET", f"/v2/settlementWindows/{number + 1}")).content
    assert transfers == sum(content["transfers"] for content in closed["content"])
    duration = datetime.fromisoformat(closed["changedDate"]) - datetime.fromisoformat(following["createdDate"])
    return duration.total_seconds() * 1000


async def closings(bootstrap: str, copies: Mapping[int, Path], folder: Path) -> dict[int, list[float]]:
    """Return the ms until windows are CLOSED, each in a hub restored from a copy, by number of transfers."""
    found: dict[int, list[float]] = {}
    for transfers, copy in copies.items():
        found[transfers] = []
        for number in range(CLOSINGS):
            prefix = f"closing-{transfers}-{number}-"
            await ran(HubUnderTest(bootstrap, prefix, folder / prefix).environment, "restore", copy)
            async with two_ledgers(bootstrap, prefix, folder / prefix) as hub:
                found[transfers].append(await closing_ms(hub, transfers))
    return found


async def ran(environment: Mapping[str, str], what: str, copy: Path) -> None:
    """Make or restore a copy."""
    code, _out, said = await run_aside(environment, what, copy, within_s=COMMAND_WITHIN_S)
    if code:
        raise RuntimeError(f"{what} ended with exit code {code}: {said}")


async def few_in_open_window(hub: HubUnderTest, load: LedgerLoad) -> None:
    """Close the window of the turns, and send the few transfers of the next."""
    await close_open_window(hub)
    await all_closed(hub, END_WITHIN_S)
    before = len(load.committed)
    await load.send(FEW)
    await load.all_end(END_WITHIN_S)
    assert before + FEW == len(load.committed), f"{load.refused} transfers were refused"


async def run(rate_per_s: int, seconds: int, transfers: int) -> None:
    """Measure everything on a broker of our own and print the table."""
    table = Table("", "transfers", "p50 ms", "p99 ms", title="Settlement windows")
    # Each DFSP pays equally often, so the number of transfers is rounded down.
    filled = (transfers - FEW) // len(NAMES) * len(NAMES)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        few, many = folder / "few", folder / "many"
        with LocalBroker(folder / "kafka", pid_file=folder / "kafka.pid") as broker:
            async with two_ledgers(broker.bootstrap, "turns-", folder / "turns") as hub:
                await set_up(hub)
                async with LedgerLoad.of(broker.bootstrap, "turns-", NAMES, seed=1) as load:
                    for name, latencies in (await in_turns(hub, load, rate_per_s, seconds)).items():
                        cuts = quantiles(latencies, n=100)
                        table.add_row(name, f"{len(latencies):,}", f"{cuts[49]:.0f}", f"{cuts[98]:.0f}")
                    await few_in_open_window(hub, load)
                await ran(hub.environment, "backup", few)
            await asyncio.to_thread(fill_copy, few, many, NAMES, filled)
            for count, ms in (await closings(broker.bootstrap, {FEW: few, FEW + filled: many}, folder)).items():
                table.add_row(f"from a close to CLOSED ({len(ms)})", f"{count:,}", f"{median(ms):.0f}", "")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.settlement", description="Settlement windows.")
    parser.add_argument("--rate", type=int, default=200, help="transfers per second (default 200)")
    parser.add_argument("--seconds", type=int, default=20, help="of each turn (default 20)")
    parser.add_argument("--transfers", type=int, default=1_000_000, help="in the large window (default 1,000,000)")
    chosen = parser.parse_args()
    asyncio.run(run(chosen.rate, chosen.seconds, chosen.transfers))
