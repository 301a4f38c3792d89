"""Three brokers for tests: any, the active controller, or a partition's leader is killed, stopped and started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from clearinghub.kafka.broker import LocalCluster
from clearinghub.kafka.broker.cluster import NODES
from clearinghub.kafka.broker.local import free_ports
from clearinghub.kafka.broker.probe import addresses, broker_ids

# How a broker is lost; `make test` tries the first way, `make proofs` all.
LOSSES: Final = ("kill the leader", "stop the leader", "kill the controller")
LOSSES_TRIED: Final = LOSSES[: int(os.environ.get("BROKER_LOSSES", "1"))]
WHOLE_WITHIN_S: Final = 60.0
POLL_S: Final = 0.2
SOCKET_TIMEOUT_S: Final = 2.0
DESCRIBE_QUORUM: Final = 55
METADATA_TOPIC: Final = b"__cluster_metadata"


class KafkaCluster:
    """Nodes are numbered from 1. A test leaves the cluster whole: `restore` starts what it has ended."""

    def __init__(self, folder: Path, run_dir: Path | None = None, ports: tuple[int, ...] | None = None) -> None:
        self.numbers = tuple(range(1, NODES + 1))
        self._cluster = LocalCluster(
            folder, run_dir=run_dir or folder / "run", ports=ports or tuple(free_ports(NODES, set()))
        )

    @property
    def bootstrap(self) -> str:
        """The `host:port` of all nodes, whether they run or not."""
        return self._cluster.bootstrap

    def running(self) -> list[int]:
        """The numbers of the nodes whose processes run."""
        return [number for number in self.numbers if self._cluster.node(number).pid is not None]

    # -- what tests do to it

    def start_all(self) -> str:
        """Start the cluster, and return its bootstrap. Blocks for about 15 seconds."""
        return self._cluster.start()

    def stop_all(self) -> None:
        """End all nodes. Blocks for some seconds."""
        self._cluster.stop(timeout_s=5)

    def kill(self, number: int) -> None:
        """End a node's process with SIGKILL."""
        self._cluster.node(number).kill()

    def freeze(self, number: int) -> None:
        """Stop a node's process with SIGSTOP: its connections stay open, and it answers nothing."""
        self._signal(number, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """Let a frozen node go on where it was."""
        self._signal(number, signal.SIGCONT)

    def _signal(self, number: int, sent: signal.Signals) -> None:
        pid = self._cluster.node(number).pid
        assert pid is not None, f"node {number} does not run"
        os.kill(pid, sent)

    async def stop(self, number: int) -> None:
        """End a node with SIGTERM: it hands over what it leads before it goes."""
        await asyncio.to_thread(self._cluster.node(number).stop)

    async def start(self, number: int) -> None:
        """Start a node again, on its ports and its data."""
        await asyncio.to_thread(self._cluster.node(number).start)

    async def restore(self) -> None:
        """Start every node that does not run, and wait until all replicas of all topics are in sync."""
        for number in self.numbers:
            if number not in self.running():
                await self.start(number)
        deadline_s = time.monotonic() + WHOLE_WITHIN_S
        while not await self._is_whole():
            assert time.monotonic() < deadline_s, "the cluster's replicas did not come into sync"
            await asyncio.sleep(POLL_S)

    # -- who is what

    def controller(self) -> int:
        """Return the number of the active controller. Blocks while none is elected."""
        deadline_s = time.monotonic() + WHOLE_WITHIN_S
        while True:
            for number in self.running():
                found = _quorum_leader(*addresses(self._cluster.node(number).bootstrap)[0])
                if found in self.running():
                    return found
            assert time.monotonic() < deadline_s, "no controller was elected"
            time.sleep(POLL_S)

    async def leader(self, topic: str, partition: int) -> int:
        """Return the number of the node that leads a partition; -1 if none does."""
        return int((await self._partition(topic, partition))["leader"])

    async def until_in_sync(self, topic: str, partition: int, replicas: int) -> None:
        """Wait until that many replicas of a partition are in sync."""
        async with asyncio.timeout(WHOLE_WITHIN_S):
            while True:
                with contextlib.suppress(KafkaError, OSError):  # the nodes name one that was killed just now
                    if len((await self._partition(topic, partition))["isr"]) == replicas:
                        return
                await asyncio.sleep(POLL_S)

    async def _partition(self, topic: str, partition: int) -> dict[str, Any]:
        deadline_s = time.monotonic() + WHOLE_WITHIN_S
        while True:  # a node may know of a new topic some moments after the others
            for described in await self._describe([topic]):
                for one in described["partitions"]:
                    if one["partition"] == partition:
                        return dict(one)
            assert time.monotonic() < deadline_s, f"there is no {topic}/{partition}"
            await asyncio.sleep(POLL_S)

    async def _is_whole(self) -> bool:
        if broker_ids(self._cluster.node(self.running()[0]).bootstrap) != set(self.numbers):
            return False
        try:
            topics = await self._describe(None)
        except (KafkaError, OSError):
            return False
        return all(len(one["isr"]) == len(one["replicas"]) for topic in topics for one in topic["partitions"])

    async def _describe(self, topics: list[str] | None) -> list[dict]:  # type: ignore[type-arg]
        live = ",".join(self._cluster.node(number).bootstrap for number in self.running())
        admin = AIOKafkaAdminClient(bootstrap_servers=live, request_timeout_ms=5_000)
        await admin.start()
        try:
            return list(await admin.describe_topics(topics))
        finally:
            await admin.close()


def _quorum_leader(host: str, port: int) -> int | None:
    """Ask a node who leads the metadata's quorum: DescribeQuorum, which aiokafka lacks. None if the node cannot say."""
    partitions = b"\x02" + struct.pack(">i", 0) + b"\x00"
    topics = b"\x02" + bytes([len(METADATA_TOPIC) + 1]) + METADATA_TOPIC + partitions + b"\x00"
    request = struct.pack(">hhih", DESCRIBE_QUORUM, 0, 1, -1) + b"\x00" + topics + b"\x00"
    try:
        with socket.create_connection((host, port), timeout=SOCKET_TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb")
            (length,) = struct.unpack(">i", answer.read(4))
            body = answer.read(length)
    except (OSError, struct.error):
        return None
    # correlation id, tags, error code, count and name of the topic, count, index and error code of its partition
    before_name = 4 + 1 + 2 + 1
    (error,) = struct.unpack_from(">h", body, 5)
    if error:
        return None
    at = before_name + 1 + len(METADATA_TOPIC) + 1
    _index, partition_error, leader = struct.unpack_from(">ihi", body, at)
    return None if partition_error else int(leader)
