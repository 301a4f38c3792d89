"""`python -m bench.slow_receiver`: what one slow receiver costs the callbacks of the others, on a real broker.

Three healthy receivers get callbacks at a steady rate: alone, beside a fourth that gets many more and answers at once,
and beside one that gets as many and answers after 15 s. The three kinds of phases take turns, so that all meet the same
machine. Printed is how long the callbacks to the healthy ones took, from the writing of their notification to their
arrival over HTTP. The quick neighbour shows what so much more load costs by itself; the slow one should cost no more.

It starts a broker (or uses KAFKA_BOOTSTRAP) and the role `callbacks`; the notifications are written by the load itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from clearinghub.config import Settings
from clearinghub.domain.participants.participant import Participant
from clearinghub.kafka.broker import LocalBroker
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.messages import NotificationMessage, encode
from sandbox.demo.tables import percentile
from tables.participants import PARTICIPANTS
from tests.integration.hub_under_test import free_port

ENDPOINT: Final = "FSPIOP_CALLBACK_URL_TRANSFER_PUT"
HEALTHY: Final = ("well1", "well2", "well3")
NEIGHBOURS: Final = ("", "quick", "slow")
KINDS: Final = ("alone", "beside a quick one", "beside a slow one")
STEP_S: Final = 0.02
HEADER_END: Final = b"\r\n\r\n"


class Receiver(asyncio.Protocol):
    """An HTTP server that answers each request after a time, and notes when it came."""

    def __init__(self, after_s: float, arrived: list[tuple[bytes, float]]) -> None:
        self._after_s = after_s
        self._arrived = arrived
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(HEADER_END)) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            stop = end + len(HEADER_END) + length
            if len(self._buffer) < stop:
                return
            self._arrived.append((self._buffer[stop - length : stop], time.time()))
            self._buffer = self._buffer[stop:]
            asyncio.get_running_loop().call_later(self._after_s, self._answer)

    def _answer(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def receive(ports: Sequence[int], after_s: float) -> None:
    """Serve until stdin ends; then print the arrivals of the healthy receivers, and how many the slow one had."""
    loop = asyncio.get_running_loop()
    arrived: list[tuple[bytes, float]] = []
    quick: list[tuple[bytes, float]] = []
    slow: list[tuple[bytes, float]] = []
    *healthy, quick_port, slow_port = ports
    for port in healthy:
        await loop.create_server(lambda: Receiver(0.0, arrived), "127.0.0.1", port)
    await loop.create_server(lambda: Receiver(0.0, quick), "127.0.0.1", quick_port)
    await loop.create_server(lambda: Receiver(after_s, slow), "127.0.0.1", slow_port)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    waits = [(*orjson.loads(body), at_s) for body, at_s in arrived]
    sys.stdout.buffer.write(orjson.dumps({"waits": waits, "slow": len(slow)}) + b"\n")


def notification(receiver: str, number: int, phase: int) -> bytes:
    """Return a notification's value; its body says in which phase it was written, and when."""
    name = f"{receiver}-{number}"
    message = NotificationMessage(
        notification_id=name,
        id=name,
        receiver=receiver,
        source="Hub",
        method="PUT",
        resource="transfers",
        endpoint=ENDPOINT,
        path=f"/transfers/{name}",
        variables={"transferId": name},
        headers={},
    )
    return encode(message, orjson.dumps([phase, time.time()]))


class Load:
    """Writes notifications at steady rates."""

    def __init__(self, settings: Settings, chosen: argparse.Namespace) -> None:
        self._topic = settings.topic("notification")
        self._producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all", linger_ms=2)
        self._chosen = chosen
        self._number = 0

    async def participants(self, settings: Settings, ports: dict[str, int]) -> None:
        """Write the receivers' endpoints to topic `participants`."""
        await self._producer.start()
        for number, (name, port) in enumerate(ports.items()):
            url = f"http://127.0.0.1:{port}/transfers/{{{{transferId}}}}"
            row = Participant(number + 1, name, active=True, created_at_ms=0, endpoints={ENDPOINT: url})
            await self._producer.send_and_wait(
                settings.topic("participants"), key=name.encode(), value=PARTICIPANTS.encode(row), partition=0
            )

    async def run(self, phase: int, seconds: float, rates: dict[str, int]) -> None:
        """Write so many notifications a second to each receiver."""
        started_s, written = time.monotonic(), dict.fromkeys(rates, 0)
        while (passed_s := time.monotonic() - started_s) < seconds:
            for name, rate in rates.items():
                while written[name] < rate * passed_s:
                    written[name] += 1
                    self._number += 1
                    value = notification(name, self._number, phase)
                    await self._producer.send(self._topic, key=str(self._number).encode(), value=value)
            await asyncio.sleep(STEP_S)

    async def stop(self) -> None:
        await self._producer.stop()


async def measure(chosen: argparse.Namespace, bootstrap: str, folder: Path) -> None:
    """Run the phases and print the figures."""
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    settings = Settings(
        kafka_bootstrap=bootstrap, application_id=f"{prefix}hub", topic_prefix=prefix, partitions=2, data_dir=folder
    )
    await ensure_topics(settings, load_topology())
    ports = {name: free_port() for name in (*HEALTHY, *NEIGHBOURS[1:])}
    health_port = free_port()
    environment = os.environ | {
        "KAFKA_BOOTSTRAP": bootstrap,
        "CLEARINGHUB_APPLICATION_ID": settings.application_id,
        "CLEARINGHUB_TOPIC_PREFIX": prefix,
        "CLEARINGHUB_PARTITIONS": "2",
        "CLEARINGHUB_DATA_DIR": str(folder),
        "CLEARINGHUB_RUN_DIR": str(folder),
        "CLEARINGHUB_CALLBACKS_PORT": str(health_port),
    }
    load = Load(settings, chosen)
    await load.participants(settings, ports)
    receivers, role = start_processes(folder, environment, list(ports.values()), chosen.after)
    try:
        await until_up(health_port)
        rates = dict.fromkeys(HEALTHY, chosen.rate)
        await load.run(-1, chosen.warm_up, rates)
        for phase in range(chosen.phases):
            neighbour = NEIGHBOURS[phase % 3]
            await load.run(phase, chosen.seconds, rates | ({neighbour: chosen.neighbour_rate} if neighbour else {}))
        await asyncio.sleep(2)
        parked = await parked_now(health_port)
        output, _ = receivers.communicate(b"", timeout=30)
    finally:
        await load.stop()
        for process in (role, receivers):
            process.kill()
            process.wait()
    report(chosen, orjson.loads(output.splitlines()[-1]), parked)


def start_processes(
    folder: Path, environment: dict[str, str], ports: list[int], after_s: float
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """Start the receivers on these ports, the slow one on the last, and the role."""
    receivers = subprocess.Popen(
        [sys.executable, "-m", "bench.slow_receiver", "--after", str(after_s), "--serve", *map(str, ports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with (folder / "callbacks.log").open("wb") as log:
        role = subprocess.Popen([sys.executable, "-m", "clearinghub", "callbacks"], env=environment, stdout=log)
    return receivers, role


async def until_up(port: int) -> None:
    """Wait until the role has its partitions."""
    async with asyncio.timeout(90), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health") as answer:
                    if answer.status == 200:  # noqa: PLR2004 - HTTP's own number
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)


async def parked_now(port: int) -> str:
    """Return how many callbacks are parked, by the role's metrics."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next((one.rpartition(" ")[2] for one in lines if one.startswith("clearinghub_callback_parked{")), "0")


def report(chosen: argparse.Namespace, found: dict[str, list[list[float]]], parked: str) -> None:
    """Print each phase, then each kind of phases together."""
    by_phase: dict[int, list[int]] = {phase: [] for phase in range(chosen.phases)}
    for phase, written_s, arrived_s in found["waits"]:
        if phase >= 0:
            by_phase[int(phase)].append(int((arrived_s - written_s) * 1_000_000))
    for phase, waits in by_phase.items():
        waits.sort()
        print(f"{KINDS[phase % 3]:20}{line_of(waits)}")
    kinds = [
        sorted(wait for phase, waits in by_phase.items() if phase % 3 == kind for wait in waits) for kind in range(3)
    ]
    for name, waits in zip(KINDS, kinds, strict=True):
        print(f"all {name:20}{line_of(waits)}")
    for kind in (0, 1):
        ratios = [percentile(kinds[2], percent) / percentile(kinds[kind], percent) for percent in (50, 99)]
        print(f"slow / {KINDS[kind]}: p50 {ratios[0]:.2f}, p99 {ratios[1]:.2f}")
    turns = range(0, chosen.phases - 2, 3)
    pairs = sorted(percentile(by_phase[turn + 2], 99) / percentile(by_phase[turn + 1], 99) for turn in turns)
    print(f"p99 slow / quick in each turn: median {pairs[len(pairs) // 2]:.2f} of {[round(one, 2) for one in pairs]}")
    print(f"the slow one has received {found['slow']}, {parked} are parked for it")
    print(f"{chosen.rate}/s to each of three, {chosen.neighbour_rate}/s to the neighbour")


def line_of(waits: list[int]) -> str:
    """Return percentiles in milliseconds, and the number; `waits` are in microseconds."""
    figures = (f"p{percent} {percentile(waits, percent) / 1000:.1f}" for percent in (50, 90, 99))
    return f"{', '.join(figures)}, most {max(waits) / 1000:.1f} ms of {len(waits)}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.slow_receiver", description=__doc__)
    parser.add_argument("--phases", type=int, default=12, help="how many, of the three kinds in turn")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each")
    parser.add_argument("--warm-up", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=50, help="callbacks a second to each healthy receiver")
    parser.add_argument("--neighbour-rate", type=int, default=300, help="callbacks a second to the fourth")
    parser.add_argument("--after", type=float, default=15.0, help="seconds until the slow one answers")
    parser.add_argument("--serve", type=int, nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure on KAFKA_BOOTSTRAP, or on a broker of its own."""
    chosen = arguments()
    if chosen.serve:
        uvloop.run(receive(chosen.serve, chosen.after))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if configured := os.environ.get("KAFKA_BOOTSTRAP"):
            uvloop.run(measure(chosen, configured, folder))
            return
        broker = LocalBroker(folder / "kafka", pid_file=folder / "kafka.pid")
        bootstrap = broker.start()
        try:
            uvloop.run(measure(chosen, bootstrap, folder))
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
