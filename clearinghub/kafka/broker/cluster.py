"""A local cluster: several KRaft nodes on this machine's JVM. It continues while a minority of them is dead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from clearinghub.kafka.broker.local import (
    HOST,
    PORT_DEFAULT,
    STOP_TIMEOUT_S,
    LocalBroker,
    Membership,
    free_ports,
    new_cluster_id,
)
from clearinghub.kafka.broker.probe import BrokerUnavailableError, port_answers

NODES: Final = 3  # the fewest that lose one and still have a majority


class LocalCluster:
    """`start` uses the cluster that already runs on the folder; `stop` ends only what `start` started.

    Args:
        folder: `broker-N` in it has data, configuration and logs of node N, counted from 1.
        run_dir: `broker-N.pid` is written there while node N runs.
        ports: those of the nodes for clients; None takes 9092 and the next ones if they are free, else any free ports.
    """

    def __init__(self, folder: Path, *, run_dir: Path, ports: tuple[int, ...] | None = None) -> None:
        self._folder = folder.resolve()
        self._run_dir = run_dir.resolve()
        self._ports = ports
        self._nodes: list[LocalBroker] = []
        self._running_bootstrap = ""
        assert ports is None or len(ports) == NODES

    @property
    def bootstrap(self) -> str:
        """`host:port` of all nodes, with commas between them; only while it runs."""
        assert self._nodes or self._running_bootstrap, "the cluster was not started"
        return self._running_bootstrap or ",".join(node.bootstrap for node in self._nodes)

    @property
    def started(self) -> bool:
        """Whether this object started the nodes (and will end them)."""
        return bool(self._nodes)

    @property
    def ended(self) -> bool:
        """Whether a node has ended by itself; `start` starts it again."""
        return any(node.ended for node in self._nodes)

    def node(self, number: int) -> LocalBroker:
        """Return a node by its id, counted from 1; only of a cluster that was started here."""
        return self._nodes[number - 1]

    def find_running(self) -> str | None:
        """Return the bootstrap of a cluster of ours that already runs on this folder, or None. Never starts one."""
        found = [self._make_node(number, port=0).find_running() for number in range(1, NODES + 1)]
        return ",".join(filter(None, found)) or None

    def start(self) -> str:
        """Start the nodes that do not run, or find the cluster running; wait until clients can use it.

        Returns:
            The bootstrap.

        Raises:
            BrokerUnavailableError: no JVM, no jars, or a node did not come up; the sentence says which.
        """
        if not self._nodes:
            running = self.find_running()
            if running is not None:
                self._running_bootstrap = running
                return running
            self._nodes = self._make_nodes()
        launched = [node for node in self._nodes if node.pid is None]
        try:
            for node in launched:
                node.launch()
            for node in launched:  # none is ready before a majority runs
                node.wait_until_ready()
        except BrokerUnavailableError:
            if len(launched) == NODES:  # a cluster that never was is nobody's; one that lost a node continues
                self.stop(timeout_s=1)
            raise
        except BaseException:
            self.stop(timeout_s=1)
            raise
        return self.bootstrap

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the nodes that this object started, each as `LocalBroker.stop` does.

        All at once: a node that is stopped when the others are gone waits in vain for a controller to let it go.
        """
        nodes, self._nodes = self._nodes, []
        with ThreadPoolExecutor(NODES) as stopping:
            list(stopping.map(lambda node: node.stop(timeout_s), nodes))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def _make_nodes(self) -> list[LocalBroker]:
        ports = self._ports or _default_ports()
        controller_ports = tuple(free_ports(NODES, set(ports)))
        cluster_id = self._stored_cluster_id() or new_cluster_id()
        return [
            self._make_node(number, port, Membership(cluster_id, number, controller_ports))
            for number, port in enumerate(ports, 1)
        ]

    def _make_node(self, number: int, port: int, membership: Membership | None = None) -> LocalBroker:
        name = f"broker-{number}"
        return LocalBroker(
            self._folder / name, pid_file=self._run_dir / f"{name}.pid", port=port, membership=membership
        )

    def _stored_cluster_id(self) -> str | None:
        """Return the id that the nodes' data have; a node that lost its data joins the others under it."""
        for path in sorted(self._folder.glob("broker-*/topics/meta.properties")):
            for line in path.read_text().splitlines():
                if line.startswith("cluster.id="):
                    return line.partition("=")[2]
        return None


def _default_ports() -> tuple[int, ...]:
    usual = tuple(range(PORT_DEFAULT, PORT_DEFAULT + NODES))
    return tuple(free_ports(NODES, set())) if any(port_answers(HOST, port) for port in usual) else usual
