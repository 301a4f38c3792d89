"""`python -m clearinghub ROLE`: the one command of the hub.

Exit codes: 0 stopped as asked; 1 something failed; 2 wrong settings or options; 3 no broker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import Any, Final

import uvloop
from aiokafka.errors import KafkaError
from pydantic import SecretStr, ValidationError

from clearinghub import __version__
from clearinghub.config import Settings
from clearinghub.engine.errors import StoredFormatError
from clearinghub.kafka.access import KafkaAccessError, kafka_access
from clearinghub.kafka.broker import BrokerUnavailableError, find_or_start_broker, find_running_broker, wait_for_broker
from clearinghub.kafka.connection import use_broker_connections
from clearinghub.kafka.topology import (
    TopicCreationError,
    TopologyError,
    TopologyMismatchError,
    ensure_topics,
    load_topology,
)
from clearinghub.kafka.topology.render import markdown
from clearinghub.logs import set_up_logs
from clearinghub.process import RoleFailedError, stop_event
from clearinghub.roles.all import CannotStartError, run_all, say
from clearinghub.roles.fees import FeesFileError
from clearinghub.roles.supervisor import ChildLostError
from clearinghub.security.errors import KeyFileError

SECRET_SETTINGS: Final = frozenset(
    name for name, field in Settings.model_fields.items() if field.annotation is SecretStr
)
EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG_SETTINGS: Final = 2
EXIT_NO_BROKER: Final = 3
BROKER_WATCH_INTERVAL_S: Final = 1.0
GARBAGE_THRESHOLD: Final = 20_000

# Role -> its module and the function that runs until it is told to stop. Imported only by the process that plays it.
ROLE_ENTRIES: Final = {
    "ingress": ("clearinghub.roles", "run_ingress"),
    "ledger": ("clearinghub.roles", "run_ledger"),
    "callbacks": ("clearinghub.roles", "run_callbacks"),
}
# Tools with options of their own: run(settings, arguments) -> exit code.
TOOL_ENTRIES: Final = {
    "sandbox": "sandbox.main",
    "demo": "sandbox.demo",
    "replay": "clearinghub.tools.replay",
    "admin": "clearinghub.tools.admin",
    "audit": "clearinghub.tools.audit.main",
    "apply": "clearinghub.tools.apply",
    "keys": "clearinghub.tools.keys",
    "parties": "clearinghub.tools.parties.main",
    "report": "clearinghub.tools.report.main",
    "archive": "clearinghub.tools.archive.main",
}


class NoBrokerError(Exception):
    """A role that is started alone needs a broker that runs already."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m clearinghub", description="A clearing hub for instant payments.")
    roles = top.add_subparsers(dest="role", metavar="ROLE", required=True)
    roles.add_parser("ingress", help="HTTP in: FSPIOP, admin, settlement")
    roles.add_parser("ledger", help="transfers, positions, timeouts, settlement")
    roles.add_parser("callbacks", help="HTTP out: callbacks to DFSPs")
    everything = roles.add_parser("all", help="broker and the three roles, for one machine")
    everything.add_argument("--sandbox", action="store_true", help="with two simulated DFSPs to play with")
    roles.add_parser("broker", help="only the broker: find it or start it, and stay")
    topics = roles.add_parser("topics", help="create missing topics, or show the map")
    topics.add_argument("--markdown", action="store_true", help="print topics.yaml as a table, touch no broker")
    for tool, purpose in (
        ("sandbox", "two simulated DFSPs on a running hub"),
        ("demo", "many transfers, checked"),
        ("replay", "send callbacks that were given up once more"),
        ("admin", "what operators do daily: participants, limits, positions, funds"),
        ("apply", "make a running hub what a scheme's file says"),
        ("audit", "check the ledger's books from the topics alone"),
        ("keys", "make keys for message signatures"),
        ("parties", "import parties into the built-in oracle from CSV, or export them"),
        ("report", "reports of settlement, account statements: on the screen, as JSON, CSV, HTML"),
        ("archive", "copy the analysts' topics to Parquet files"),
    ):
        roles.add_parser(tool, help=purpose, add_help=False)
    roles.add_parser("version", help="print the version")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one role until it ends; gives the exit code."""
    if not __debug__:
        say("refuses to run under python -O: the ledger's assertions are part of its safety.")
        return EXIT_WRONG_SETTINGS
    chosen, rest = parser().parse_known_args(arguments)
    if rest and chosen.role not in TOOL_ENTRIES:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    # Until a role installs its own handlers, SIGTERM ends the start as Ctrl-C does, with the same clearing up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(chosen, rest)
    except KeyboardInterrupt:
        return EXIT_OK
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"]))
            got = "" if name in SECRET_SETTINGS else f" (got {problem['input']!r})"
            say(f"setting {name}: {problem['msg']}{got}")
        return EXIT_WRONG_SETTINGS
    except (FeesFileError, KafkaAccessError, KeyFileError) as error:
        say(str(error))
        return EXIT_WRONG_SETTINGS
    except (BrokerUnavailableError, NoBrokerError) as error:
        say(str(error))
        return EXIT_NO_BROKER
    except (
        CannotStartError,
        ChildLostError,
        RoleFailedError,
        TopicCreationError,
        TopologyError,
        TopologyMismatchError,
    ) as error:
        say(str(error))
        return EXIT_FAILED
    except StoredFormatError as error:
        say(
            f"the data of an earlier release cannot be used: {error}. Delete it (`make clean-data` for the local "
            "broker), or set another CLEARINGHUB_TOPIC_PREFIX and CLEARINGHUB_APPLICATION_ID for a new, empty hub."
        )
        return EXIT_FAILED
    except KafkaError as error:
        say(f"the broker cannot be used: {error}")
        return EXIT_NO_BROKER


def _run(chosen: argparse.Namespace, rest: Sequence[str]) -> int:
    role: str = chosen.role
    if role == "version":
        print(__version__)  # noqa: T201 - the answer
        return EXIT_OK
    if role == "topics" and chosen.markdown:
        print(markdown(load_topology()), end="")  # noqa: T201 - the answer
        return EXIT_OK
    settings = Settings()
    if role in TOOL_ENTRIES:
        return _run_tool(settings, role, rest)
    set_up_logs(settings, role)
    if role == "all":
        run_all(settings, with_sandbox=chosen.sandbox)
    elif role == "broker":
        _run_broker(settings)
    elif role == "topics":
        _run_in_loop(_create_topics(_with_broker(settings)))
    else:
        _run_in_loop(_run_role(_with_broker(settings), *ROLE_ENTRIES[role]))
    return EXIT_OK


def _run_in_loop(work: Coroutine[Any, Any, int | None]) -> int | None:
    use_broker_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _with_broker(settings: Settings) -> Settings:
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        raise NoBrokerError("no broker runs: set KAFKA_BOOTSTRAP=host:port, or start one: python -m clearinghub broker")
    # Started while the broker is away, a role waits for it: ending at once, it would use its restarts up in seconds.
    wait_for_broker(bootstrap, kafka_access(settings))
    return settings.model_copy(update={"kafka_bootstrap": bootstrap})


async def _run_role(settings: Settings, module: str, function: str) -> None:
    # Every topic must be there before a role starts: a transaction on a missing one waits for ever (design 5).
    await ensure_topics(settings, load_topology())
    entry: Callable[[Settings], Coroutine[Any, Any, None]] = getattr(import_module(module), function)
    # What was imported lives as long as the process; and a payment leaves little that only the collector finds, so it
    # need not look after every few hundred objects.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)
    await entry(settings)


async def _create_topics(settings: Settings) -> None:
    created = await ensure_topics(settings, load_topology())
    say(f"created: {', '.join(created)}" if created else "all topics are there")


def _run_tool(settings: Settings, tool: str, arguments: Sequence[str]) -> int:
    run: Callable[[Settings, Sequence[str]], Coroutine[Any, Any, int]] = import_module(TOOL_ENTRIES[tool]).run
    return _run_in_loop(run(settings, arguments)) or EXIT_OK


def _run_broker(settings: Settings) -> None:
    broker = find_or_start_broker(settings)
    say(f"broker at {broker.bootstrap}{'; Ctrl-C stops it' if broker.started else ' runs already'}")

    async def stay() -> None:
        stop = stop_event()
        while not stop.is_set() and not broker.ended:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), BROKER_WATCH_INTERVAL_S)

    try:
        if broker.started:
            _run_in_loop(stay())
        if broker.ended:
            raise BrokerUnavailableError("the broker ended by itself; see its log under the data folder")
    finally:
        broker.stop()


if __name__ == "__main__":
    sys.exit(main())
