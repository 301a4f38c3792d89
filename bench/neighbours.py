"""`python -m bench.neighbours`: measure whether slow or dead oracles and DFSPs delay the traffic of healthy ones.

Starts a hub on KAFKA_BOOTSTRAP. Two healthy DFSPs exchange four lookups and four quotes at a time in a closed loop.
Meanwhile a third DFSP sends 20 requests a second to a *neighbour*: nobody, an oracle or DFSP that answers at once, an
oracle or DFSP that needs a minute, or one whose port is closed. For each neighbour the latencies of the healthy DFSPs
are printed, from the request sent to the callback received. A neighbour that answers shows what the additional load
costs by itself; one that does not should cost no more. Limits and breakers are the hub's settings (`CLEARINGHUB_...`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from sandbox.demo.tables import new_table, percentile
from sandbox.dfsp.parties import Party
from sandbox.dfsp.requests import PaymentIntent, quote_request
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.scheme import Scheme
from tests.integration.hub_under_test import CURRENCY, free_port, running_hub, scheme_of
from tests.integration.lookup_dfsp import SlowOracle

UNIT: Final = 10_000
PARTIES: Final = 50
SLOW_S: Final = 60.0
ASK_TIMEOUT_S: Final = 30.0
SETTLE_S: Final = 2.0  # between two neighbours, so that one does not pay for the requests of the last
PERCENTS: Final = (50, 95, 99)
NANOSECONDS_PER_MS: Final = 1_000_000


@dataclass
class Neighbour:
    """The receiver of the additional requests: an oracle (by its party type) or a DFSP; nobody if both are empty.

    `requests` and `refused` (503) count the additional requests; the latencies are those of the healthy DFSPs.
    """

    name: str
    party_type: str = ""
    dfsp: str = ""
    requests: int = 0
    refused: int = 0
    lookups_ns: list[int] = field(default_factory=list)
    quotes_ns: list[int] = field(default_factory=list)


NEIGHBOURS: Final = (
    Neighbour("alone"),
    Neighbour("oracle answers", party_type="ALIAS"),
    Neighbour("oracle slow", party_type="BUSINESS"),
    Neighbour("oracle dead", party_type="DEVICE"),
    Neighbour("DFSP answers", dfsp="third1"),
    Neighbour("DFSP slow", dfsp="slow1"),
    Neighbour("DFSP dead", dfsp="dead1"),
)


class Measure:
    """Measures two healthy DFSPs while a third one sends requests to a neighbour."""

    def __init__(self, dfsps: list[SimulatedDfsp], chosen: argparse.Namespace) -> None:
        self._payer, self._payee, self._third = dfsps
        self._chosen = chosen
        self._payees = [Party("MSISDN", str(27_710_000_000 + number), "payee1", "P") for number in range(PARTIES)]

    async def start(self) -> None:
        """Register the parties and warm the hub up."""
        await self._payee.agreements.register(self._payees)
        await self.beside(Neighbour("warm-up"))

    async def beside(self, neighbour: Neighbour) -> None:
        """Measure lookups and quotes while requests go to the neighbour; the latencies are added to it."""
        over = asyncio.Event()
        additional = asyncio.create_task(self._load(neighbour, over))
        try:
            await asyncio.gather(
                self._closed_loop(self._look_up, neighbour.lookups_ns),
                self._closed_loop(self._quote, neighbour.quotes_ns),
            )
        finally:
            over.set()
            await additional

    async def _closed_loop(self, ask: Callable[[int], Awaitable[object]], latencies_ns: list[int]) -> None:
        numbers = iter(range(self._chosen.count))

        async def one_after_the_other() -> None:
            latencies_ns.extend([await _timed(ask, number) for number in numbers])

        await asyncio.gather(*(one_after_the_other() for _ in range(self._chosen.at_once)))

    async def _look_up(self, number: int) -> None:
        await self._payer.agreements.look_up(self._payees[number % PARTIES].path)

    async def _quote(self, number: int) -> None:
        await self._quote_of(self._payer, self._payees[number % PARTIES])

    async def _quote_of(self, payer: SimulatedDfsp, payee: Party) -> None:
        content = quote_request(PaymentIntent(Party("MSISDN", "27720000000", payer.name, "P"), payee, UNIT, CURRENCY))
        await payer.agreements.request(
            "POST", "/quotes", content["quoteId"], payee.fsp, content, timeout_s=ASK_TIMEOUT_S
        )

    async def _load(self, neighbour: Neighbour, over: asyncio.Event) -> None:
        """Send requests at the chosen rate until `over`, without waiting for their callbacks."""
        while not over.is_set() and (neighbour.party_type or neighbour.dfsp):
            await self._send(neighbour)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 1 / self._chosen.rate)

    async def _send(self, neighbour: Neighbour) -> None:
        neighbour.requests += 1
        agreements, fresh = self._third.agreements, f"n{neighbour.requests}"
        if neighbour.party_type:
            path = f"{neighbour.party_type}/{fresh}"
            answer = await agreements.send("GET", f"/parties/{path}", path, None)
        elif neighbour.requests % 2:
            path = f"MSISDN/2773{neighbour.requests:07d}"
            answer = await agreements.send("GET", f"/parties/{path}", path, neighbour.dfsp)
        else:
            _, answer = await agreements.post_quote(neighbour.dfsp, UNIT, CURRENCY)
        neighbour.refused += answer.status == HTTPStatus.SERVICE_UNAVAILABLE


async def _timed(ask: Callable[[int], Awaitable[object]], number: int) -> int:
    """Return how long a request took in nanoseconds, repetitions after 503 included."""
    began_at_ns = time.perf_counter_ns()
    await ask(number)
    return time.perf_counter_ns() - began_at_ns


@asynccontextmanager
async def neighbourhood(scheme: Scheme) -> AsyncIterator[None]:
    """Start the neighbours and register them with the hub."""
    over = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), SLOW_S)
        writer.close()

    async with AsyncExitStack() as stack:
        answers = await stack.enter_async_context(SlowOracle(0.0, lambda: {"partyList": [{"fspId": "third1"}]}))
        slow = await stack.enter_async_context(SlowOracle(SLOW_S, lambda: {"partyList": []}))
        dead_url = f"http://127.0.0.1:{free_port()}"
        for party_type, url in (("ALIAS", answers.url), ("BUSINESS", slow.url), ("DEVICE", dead_url)):
            body = {"oracleIdType": party_type, "endpoint": {"value": url, "endpointType": "URL"}}
            reply = await scheme.admin.post("/oracles", body)
            assert reply.ok, reply.text
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        stack.callback(server.close)
        for name, port in (("slow1", server.sockets[0].getsockname()[1]), ("dead1", free_port())):
            base = f"http://127.0.0.1:{port}"
            party = base + "/parties/{{partyIdType}}/{{partyIdentifier}}"
            endpoints = {"FSPIOP_CALLBACK_URL_QUOTES": base, "FSPIOP_CALLBACK_URL_PARTIES_GET": party}
            await scheme.ensure_dfsp(name, 1_000 * UNIT, endpoints)
        yield
        over.set()


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--count", type=int, default=60, help="lookups, and quotes, for each neighbour in a round (%(default)s)"
    )
    parser.add_argument("--at-once", type=int, default=4, help="lookups, and quotes, in flight (%(default)s)")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second to the neighbour (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="through all neighbours, against drift (%(default)s)")
    return parser


async def run(chosen: argparse.Namespace) -> list[Neighbour]:
    """Run all rounds and return the neighbours with the latencies measured for each."""
    neighbours = [Neighbour(one.name, one.party_type, one.dfsp) for one in NEIGHBOURS]
    prefix = f"neighbours{uuid.uuid4().hex[:6]}-"
    with tempfile.TemporaryDirectory(prefix="clearinghub-neighbours-") as scratch:
        async with (
            running_hub(os.environ["KAFKA_BOOTSTRAP"], prefix, Path(scratch)) as hub,
            scheme_of(hub, "payer1", "payee1", "third1", cap_units=1_000 * UNIT, funds_units=1_000 * UNIT) as (
                scheme,
                dfsps,
            ),
            neighbourhood(scheme),
        ):
            measure = Measure(dfsps, chosen)
            await measure.start()
            for _ in range(chosen.rounds):
                for neighbour in neighbours:
                    await measure.beside(neighbour)
                    await asyncio.sleep(SETTLE_S)
    return neighbours


def shown(neighbours: list[Neighbour], chosen: argparse.Namespace) -> Table:
    """Return a table with a row for each neighbour."""
    title = (
        f"{chosen.at_once} lookups and {chosen.at_once} quotes at a time, ms, {chosen.rounds} x {chosen.count} of each"
    )
    table = new_table(title)
    table.add_column("neighbour", no_wrap=True)
    for what in ("lookup", "quote"):
        for percent in PERCENTS:
            table.add_column(f"{what} p{percent}" if percent == PERCENTS[0] else f"p{percent}", justify="right")
    table.add_column("requests", justify="right")
    for one in neighbours:
        figures = [
            f"{percentile(sorted(latencies_ns), percent) / NANOSECONDS_PER_MS:.0f}"
            for latencies_ns in (one.lookups_ns, one.quotes_ns)
            for percent in PERCENTS
        ]
        table.add_row(one.name, *figures, str(one.requests) if one.requests else "")
    return table


if __name__ == "__main__":
    arguments = options().parse_args()
    Console().print(shown(asyncio.run(run(arguments)), arguments))
