"""The hub in the chaos run: two processes of each role under the project's supervisor, on brokers of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shlex
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from clearinghub.kafka.broker import LocalBroker
from clearinghub.roles.all import keep_broker
from clearinghub.roles.supervisor import RestartBudget, Supervisor
from clearinghub.tools.client.hub_urls import HubUrls
from tests.chaos.plan import INSTANCES, process_names
from tests.integration.hub_under_test import PARTITIONS, REPOSITORY
from tests.kafka_cluster import KafkaCluster

SESSION_TIMEOUT_MS: Final = 6_000
STOP_TIMEOUT_S: Final = 15.0
HEALTHY_WITHIN_S: Final = 90.0
# A callback is repeated for so long before it is dead-lettered for `clearinghub replay`. Operators set it longer than
# DFSPs are away: ten minutes here, one by default.
HORIZON: Final = {"CLEARINGHUB_CALLBACK_WAIT_MS_MAX": "600000", "CLEARINGHUB_CALLBACK_RETRIES_MAX": "20"}
# Below the ports of outgoing connections: a listener must find its port free after a restart.
PORTS: Final = range(25_000, 30_000)
PORT_SETTINGS: Final = {
    "ledger": "LEDGER_PORT",
    "callbacks": "CALLBACKS_PORT",
    "admin-api": "ADMIN_PORT",
    "ingress": "FSPIOP_PORT",
}
KILLED: Final = -9
_ENDED: Final = re.compile(r"(\S+) ended with code (-?\d+)")


def fixed_ports(count: int) -> list[int]:
    """Return loopback ports that are free and that no outgoing connection gets."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free port")


class ChaosHub:
    """Its data are in `folder`, the logs there in `NAME.log`. `exits` counts the ends of processes by name and code."""

    def __init__(self, folder: Path, brokers: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.exits: Counter[tuple[str, int]] = Counter()
        names = process_names()
        ports = fixed_ports(len(names) + brokers)
        broker_ports = tuple(ports.pop() for _ in range(brokers))
        self._broker: LocalBroker | None = None
        self.cluster: KafkaCluster | None = None
        if brokers == 1:
            self._broker = LocalBroker(folder / "kafka", pid_file=folder / "run" / "broker.pid", port=broker_ports[0])
        else:
            self.cluster = KafkaCluster(folder / "kafka", run_dir=folder / "run", ports=broker_ports)
        self.broker_names = ["broker"] if brokers == 1 else [f"broker-{number}" for number in range(1, brokers + 1)]
        self._ports = dict(zip(names, ports, strict=True))
        self._supervisor = Supervisor(folder / "run", STOP_TIMEOUT_S, self._note_end)
        self._stopping = asyncio.Event()
        self._keeping: list[asyncio.Task[None]] = []
        self.urls = [
            HubUrls(self._url(f"ingress-{number}"), self._url(f"admin-api-{number}")) for number in range(INSTANCES)
        ]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of all processes and of the operators' commands."""
        return os.environ | {
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "CLEARINGHUB_KAFKA_BOOTSTRAP": self.bootstrap,
            "CLEARINGHUB_REPLICATION_FACTOR": str(len(self.broker_names)),
            "CLEARINGHUB_PARTITIONS": str(PARTITIONS),
            "CLEARINGHUB_DATA_DIR": str(self.folder / "data"),
            "CLEARINGHUB_RUN_DIR": str(self.folder / "run"),
            "CLEARINGHUB_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "CLEARINGHUB_STANDBY_REPLICAS": "1",
            **HORIZON,
        }

    @property
    def bootstrap(self) -> str:
        """The `host:port` of the broker, or of each of the three."""
        if self.cluster is not None:
            return self.cluster.bootstrap
        assert self._broker is not None
        return self._broker.bootstrap

    async def start(self) -> None:
        """Start everything and wait until it is healthy.

        Raises:
            BrokerUnavailableError: the broker cannot be started.
            HubDownError: a process is not healthy in time.
        """
        if self._broker is not None:
            await asyncio.to_thread(self._broker.start)
            self._keeping.append(asyncio.create_task(keep_broker(self._broker)))
        elif self.cluster is not None:
            await asyncio.to_thread(self.cluster.start_all)
        for name, port in self._ports.items():
            role = name.rpartition("-")[0]
            environment = self.environment | self._settings_of(name, port)
            self._supervisor.start(name, self._command(name, role), environment, RestartBudget())
        self._keeping.append(asyncio.create_task(self._supervisor.wait(self._stopping)))
        await self.healthy()

    async def black_out(self) -> None:
        """Kill every process of the hub and every broker at once; start what the supervisor does not start."""
        pids = [pid for name in (*self._ports, *self.broker_names) if (pid := self.pid(name)) is not None]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.cluster is not None:
            for number in self.cluster.numbers:
                self.cluster.kill(number)
            await asyncio.to_thread(self.cluster.start_all)

    async def healthy(self) -> None:
        """Wait until every ingress and every admin API reports that all services are up."""
        for urls in self.urls:
            await urls.wait_until_healthy(HEALTHY_WITHIN_S, lambda _what: None)

    async def stop(self) -> None:
        """Stop everything, the broker last."""
        self._stopping.set()
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._supervisor.stop()
        if self._broker is not None:
            await asyncio.to_thread(self._broker.stop, 10)
        elif self.cluster is not None:
            await asyncio.to_thread(self.cluster.stop_all)

    def pid(self, name: str) -> int | None:
        """The process id of a role's process or of `broker`; None while it is not running."""
        try:
            return int((self.folder / "run" / f"{name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def lost(self) -> str | None:
        """Return the failure of the supervisor or of the broker's keeper; None while both run."""
        for task in self._keeping:
            if task.done():
                return repr(None if task.cancelled() else task.exception())
        return None

    def logs(self, name: str) -> str:
        """Return the last 3,000 characters that a process has logged."""
        path = self.folder / f"{name}.log"
        return path.read_text()[-3_000:] if path.exists() else ""

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _settings_of(self, name: str, port: int) -> dict[str, str]:
        """Return the settings of one process, which listens on that port."""
        role, _, instance = name.rpartition("-")
        return {"CLEARINGHUB_INSTANCE": instance, f"CLEARINGHUB_{PORT_SETTINGS[role]}": str(port)}

    def _command(self, name: str, role: str) -> list[str]:
        command = shlex.join([sys.executable, "-m", "clearinghub", role])
        log = shlex.quote(str(self.folder / f"{name}.log"))
        return ["/bin/sh", "-c", f"cd {shlex.quote(str(REPOSITORY))} && exec {command} >>{log} 2>&1"]

    def _note_end(self, sentence: str) -> None:
        with (self.folder / "supervisor.log").open("a") as log:
            log.write(sentence + "\n")
        if match := _ENDED.match(sentence):
            self.exits[match[1], int(match[2])] += 1
