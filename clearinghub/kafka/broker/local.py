"""A local broker: a KRaft node on this machine's JVM, alone or one of a cluster; its data outlive the process."""

from __future__ import annotations

import shutil
import signal
import socket
import string
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from clearinghub.kafka.broker.jars import KAFKA_DIR, resolve_jars
from clearinghub.kafka.broker.probe import (
    POLL_INTERVAL_S,
    BrokerUnavailableError,
    broker_answers,
    broker_ids,
    port_answers,
)
from clearinghub.process import OTHERS_NOTHING, running_pid, write_pid

HOST: Final = "127.0.0.1"
PORT_DEFAULT: Final = 9092
HEAP_OPTIONS: Final = ("-Xms256m", "-Xmx768m")
# Three nodes share the cores of one machine: small heaps, no threads for the garbage of each, little compiling.
NODE_OPTIONS: Final = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
FORMAT_TIMEOUT_S: Final = 60
# A cold JVM on a busy two-core machine was seen to need 15 s; after an unclean stop it reads its logs again.
START_TIMEOUT_S: Final = 90
STOP_TIMEOUT_S: Final = 20
LOG_LINES_SHOWN_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class Membership:
    """A node's place in a cluster. `node_id` counts from 1; `controller_ports` are of all nodes, in their order."""

    cluster_id: str
    node_id: int
    controller_ports: tuple[int, ...]


class LocalBroker:
    """The broker on one folder. `start` uses it if it runs already; `stop` stops it only if `start` started it."""

    def __init__(
        self,
        folder: Path,
        *,
        pid_file: Path,
        port: int | None = 0,
        jars: Path | None = None,
        membership: Membership | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            folder: for data, configuration and logs; made if missing.
            pid_file: holds the process id while the broker runs.
            port: the port to use; None means 9092 if it is free, else any free port; 0 means any free port.
            jars: the folder with Kafka's jars; if None, Maven fetches them.
            membership: the node's place in a cluster; None for a node alone.
        """
        self._folder = folder.resolve()
        self._pid_file = pid_file.resolve()
        self._given_port = port
        self._jars = jars
        self._membership = membership
        self._process: subprocess.Popen[bytes] | None = None
        self._must_run = False  # from the first successful start until `stop`
        self._port = 0

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients, once started."""
        assert self._port, "the broker was not started"
        return f"{HOST}:{self._port}"

    @property
    def started(self) -> bool:
        """Whether this object started the broker."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """The process id, while what this object started runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def config_file(self) -> Path:
        """The broker's configuration, written at each start."""
        return self._folder / "server.properties"

    def find_running(self) -> str | None:
        """Return the bootstrap if a broker runs on this folder, else None. Never starts one."""
        port = self._configured_port()
        if port is None or running_pid(self._pid_file, str(self.config_file)) is None:
            return None
        bootstrap = f"{HOST}:{port}"
        return bootstrap if broker_answers(bootstrap) else None

    def start(self) -> str:
        """Start the broker if it does not run, wait until clients can use it, and return its bootstrap.

        Raises:
            BrokerUnavailableError: Java or the jars are missing, or the broker did not answer in time.
        """
        running = self.find_running()
        if running is not None:
            self._port = int(running.rpartition(":")[2])
            return running
        self.launch()
        self.wait_until_ready()
        return self.bootstrap

    def launch(self) -> None:
        """Start the process, which needs some seconds before clients can use it: see `wait_until_ready`.

        Raises:
            BrokerUnavailableError: no JVM, no jars, or the port is in use.
        """
        java = shutil.which("java")
        if java is None:
            raise BrokerUnavailableError("A local Kafka broker needs Java 17 or newer, and `java` is not installed.")
        jars = self._jars or resolve_jars()
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "log").mkdir(exist_ok=True)
        # A restart keeps the port, because clients know it.
        self._port = self._port or _choose_port(self._given_port)
        if port_answers(HOST, self._port):  # the other program's answer would look like the broker's
            raise BrokerUnavailableError(f"{self.bootstrap} is taken by another program.")
        self._write_config()
        self._format(java, jars)
        self._launch(java, jars)

    def wait_until_ready(self) -> None:
        """Wait until clients can use what `launch` has started; a broker that does not come up is ended.

        Raises:
            BrokerUnavailableError: it did not come up; the sentence has the end of its log.
        """
        try:
            self._wait_until_ready()
        except BaseException:  # also for an interrupt: nobody else would stop the process
            self._end(timeout_s=1)
            raise
        self._must_run = True

    def kill(self) -> None:
        """End the process at once, as a crash would: with SIGKILL. `start` starts it again, on its port."""
        process, self._process = self._process, None
        assert process is not None, "the broker was not started here"
        self._must_run = False
        process.kill()
        process.wait()
        self._pid_file.unlink(missing_ok=True)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop the broker if this object started it: with SIGTERM, and with SIGKILL after `timeout_s` seconds."""
        self._must_run = False
        self._end(timeout_s)

    def _end(self, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pid_file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def ended(self) -> bool:
        """Whether the broker that this object started has ended by itself; `start` restarts it."""
        return self._must_run and (self._process is None or self._process.poll() is not None)

    def _write_config(self) -> None:
        template = (KAFKA_DIR / "server.properties").read_text()
        own = self._membership
        if own is None:
            node_id, controller_ports = 1, free_ports(1, {self._port})
        else:
            template += (KAFKA_DIR / "cluster.properties").read_text()
            node_id, controller_ports = own.node_id, list(own.controller_ports)
        values = {
            "port": self._port,
            "node_id": node_id,
            "controller_port": controller_ports[node_id - 1],
            "voters": ",".join(f"{number}@{HOST}:{port}" for number, port in enumerate(controller_ports, 1)),
            "log_dir": self._folder / "topics",
        }
        self.config_file.write_text(string.Template(template).substitute(values))

    def _configured_port(self) -> int | None:
        if not self.config_file.exists():
            return None
        for line in self.config_file.read_text().splitlines():
            if line.startswith("advertised.listeners="):
                return int(line.rpartition(":")[2])
        return None

    def _java_command(self, java: str, jars: Path, main_class: str) -> list[str]:
        return [
            java,
            *(HEAP_OPTIONS if self._membership is None else NODE_OPTIONS),
            "-Djava.awt.headless=true",
            f"-Dkafka.logs.dir={self._folder / 'log'}",
            f"-Dlog4j2.configurationFile={KAFKA_DIR / 'log4j2.properties'}",
            "-cp",
            f"{jars}/*",
            main_class,
        ]

    def _format(self, java: str, jars: Path) -> None:
        if (self._folder / "topics" / "meta.properties").exists():
            return
        cluster_id = new_cluster_id() if self._membership is None else self._membership.cluster_id
        # An id that begins with a dash would be read as an option.
        arguments = ["format", f"--cluster-id={cluster_id}", "--config", str(self.config_file)]
        done = subprocess.run(  # noqa: S603 - a fixed command with our own files
            [*self._java_command(java, jars, "kafka.tools.StorageTool"), *arguments],
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            output = (done.stdout + done.stderr).strip()
            raise BrokerUnavailableError(f"Kafka could not format {self._folder}:\n{output}")

    def _launch(self, java: str, jars: Path) -> None:
        command = [*self._java_command(java, jars, "kafka.Kafka"), str(self.config_file)]
        with (self._folder / "log" / "console.log").open("ab") as console:
            # A session of its own: Ctrl-C in the terminal must stop the hub's roles first, and the broker after them.
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command with our own files
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                umask=OTHERS_NOTHING,
            )
        write_pid(self._pid_file, self._process.pid)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            exit_code = self._process.poll()
            if exit_code is None and time.monotonic() < deadline:
                time.sleep(POLL_INTERVAL_S)
                continue
            problem = f"did not answer in {START_TIMEOUT_S} s" if exit_code is None else f"ended with code {exit_code}"
            log = self._folder / "log"
            raise BrokerUnavailableError(f"The local Kafka broker {problem}. Its log, {log}:\n{self._tail()}")

    def _is_ready(self) -> bool:
        """Whether clients can use it. A node that starts again knows the others before it has joined them itself."""
        if self._membership is None:
            return broker_answers(self.bootstrap)
        return self._membership.node_id in broker_ids(self.bootstrap)

    def _tail(self) -> str:
        lines: list[str] = []
        for name in ("console.log", "broker.log"):
            path = self._folder / "log" / name
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN_MAX:]
        return "\n".join(lines)


def new_cluster_id() -> str:
    """Return an id as Kafka makes them: 16 random bytes in base64."""
    return urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def free_ports(count: int, but: set[int]) -> list[int]:
    """Return ports of loopback that nobody listens on, none of `but` and no port twice."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in but and port not in found:
            found.append(port)
    return found


def _choose_port(given: int | None) -> int:
    if given:
        return given
    if given is None and not port_answers(HOST, PORT_DEFAULT):
        return PORT_DEFAULT
    return free_ports(1, set())[0]
