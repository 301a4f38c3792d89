"""How each role is started from the command line.

The functions block until there is a broker, so they are called outside an event loop, where Ctrl-C ends them at once;
what they return is run in one.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final

import structlog
from prometheus_client import Gauge

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker import (
    Broker,
    BrokerUnavailableError,
    find_or_start_broker,
    on_running_broker,
    wait_for_broker,
)
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.kafka.topology.render import markdown
from clearinghub.logs import set_up_logs
from clearinghub.process import keep_files_private, stop_event
from clearinghub.security.profile import ready_profile
from clearinghub.tools.command_line import tell

BROKER_WATCH_INTERVAL_S: Final = 1.0
GARBAGE_THRESHOLD: Final = 20_000

_INSECURE: Final = Gauge(
    "clearinghub_insecure", "1 with SECURITY=open: whoever reaches the ports may speak for anybody"
)

_log = structlog.get_logger(__name__)

# The function of each role that runs until it is stopped. Its module is imported only by the process that plays it.
ROLE_ENTRIES: Final = {
    "ingress": ("clearinghub.roles.ingress", "run_ingress"),
    "ledger": ("clearinghub.roles.ledger", "run_ledger"),
    "callbacks": ("clearinghub.roles.callbacks", "run_callbacks"),
    "admin-api": ("clearinghub.roles.admin_api", "run_admin_api"),
}


def role(name: str) -> Coroutine[Any, Any, None]:
    """Return a role that runs until SIGTERM or SIGINT, on a broker that answers."""
    settings = Settings()
    set_up_logs(settings, name)
    _require_profile(settings, name)
    return _run_role(_with_broker(settings), name)


def everything(*, with_sandbox: bool) -> None:
    """Run a broker and all roles under this process."""
    settings = Settings()
    set_up_logs(settings, "all")
    _require_profile(settings, "all")
    import_module("clearinghub.roles.all").run_all(settings, with_sandbox=with_sandbox)


def broker() -> Coroutine[Any, Any, None]:
    """Return a broker that stays until SIGTERM or SIGINT, found or started here."""
    settings = Settings()
    set_up_logs(settings, "broker")
    found = find_or_start_broker(settings)
    tell(f"broker at {found.bootstrap}{'; Ctrl-C stops it' if found.started else ' runs already'}")
    return _stay(found)


def create_topics() -> Coroutine[Any, Any, None]:
    """Return the creation of the topics that a broker does not have."""
    settings = Settings()
    set_up_logs(settings, "topics")
    return _create_topics(_with_broker(settings))


def print_topics() -> None:
    """Print topics.yaml as a table."""
    print(markdown(load_topology()), end="")  # noqa: T201 - the answer


def _require_profile(settings: Settings, name: str) -> None:
    """Say whether this process believes everybody.

    Raises:
        ProfileError: the profile's settings or files are wrong.
    """
    required = ready_profile(settings, name, datetime.now(UTC))
    _INSECURE.set(not required.is_secure)
    if not required.is_secure:
        _log.warning("insecure", security=required.security, bind_host=settings.bind_host)


def _with_broker(settings: Settings) -> Settings:
    running = on_running_broker(settings)
    # Started while the broker is away, a role waits for it: ending at once, it would use its restarts up in seconds.
    wait_for_broker(str(running.kafka_bootstrap), kafka_access(settings))
    return running


async def _run_role(settings: Settings, name: str) -> None:
    # Every topic must be there before a role starts: a transaction on a missing one waits for ever (design 5).
    await ensure_topics(settings, load_topology(), role=name)
    keep_files_private()
    module, function = ROLE_ENTRIES[name]
    entry: Callable[[Settings], Coroutine[Any, Any, None]] = getattr(import_module(module), function)
    # The imported modules live as long as the process, and a payment leaves few cycles: the collector runs seldom.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)
    await entry(settings)


async def _create_topics(settings: Settings) -> None:
    created = await ensure_topics(settings, load_topology())
    tell(f"created: {', '.join(created)}" if created else "all topics are there")


async def _stay(found: Broker) -> None:
    try:
        if not found.started:
            return
        stop = stop_event()
        while not stop.is_set() and not found.ended:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), BROKER_WATCH_INTERVAL_S)
        if found.ended:
            raise BrokerUnavailableError("the broker ended by itself; see its log under the data folder")
    finally:
        found.stop()
