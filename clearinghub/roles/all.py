"""`clearinghub all`: a broker, the topics and the roles under one parent process; optionally the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from typing import Final

import uvloop

from clearinghub.config import Settings
from clearinghub.kafka.broker import Broker, BrokerUnavailableError, find_or_start_broker, with_local_brokers
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.process import running_pid, stop_event
from clearinghub.roles.supervisor import RestartBudget, Supervisor
from clearinghub.security.key_files import new_key, write_key_pair
from clearinghub.security.profile import profile
from clearinghub.security.signature import signer_of, verifier_of
from clearinghub.tools.client.hub_urls import HubDownError, HubUrls

ROLES: Final = ("ledger", "callbacks", "admin-api", "ingress")  # in this order, readers start before writers
READY_TIMEOUT_S: Final = 120
BROKER_WATCH_INTERVAL_S: Final = 1.0


class CannotStartError(Exception):
    """Something on this machine prevents the start; the sentence says what it is, and what to do."""


def say(sentence: str) -> None:
    """Print a sentence for the person at the terminal."""
    with contextlib.suppress(OSError):  # the terminal was closed, and the processes must be stopped nevertheless
        print(f"clearinghub: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - this is what the command shows


def run_all(settings: Settings, *, with_sandbox: bool) -> None:
    """Start everything, run until SIGTERM or SIGINT, and stop everything; the broker only if it was started here.

    Raises:
        CannotStartError: an earlier start still runs, or a port is in use.
        BrokerUnavailableError: no broker was found, and none can be started.
        ChildLostError: a role keeps dying, or the sandbox ended.
        KeyFileError: a key of a role cannot be used.
        StoredFormatError: an earlier release wrote the tables, in rows that this release cannot read.
    """
    settings = with_local_brokers(settings)
    _check_free(settings)
    signer_of(settings)
    verifier_of(settings)
    say("looking for a Kafka broker (the first local one takes about a minute)")
    broker = find_or_start_broker(settings)
    say(f"broker at {broker.bootstrap}{' (started here)' if broker.started else ''}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, broker, with_sandbox=with_sandbox))
    finally:
        if broker.started:
            say("stopping the broker")
            broker.stop()
        say("stopped")


async def _run(settings: Settings, broker: Broker, *, with_sandbox: bool) -> None:
    stop = stop_event()
    with_broker = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
    created = await ensure_topics(with_broker, load_topology())
    say(f"{len(created)} topics created" if created else "all topics are there")
    environment = os.environ | {
        "CLEARINGHUB_KAFKA_BOOTSTRAP": broker.bootstrap,
        "KAFKA_BOOTSTRAP": broker.bootstrap,
        "CLEARINGHUB_DATA_DIR": str(settings.data_dir),
        "CLEARINGHUB_REPLICATION_FACTOR": str(settings.replication_factor),
    }
    environment |= _signing(settings)
    supervisor = Supervisor(settings.run_dir, settings.stop_timeout_ms / 1000, say)
    watching = asyncio.create_task(keep_broker(broker))
    announcing: asyncio.Task[None] | None = None
    try:
        for role in ROLES:
            supervisor.start(role, _command(role), environment, RestartBudget())
        if with_sandbox:  # it waits for the hub by itself
            supervisor.start("sandbox", _command("sandbox"), environment, RestartBudget(deaths_max=0))
        announcing = asyncio.create_task(_announce(settings))
        await supervisor.wait(stop)
        say("stopping")
    finally:
        for task in filter(None, (watching, announcing)):
            task.cancel()
        await supervisor.stop()


def _signing(settings: Settings) -> dict[str, str]:
    """Return the settings with which the hub signs its own callbacks, by a key that is made at the first start.

    Clients made for Mojaloop expect a signature on every callback of the hub. If the settings say something about
    signing, they count and nothing is returned.
    """
    if "jws_sign" in settings.model_fields_set or profile(settings).signing_key is not None:
        return {}
    folder = settings.data_dir / "keys"
    private_key = folder / f"{settings.hub_name}.key"
    if not private_key.exists():
        private_key, public_key = write_key_pair(folder, settings.hub_name, new_key("ec"))
        say(f"made a key to sign with; DFSPs verify with {public_key}")
    return {"CLEARINGHUB_JWS_SIGN": "true", "CLEARINGHUB_JWS_PRIVATE_KEY_FILE": str(private_key)}


def _command(role: str) -> list[str]:
    return [sys.executable, "-m", "clearinghub", role]


async def _announce(settings: Settings) -> None:
    """Print a sentence when the hub is ready, or what it still waits for."""
    urls = HubUrls.of(settings)
    while True:
        try:
            await urls.wait_until_healthy(READY_TIMEOUT_S, lambda _what: None)
        except HubDownError as error:
            say(str(error))
        else:
            break
    say(f"ready: FSPIOP {urls.fspiop}, admin {urls.admin}; Ctrl-C stops everything")


async def keep_broker(broker: Broker) -> None:
    """Restart the broker each time that it dies, if it was started here. The roles wait for it."""
    while True:
        await asyncio.sleep(BROKER_WATCH_INTERVAL_S)
        if broker.ended:
            say("the broker ended by itself; starting it again")
            try:
                await asyncio.to_thread(broker.start)
                say(f"broker at {broker.bootstrap} again")
            except BrokerUnavailableError as error:
                say(f"{error} Trying again.")


def _check_free(settings: Settings) -> None:
    for role in ROLES:
        pid = running_pid(settings.run_dir / f"{role}.pid", f"clearinghub {role}")
        if pid is not None:
            raise CannotStartError(f"{role} of an earlier start still runs. Stop it first: kill {pid}")
    ports = ["fspiop_port", "admin_port", "ledger_port", "callbacks_port"]
    for name in ports if settings.security == "open" else [*ports, "ops_port"]:
        port = getattr(settings, name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.bind_host, port))
            except OSError as error:
                setting = f"CLEARINGHUB_{name.upper()}"
                raise CannotStartError(
                    f"Cannot listen on {settings.bind_host}:{port}: {error.strerror}. Free it or set {setting}."
                ) from error
