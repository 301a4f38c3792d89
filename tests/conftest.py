"""Fixtures for all tests: a real broker, found as the hub finds one, and names that no other test uses."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from clearinghub.kafka.broker import LocalBroker
from clearinghub.kafka.broker.docker import docker_answers
from tests.kafka_cluster import KafkaCluster

# No deadlines: on a busy machine they measure other programs. CI repeats its examples; `night` runs more.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("night", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

# A single node cannot replicate the topic of transactions three times.
ONE_NODE = {
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
}


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield `host:port` of a broker for the whole run: KAFKA_BOOTSTRAP, a container, or a JVM on this machine."""
    if configured := os.environ.get("KAFKA_BOOTSTRAP"):
        yield configured
    elif docker_answers():
        yield from _in_container()
    else:
        yield from _on_this_machine(tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="session")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three brokers on this machine's JVM for the whole run, started when the first test asks for them."""
    if shutil.which("java") is None:
        pytest.skip("three brokers need a JVM on this machine")
    cluster = KafkaCluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start_all()
        yield cluster
    finally:
        cluster.stop_all()


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Restore the process's logging after each test: the main functions of roles change it."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    yield
    root.handlers, root.level = before
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest.fixture
def topic_prefix() -> str:
    """Return a prefix for topics and application ids that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}-"


def _in_container() -> Iterator[str]:
    # Imported here: it is slow to import and warns on machines without Docker.
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415

    container = KafkaContainer().with_kraft()
    for name, value in ONE_NODE.items():
        container.with_env(name, value)
    with container:
        yield container.get_bootstrap_server()


def _on_this_machine(folder: Path) -> Iterator[str]:
    broker = LocalBroker(folder / "data", pid_file=folder / "kafka.pid")
    try:
        yield broker.start()
    finally:
        broker.stop(timeout_s=5)
