"""Measure what a backup costs a hub with many transfers, and how long a restore to more partitions takes.

    python -m bench.copies --transfers 1000000 --rate 200 --seconds 45

A small hub is copied, the copy is filled (filled_copy.py) and restored: that is the large hub. It then works at a
steady rate, in turns without and with a backup: the latency from the prepare to the payer's outcome. Then it stops,
as in a maintenance window, and the hub is copied, restored to more partitions, started, and audited.

The exit code is 1 if the p99 with backups is more than 20% above the one without, or anything is not right.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.filled_copy import fill_copy
from clearinghub.kafka.broker import LocalBroker
from tests.commands import run_aside
from tests.integration.hub_under_test import HubUnderTest
from tests.integration.ledger_load import LedgerLoad
from tests.integration.test_settlement_windows import NAMES, PATIENCE, set_up

PARTITIONS: Final = 4
GROWN: Final = 12
TURNS: Final = 3
WARM_UP_S: Final = 20
FIRST: Final = 300  # payments of the small hub
COMMAND_WITHIN_S: Final = 3_600
END_WITHIN_S: Final = 300.0
HEALTHY_WITHIN_S: Final = 900.0
P99_RATIO_MAX: Final = 1.2
console = Console(highlight=False)


@dataclass
class Proof:
    """What was measured: seconds by step, latencies in ms by kind of turn, and what was not right."""

    seconds: dict[str, float] = field(default_factory=dict)
    latencies: dict[str, list[float]] = field(default_factory=lambda: {"without": [], "with a backup": []})
    faults: list[str] = field(default_factory=list)

    def p99(self, kind: str) -> float:
        return quantiles(self.latencies[kind], n=100)[98]


@asynccontextmanager
async def hub_of(bootstrap: str, prefix: str, folder: Path, partitions: int) -> AsyncIterator[HubUnderTest]:
    """Yield a healthy hub without the role `callbacks`: the load reads the notifications itself."""
    hub = HubUnderTest(bootstrap, prefix, folder, partitions=partitions, **PATIENCE)
    try:
        hub.start("ledger")
        hub.start("admin-api")
        hub.start("ingress")
        await hub.urls.wait_until_healthy(HEALTHY_WITHIN_S, lambda _what: None)
        yield hub
    except BaseException:
        console.print(hub.logs("ledger"))
        raise
    finally:
        hub.close()


async def run(proof: Proof, step: str, environment: Mapping[str, str], *arguments: str | Path) -> str:
    """Run a command of the hub to its end; note how long it took, and whether it failed."""
    started = time.monotonic()
    code, out, said = await run_aside(environment, *arguments, within_s=COMMAND_WITHIN_S)
    proof.seconds[step] = time.monotonic() - started
    last = (said or out).strip().splitlines()[-1:]
    console.print(f"{step}: {proof.seconds[step]:.1f} s; {last[0] if last else ''}")
    if code:
        proof.faults.append(f"{step}: exit code {code}: {(out + said)[-2_000:]}")
    return out


async def in_turns(proof: Proof, hub: HubUnderTest, load: LedgerLoad, rate: int, seconds: int, folder: Path) -> None:
    """Measure latencies in turns of `seconds` without a backup, and in turns that last as long as a backup."""
    load.start(rate)
    await asyncio.sleep(WARM_UP_S)
    for turn in range(TURNS):
        for kind, latencies in proof.latencies.items():
            began, known = time.monotonic(), set(load.committed)
            if kind == "with a backup":
                await run(proof, f"backup {turn + 1} under load", hub.environment, "backup", folder / f"copy-{turn}")
            else:
                await asyncio.sleep(seconds)
            ended = time.monotonic()
            await asyncio.sleep(1)
            new = (load.committed[one] for one in load.committed.keys() - known)
            latencies += [latency_s * 1000 for sent_at, latency_s in new if began <= sent_at <= ended]
    await load.stop()
    await load.all_end(END_WITHIN_S)


async def prove(transfers: int, rate: int, seconds: int, folder: Path) -> Proof:
    proof = Proof()
    with LocalBroker(folder / "kafka", pid_file=folder / "kafka.pid") as broker:
        bootstrap = broker.bootstrap
        async with hub_of(bootstrap, "small-", folder / "small", PARTITIONS) as hub:
            await set_up(hub)
            async with LedgerLoad.of(bootstrap, "small-", NAMES, seed=1) as load:
                await load.send(FIRST)
                await load.all_end(END_WITHIN_S)
            await run(proof, "backup of the small hub", hub.environment, "backup", folder / "small-copy")
        started = time.monotonic()
        await asyncio.to_thread(fill_copy, folder / "small-copy", folder / "filled", NAMES, transfers)
        console.print(f"filled a copy with {transfers:,} transfers in {time.monotonic() - started:.0f} s")
        await large_hub(proof, bootstrap, rate, seconds, folder)
    return proof


async def large_hub(proof: Proof, bootstrap: str, rate: int, seconds: int, folder: Path) -> None:
    large = HubUnderTest(bootstrap, "large-", folder / "large", partitions=PARTITIONS)
    await run(proof, f"restore to {PARTITIONS} partitions", large.environment, "restore", folder / "filled")
    started = time.monotonic()
    async with hub_of(bootstrap, "large-", folder / "large", PARTITIONS) as hub:
        proof.seconds["start of the large hub"] = time.monotonic() - started
        async with LedgerLoad.of(bootstrap, "large-", NAMES, seed=2) as load:
            await in_turns(proof, hub, load, rate, seconds, folder)
        await run(proof, "audit before", hub.environment, "audit")
        await run(proof, "backup in maintenance", hub.environment, "backup", folder / "last")
    grown = HubUnderTest(bootstrap, "grown-", folder / "grown", partitions=GROWN)
    await run(proof, f"restore to {GROWN} partitions", grown.environment, "restore", folder / "last")
    started = time.monotonic()
    async with hub_of(bootstrap, "grown-", folder / "grown", GROWN) as hub:
        proof.seconds["start of the grown hub"] = time.monotonic() - started
        async with LedgerLoad.of(bootstrap, "grown-", NAMES, seed=3) as load:
            await load.send(FIRST)
            await load.all_end(END_WITHIN_S)
            if len(load.committed) != FIRST:
                proof.faults.append(f"{FIRST - len(load.committed)} payments of the grown hub were refused")
        await run(proof, "audit after", hub.environment, "audit")


def show(proof: Proof, transfers: int) -> int:
    """Print the figures; return the exit code."""
    table = Table("turns", "transfers", "p50 ms", "p99 ms", title=f"A hub with {transfers:,} transfers")
    for kind, latencies in proof.latencies.items():
        cuts = quantiles(latencies, n=100)
        table.add_row(kind, f"{len(latencies):,}", f"{cuts[49]:.0f}", f"{cuts[98]:.0f}")
    console.print(table)
    for step, seconds in proof.seconds.items():
        console.print(f"{step}: {seconds:.1f} s")
    ratio = proof.p99("with a backup") / proof.p99("without")
    console.print(f"p99 with a backup is {ratio:.2f} of that without")
    if ratio > P99_RATIO_MAX:
        proof.faults.append(f"the p99 with a backup is {ratio:.2f} of that without, more than {P99_RATIO_MAX}")
    for fault in proof.faults:
        console.print(f"NOT RIGHT: {fault}")
    return 1 if proof.faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.copies", description="Backup under load, and growth.")
    parser.add_argument("--transfers", type=int, default=1_000_000, help="in the hub (default 1,000,000)")
    parser.add_argument("--rate", type=int, default=200, help="transfers per second (default 200)")
    parser.add_argument("--seconds", type=int, default=45, help="of each turn without a backup (default 45)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        proof = asyncio.run(prove(chosen.transfers, chosen.rate, chosen.seconds, Path(scratch)))
    return show(proof, chosen.transfers)


if __name__ == "__main__":
    sys.exit(main())
