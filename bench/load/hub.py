"""The hub that is measured: a new one on clean data and free ports, or the one that runs on this machine."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from bench.load import BenchError
from bench.load.generator import ROOT
from clearinghub.config import Settings
from clearinghub.kafka.broker import BrokerUnavailableError, LocalBroker, find_running_broker
from clearinghub.process import running_pid, write_pid
from clearinghub.roles.all import ROLES
from clearinghub.tools.client.hub_urls import HubDownError, HubUrls

HEALTHY_WITHIN_S: Final = 120
STOP_WITHIN_S: Final = 30
LOG_BYTES_SHOWN: Final = 2_000
PARTITIONS_DEFAULT: Final = (
    "2"  # one for each core: a partition's transactions cost the same however few records they have
)
PORTS: Final = ("fspiop", "admin", "ledger", "callbacks")
SUPERVISOR_COMMAND: Final = "clearinghub all"


@dataclass(frozen=True)
class Hub:
    """A healthy hub. `environment` is that of its roles and tools; `url_of_puts` may be a second ingress."""

    urls: HubUrls
    url_of_puts: str
    run_dir: Path
    environment: Mapping[str, str]

    def pids(self) -> dict[str, list[int]]:
        """Return the process ids by role, from the pid files: ROLE.pid, or ROLE-N.pid where a role has several."""
        found: dict[str, list[int]] = {}
        for path in sorted(self.run_dir.glob("*.pid")):
            role = re.sub(r"-\d+$", "", path.stem)
            pid = running_pid(path, "kafka.Kafka" if role == "kafka" else f"clearinghub {role}")
            if pid is not None:
                found.setdefault(role, []).append(pid)
        parents = {parent for role in ROLES for pid in found.get(role, []) if (parent := _supervisor_of(pid))}
        return found | ({"supervisor": sorted(parents)} if parents else {})


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Find the hub that runs already, from this folder and with the current settings.

    Raises:
        BenchError: there is none, or a role is missing; the text says what to start.
    """
    settings = Settings()
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        raise BenchError("No broker of a running hub: start one with `make run SANDBOX=0`, or set KAFKA_BOOTSTRAP.")
    urls = HubUrls.of(settings)
    hub = Hub(urls, urls.fspiop, settings.run_dir, {**os.environ, "KAFKA_BOOTSTRAP": bootstrap})
    missing = [role for role in ROLES if role not in hub.pids()]
    if missing:
        raise BenchError(
            f"No running {', '.join(missing)} in {settings.run_dir.resolve()}/*.pid: HUB=running needs a hub that was "
            "started from this folder with the same CLEARINGHUB_... settings (`make run SANDBOX=0`)."
        )
    _wait_until_healthy(urls)
    yield hub


@contextmanager
def own_hub(folder: Path, processes: Mapping[str, int]) -> Iterator[Hub]:
    """Start a hub on clean data and free ports, as `make run` does; at the end stop it and remove its data.

    `processes` is how many processes each role has. All but the first run beside the supervisor, each with an instance
    name of its own; a second ingress has a port of its own, to which the fulfilments are sent.

    Raises:
        BenchError: the hub did not become healthy; the text has the end of its log.
    """
    data, run_dir = folder / "data", folder / "run"
    shutil.rmtree(data, ignore_errors=True)
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    try:
        with ExitStack() as stack:
            bootstrap = os.environ.get("KAFKA_BOOTSTRAP") or stack.enter_context(_broker(data, run_dir))
            environment = _environment(bootstrap, data, run_dir, is_shared="KAFKA_BOOTSTRAP" in os.environ)
            started = stack.enter_context(_process(["all"], environment, folder / "hub.log"))
            others: list[HubUrls] = []
            for role, number in [(role, n) for role, count in processes.items() for n in range(1, count)]:
                its_own = {f"CLEARINGHUB_{port.upper()}_PORT": str(free_port()) for port in PORTS}
                its_own["CLEARINGHUB_INSTANCE"] = str(number)
                extra = stack.enter_context(_process([role], environment | its_own, folder / f"{role}-{number}.log"))
                write_pid(run_dir / f"{role}-{number}.pid", extra.pid)
                if role == "ingress":
                    others.append(replace(_urls(environment), fspiop=_urls(environment | its_own).fspiop))
            urls = _urls(environment)
            for one in (urls, *others):
                try:
                    _wait_until_healthy(one)
                except BenchError as error:
                    ended = f"; it ended with code {started.returncode}" if started.poll() is not None else ""
                    log = (folder / "hub.log").read_text(errors="replace")[-LOG_BYTES_SHOWN:]
                    raise BenchError(f"{error}{ended}. Its log, {folder / 'hub.log'}:\n{log}") from error
            yield Hub(urls, others[-1].fspiop if others else urls.fspiop, run_dir, environment)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(run_dir, ignore_errors=True)


@contextmanager
def _broker(data: Path, run_dir: Path) -> Iterator[str]:
    try:
        with LocalBroker(data / "kafka", pid_file=run_dir / "kafka.pid") as broker:
            yield broker.bootstrap
    except BrokerUnavailableError as error:
        raise BenchError(str(error)) from error


def _environment(bootstrap: str, data: Path, run_dir: Path, *, is_shared: bool) -> dict[str, str]:
    ports = {f"CLEARINGHUB_{name.upper()}_PORT": str(free_port()) for name in PORTS}
    # A broker that is used by others, too: topics with a prefix of our own.
    name = f"bench-{os.getpid()}-{ports['CLEARINGHUB_FSPIOP_PORT']}-"
    apart = {"CLEARINGHUB_TOPIC_PREFIX": name, "CLEARINGHUB_APPLICATION_ID": f"{name}hub"} if is_shared else {}
    return {
        "CLEARINGHUB_PARTITIONS": PARTITIONS_DEFAULT,
        **os.environ,
        "KAFKA_BOOTSTRAP": bootstrap,
        "CLEARINGHUB_DATA_DIR": str(data),
        "CLEARINGHUB_RUN_DIR": str(run_dir),
        **ports,
        **apart,
    }


@contextmanager
def _process(arguments: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process of the hub. At the end stop it with SIGTERM; if that takes too long, kill it and its children."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "clearinghub", *arguments],
            cwd=ROOT,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            for one in psutil.Process(process.pid).children(recursive=True):
                one.kill()
            process.kill()
            process.wait()


def _urls(environment: Mapping[str, str]) -> HubUrls:
    fspiop, admin = (environment[f"CLEARINGHUB_{name}_PORT"] for name in ("FSPIOP", "ADMIN"))
    return HubUrls(f"http://127.0.0.1:{fspiop}", f"http://127.0.0.1:{admin}")


def _wait_until_healthy(urls: HubUrls) -> None:
    try:
        asyncio.run(urls.wait_until_healthy(HEALTHY_WITHIN_S, lambda _what: None))
    except HubDownError as error:
        raise BenchError(str(error)) from error


def _supervisor_of(pid: int) -> int | None:
    try:
        parent = psutil.Process(pid).parent()
        return parent.pid if parent is not None and SUPERVISOR_COMMAND in " ".join(parent.cmdline()) else None
    except psutil.Error:
        return None
