"""Find out whether a broker answers and is ready for clients."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

CONNECT_TIMEOUT_S: Final = 1.0
REQUEST_TIMEOUT_MS: Final = 2_000
POLL_INTERVAL_S: Final = 0.2
PLAINTEXT: Final[Mapping[str, Any]] = {}


class BrokerUnavailableError(Exception):
    """No broker can be used. The sentence is for the operator: what was tried, and what to install or set."""


def addresses(bootstrap: str) -> list[tuple[str, int]]:
    """Return the hosts and ports of a bootstrap list `host:port[,host:port...]`; the default port is 9092.

    Raises:
        ValueError: a port is not a number.
    """
    found = []
    for part in filter(None, (piece.strip() for piece in bootstrap.split(","))):
        host, separator, port = part.rpartition(":")
        found.append((host.strip("[]"), int(port)) if separator else (part, 9092))
    return found


def port_answers(host: str, port: int) -> bool:
    """Return whether any program accepts a connection there."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def broker_answers(bootstrap: str, access: Mapping[str, Any] = PLAINTEXT) -> bool:
    """Return whether a broker there has joined its cluster. Blocks for about three seconds at most.

    A node opens its port some time before it joins its cluster, so an open port alone is not enough.
    """
    return bool(broker_ids(bootstrap, access))


def broker_ids(bootstrap: str, access: Mapping[str, Any] = PLAINTEXT) -> set[int]:
    """Return the node ids of the cluster's brokers, as the first that answers knows them; none if none answers.

    Blocks for about three seconds at most. The broker is queried in a thread of its own, so that this works inside a
    running event loop too.
    """
    if not any(port_answers(host, port) for host, port in addresses(bootstrap)):
        return set()
    answers: list[set[int]] = []
    asking = threading.Thread(target=lambda: answers.append(asyncio.run(_ask_for_brokers(bootstrap, access))))
    asking.start()
    asking.join()
    return answers[0] if answers else set()


def wait_until_answers(bootstrap: str, timeout_s: float, access: Mapping[str, Any] = PLAINTEXT) -> bool:
    """Wait, blocking, until a broker answers. Return False if none does within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not broker_answers(bootstrap, access):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


async def _ask_for_brokers(bootstrap: str, access: Mapping[str, Any]) -> set[int]:
    # The client logs each failed attempt as an error; here a failed attempt is an answer.
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=REQUEST_TIMEOUT_MS, **access)
    try:
        await admin.start()
        return {broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]}
    except (KafkaError, OSError, TimeoutError):
        return set()
    finally:
        await admin.close()
        logger.setLevel(level)
