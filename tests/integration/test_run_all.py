"""`python -m clearinghub all`: it becomes ready, survives the death of a role, and stops cleanly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
READY_S = 90
# Ten seconds for the roles (Settings.stop_timeout_ms), and the end of the interpreter.
STOP_S = 13


class RunningHub:
    """The process and the lines that it has printed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "clearinghub", "all"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip())

    def wait_for(self, text: str, timeout_s: float = READY_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not any(text in line for line in self.said):
            assert self.process.poll() is None, "\n".join(self.said)
            assert time.monotonic() < deadline, "\n".join(self.said)
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        exit_code = self.process.wait(STOP_S)
        self._listening.join()
        return exit_code


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def environment(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> dict[str, str]:
    ports = dict(zip(("FSPIOP", "ADMIN", "LEDGER", "CALLBACKS"), map(str, free_ports(4)), strict=True))
    return os.environ | {
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "CLEARINGHUB_TOPIC_PREFIX": topic_prefix,
        "CLEARINGHUB_APPLICATION_ID": f"{topic_prefix}hub",
        "CLEARINGHUB_PARTITIONS": "2",
        "CLEARINGHUB_DATA_DIR": str(tmp_path / "data"),
        "CLEARINGHUB_RUN_DIR": str(tmp_path / "run"),
        **{f"CLEARINGHUB_{name}_PORT": port for name, port in ports.items()},
    }


@pytest.fixture
def hub(environment: dict[str, str]) -> Iterator[RunningHub]:
    hub = RunningHub(environment)
    yield hub
    if hub.process.poll() is None:
        hub.stop()
    assert hub.process.stderr is not None
    hub.process.stderr.close()


def test_it_becomes_ready_and_stops_without_leaving_a_process(hub: RunningHub, tmp_path: Path) -> None:
    hub.wait_for("ready: FSPIOP")
    running = sorted(path.name for path in (tmp_path / "run").iterdir())

    exit_code = hub.stop()

    assert ["admin-api.pid", "callbacks.pid", "ingress.pid", "ledger.pid"] == running
    assert 0 == exit_code
    assert [] == list((tmp_path / "run").iterdir())
    assert "clearinghub: stopped" == hub.said[-1]
    assert [] == [line for line in hub.said if "was killed" in line]


def test_a_killed_role_is_restarted(hub: RunningHub, tmp_path: Path) -> None:
    hub.wait_for("ready: FSPIOP")
    killed = int((tmp_path / "run" / "ledger.pid").read_text())

    os.kill(killed, signal.SIGKILL)
    hub.wait_for("ledger ended with code -9", timeout_s=10)
    started = [line for line in hub.said if "ledger started" in line]
    while len(started) < 2 and hub.process.poll() is None:
        time.sleep(0.05)
        started = [line for line in hub.said if "ledger started" in line]

    assert killed != int((tmp_path / "run" / "ledger.pid").read_text())


def test_refuses_a_second_start_on_the_same_ports(hub: RunningHub, environment: dict[str, str], tmp_path: Path) -> None:
    hub.wait_for("ready: FSPIOP")
    elsewhere = environment | {"CLEARINGHUB_RUN_DIR": str(tmp_path / "other")}

    second = subprocess.run(
        [sys.executable, "-m", "clearinghub", "all"],
        cwd=ROOT,
        env=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == second.returncode
    assert "Address already in use" in second.stderr
    assert "CLEARINGHUB_FSPIOP_PORT" in second.stderr
