"""`python -m bench.parties`: measure the built-in oracle with a thousand and with a million parties.

Starts a hub on KAFKA_BOOTSTRAP, with four partitions in one ledger process, and two DFSPs. Prints the latencies of
lookups (GET /parties sent to PUT /parties received, closed loop) with few parties and with many, the time of the
import, the ledger's memory, and the time until a worker without data answers its first lookup.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import psutil

from clearinghub.roles.all import ROLES
from clearinghub.tools.client.admin import AdminClient
from sandbox.scheme import Scheme
from tests.integration.hub_under_test import CURRENCY, REPOSITORY, HubUnderTest
from tests.integration.lookup_dfsp import LookupDfsp, shown, side_by_side

CAP: Final = 10_000_000
FIRST: Final = 27_710_000_000
FEW: Final = 1_000
IMPORT_TIMEOUT_S: Final = 3_600
HEALTHY_WITHIN_S: Final = 600.0


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.parties", description="The built-in oracle, loaded.")
    parser.add_argument("--parties", type=int, default=1_000_000)
    parser.add_argument("--lookups", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=10)
    return parser


async def run(parties: int, lookups: int, at_once: int) -> None:
    """Start the hub, measure, and print the results."""
    with tempfile.TemporaryDirectory(prefix="clearinghub-parties-") as scratch:
        folder = Path(scratch)
        hub = HubUnderTest(os.environ["KAFKA_BOOTSTRAP"], f"parties{uuid.uuid4().hex[:6]}-", folder)
        try:
            for role in ROLES:
                hub.start(role)
            await hub.urls.wait_until_healthy(HEALTHY_WITHIN_S, lambda _what: None)
            await _measure(hub, folder, parties, lookups, at_once)
        finally:
            hub.close()


async def _measure(hub: HubUnderTest, folder: Path, parties: int, lookups: int, at_once: int) -> None:
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(AdminClient(hub.urls.admin))
        scheme = Scheme(admin, "Hub", CURRENCY)
        await scheme.ensure_currency()
        dfsps = []
        for name in ("payer1", "payee1"):
            dfsps.append(await stack.enter_async_context(LookupDfsp(name, hub.urls.fspiop)))
            await scheme.ensure_dfsp(name, CAP, dfsps[-1].endpoints)
        payer = dfsps[0]
        dice = random.Random(1)

        async def look_up(known: int) -> str:
            numbers = [str(FIRST + dice.randrange(known)) for _ in range(lookups)]
            return shown(await side_by_side(lambda number: payer.look_up(numbers[number]), lookups, at_once))

        _import(hub, folder, 0, FEW)
        await look_up(FEW)
        print(f"{FEW:,} parties: {await look_up(FEW)}; ledger {_resident_mib(hub)} MiB")
        seconds = _import(hub, folder, FEW, parties)
        print(f"{parties - FEW:,} more imported in {seconds:.0f} s, {(parties - FEW) / seconds:,.0f}/s")
        await look_up(parties)
        print(f"{parties:,} parties: {await look_up(parties)}; ledger {_resident_mib(hub)} MiB")
        hub.kill("ledger")
        began_at = time.monotonic()
        hub.start("ledger", data_dir=folder / "elsewhere")
        await hub.urls.wait_until_healthy(HEALTHY_WITHIN_S, lambda _what: None)
        await payer.look_up(str(FIRST + parties - 1))
        print(f"a ledger without data answers {time.monotonic() - began_at:.1f} s after its start")
        print(f"{parties:,} parties: {await look_up(parties)}; ledger {_resident_mib(hub)} MiB")


def _import(hub: HubUnderTest, folder: Path, begin: int, end: int) -> float:
    path = folder / "parties.csv"
    with path.open("w") as file:
        file.writelines(_csv(begin, end))
    began_at = time.monotonic()
    command = [sys.executable, "-m", "clearinghub", "parties", "import", str(path)]
    subprocess.run(command, cwd=REPOSITORY, env=hub.environment, timeout=IMPORT_TIMEOUT_S, check=True)
    return time.monotonic() - began_at


def _csv(begin: int, end: int) -> Iterator[str]:
    yield "partyIdType,partyIdentifier,fspId\n"
    for number in range(begin, end):
        yield f"MSISDN,{FIRST + number},payee1\n"


def _resident_mib(hub: HubUnderTest) -> int:
    return int(psutil.Process(hub.processes["ledger"].pid).memory_info().rss) // 2**20


if __name__ == "__main__":
    chosen = options().parse_args()
    asyncio.run(run(chosen.parties, chosen.lookups, chosen.at_once))
