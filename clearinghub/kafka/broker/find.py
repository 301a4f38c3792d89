"""Find a broker or start one, in the order of design 2: the one in the settings, Docker, this machine's JVM."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker.cluster import NODES, LocalCluster
from clearinghub.kafka.broker.docker import DockerBroker, docker_answers
from clearinghub.kafka.broker.local import LocalBroker
from clearinghub.kafka.broker.probe import BrokerUnavailableError, wait_until_answers

SET_BROKER_TIMEOUT_S: Final = 30


class Broker(Protocol):
    """A broker that clients can use."""

    @property
    def bootstrap(self) -> str:
        """`host:port`, or a list of these."""

    @property
    def started(self) -> bool:
        """Whether this object started it."""

    @property
    def ended(self) -> bool:
        """Whether this object started it and it has ended by itself."""

    def start(self) -> str:
        """Start it, or restart it if it has ended, and return its bootstrap."""

    def stop(self) -> None:
        """Stop it if this object started it."""


class ExternalBroker:
    """A broker that somebody else runs; it is never started or stopped here."""

    started = False
    ended = False

    def __init__(self, bootstrap: str, access: Mapping[str, Any]) -> None:
        self.bootstrap = bootstrap
        self._access = access

    def start(self) -> str:
        """Wait until the broker answers, and return its bootstrap; see `wait_for_broker`."""
        wait_for_broker(self.bootstrap, self._access)
        return self.bootstrap

    def stop(self) -> None:
        """Do nothing: the broker is not ours."""


def wait_for_broker(bootstrap: str, access: Mapping[str, Any]) -> None:
    """Wait, blocking, until a broker that somebody else runs answers. `access` comes from `kafka_access`.

    Raises:
        BrokerUnavailableError: no broker answers in time, or `bootstrap` is malformed.
    """
    try:
        answers = wait_until_answers(bootstrap, SET_BROKER_TIMEOUT_S, access)
    except ValueError:
        raise BrokerUnavailableError(f"KAFKA_BOOTSTRAP={bootstrap} is no list of host:port.") from None
    if not answers:
        how = f" over {access['security_protocol']}, or it does not take who we are" if access else ""
        raise BrokerUnavailableError(
            f"No broker answers at KAFKA_BOOTSTRAP={bootstrap}{how} (waited {SET_BROKER_TIMEOUT_S} s)."
        )


def find_or_start_broker(settings: Settings) -> Broker:
    """Return a broker that answers. It blocks: a start takes about ten seconds, the first one about a minute.

    Three brokers are always local: the Docker service has one node.

    Raises:
        BrokerUnavailableError: no broker was found, and none can be started.
    """
    if settings.kafka_bootstrap:
        broker: Broker = ExternalBroker(settings.kafka_bootstrap, kafka_access(settings))
    elif settings.local_brokers == 1 and docker_answers():
        broker = DockerBroker()
    else:
        return _start_local(local_cluster(settings) if settings.local_brokers > 1 else local_broker(settings))
    broker.start()
    return broker


def with_local_brokers(settings: Settings) -> Settings:
    """Return the settings of a hub on `local_brokers` brokers: three have data of their own and three replicas.

    A hub's tables belong to its topics, so that the data of one broker and of three must never meet.
    """
    if settings.local_brokers == 1 or settings.kafka_bootstrap:
        return settings
    changed: dict[str, Any] = {"data_dir": _cluster_data_dir(settings)}
    if "replication_factor" not in settings.model_fields_set:
        changed["replication_factor"] = settings.local_brokers
    return settings.model_copy(update=changed)


def find_running_broker(settings: Settings) -> str | None:
    """Return the bootstrap in the settings, else that of a local broker that runs, else None. Starts no broker."""
    if settings.kafka_bootstrap:
        return settings.kafka_bootstrap
    running = local_broker(settings).find_running() or local_cluster(settings).find_running()
    if running is None and docker_answers():
        running = DockerBroker().find_running()
    return running


def on_running_broker(settings: Settings) -> Settings:
    """Return the settings with the bootstrap of a broker that runs; never starts one.

    Raises:
        BrokerUnavailableError: none runs.
    """
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        raise BrokerUnavailableError("no broker runs: set KAFKA_BOOTSTRAP=host:port, or start one: clearinghub broker")
    return settings.model_copy(update={"kafka_bootstrap": bootstrap})


def local_broker(settings: Settings) -> LocalBroker:
    """Return the broker on this machine's JVM, with its data in the data folder."""
    return LocalBroker(settings.data_dir / "kafka", pid_file=settings.run_dir / "kafka.pid", port=None)


def local_cluster(settings: Settings) -> LocalCluster:
    """Return this machine's own three brokers, with their data under the data folder of their hub."""
    return LocalCluster(_cluster_data_dir(settings) / "kafka", run_dir=settings.run_dir)


def _cluster_data_dir(settings: Settings) -> Path:
    name = f"brokers-{NODES}"
    return settings.data_dir if settings.data_dir.name == name else settings.data_dir / name


def _start_local(broker: LocalBroker | LocalCluster) -> Broker:
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if "java" in missing:
        raise BrokerUnavailableError(_what_to_install(missing))
    try:
        broker.start()
    except BrokerUnavailableError as error:
        if missing:
            raise BrokerUnavailableError(f"{error}\n{_what_to_install(missing)}") from error
        raise
    return broker


def _what_to_install(missing: list[str]) -> str:
    return (
        "No Kafka broker. Looked for: KAFKA_BOOTSTRAP (not set); a Docker daemon (none answers); "
        f"a local broker on this machine's JVM (missing: {', '.join(missing)}).\n"
        "Do one of these: set KAFKA_BOOTSTRAP=host:port; start Docker; or install Java 17+ and Maven "
        "(Debian: apt-get install openjdk-17-jre-headless maven)."
    )
