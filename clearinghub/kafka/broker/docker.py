"""A broker in Docker: the service `kafka` of compose.yaml."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from clearinghub.kafka.broker.probe import BrokerUnavailableError, wait_until_answers

COMPOSE_FILE: Final = Path(__file__).resolve().parents[3] / "compose.yaml"
BOOTSTRAP: Final = "127.0.0.1:9092"
# A healthy daemon answers in well under a second; one that hangs must not delay the start.
DAEMON_TIMEOUT_S: Final = 3
# The first start pulls the image.
START_TIMEOUT_S: Final = 300
READY_TIMEOUT_S: Final = 60


def docker_answers() -> bool:
    """Return whether there is a Docker daemon, and compose."""
    docker = shutil.which("docker")
    return docker is not None and all(
        _succeeds([docker, *arguments]) for arguments in (("info",), ("compose", "version"))
    )


class DockerBroker:
    """The broker of compose.yaml; its data are in a volume. `stop` stops it only if `start` started it."""

    ended = False  # Docker restarts it

    def __init__(self) -> None:
        self.started = False
        self.bootstrap = BOOTSTRAP

    def start(self) -> str:
        """Start the container if it does not run, wait until clients can use it, and return its bootstrap.

        Raises:
            BrokerUnavailableError: compose could not start it, or it did not answer in time.
        """
        already = self.find_running()
        if already is not None:
            return already
        done = self._compose("up", "--detach", "kafka")
        if done.returncode != 0:
            raise BrokerUnavailableError(f"Docker could not start the broker of {COMPOSE_FILE}:\n{done.stderr.strip()}")
        self.started = True
        if not wait_until_answers(BOOTSTRAP, READY_TIMEOUT_S):
            self.stop()
            raise BrokerUnavailableError(
                f"The broker in Docker did not answer on {BOOTSTRAP} in {READY_TIMEOUT_S} s; try: docker compose logs"
            )
        return BOOTSTRAP

    def find_running(self) -> str | None:
        """Return the bootstrap if the container runs, else None. Never starts it."""
        running = self._compose("ps", "--quiet", "--status", "running", "kafka").stdout.strip()
        return BOOTSTRAP if running and wait_until_answers(BOOTSTRAP, READY_TIMEOUT_S) else None

    def stop(self) -> None:
        """Stop the container if `start` started it."""
        if self.started:
            self._compose("stop", "kafka")
            self.started = False

    def _compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - fixed commands
            ["docker", "compose", "--file", str(COMPOSE_FILE), *arguments],  # noqa: S607 - the operator's own docker
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, capture_output=True, timeout=DAEMON_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
