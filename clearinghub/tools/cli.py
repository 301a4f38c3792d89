"""`clearinghub COMMAND`: the one command line of the hub, for roles, operators, analysts and developers.

The module of a command is imported when the command is run, and not before: a role must not load the operators' tools,
and `--help` must be quick.

Exit codes: 0 done, or stopped; 1 something failed; 2 wrong options or settings; 3 no broker or no hub.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.main import get_command

from clearinghub import __version__
from clearinghub.process import stop_signals
from clearinghub.tools.command_line import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_WRONG_USAGE,
    App,
    CommandGroup,
    tell,
)

ROLES: Final = "Roles"
OPERATORS: Final = "Operators' commands"
ANALYSTS: Final = "Analysts' commands"
DEVELOPMENT: Final = "Development"


class Tool(NamedTuple):
    """A command with options of its own: `module` has its `app`."""

    name: str
    module: str
    panel: str
    purpose: str


TOOLS: Final = (
    Tool(
        "admin",
        "clearinghub.tools.admin.main",
        OPERATORS,
        "Manage participants, limits, positions, funds and settlement.",
    ),
    Tool("apply", "clearinghub.tools.apply.main", OPERATORS, "Make a running hub what a scheme's file says."),
    Tool("audit", "clearinghub.tools.audit.main", OPERATORS, "Check the ledger's books from the topics alone."),
    Tool("parties", "clearinghub.tools.parties.main", OPERATORS, "Import parties from CSV, or export them."),
    Tool("keys", "clearinghub.tools.keys", OPERATORS, "Make keys for message signatures."),
    Tool("backup", "clearinghub.tools.backup", OPERATORS, "Copy all partitions of the hub while it works."),
    Tool("restore", "clearinghub.tools.restore", OPERATORS, "Make a new hub of a copy, with any number of partitions."),
    Tool("secure", "clearinghub.tools.secure", OPERATORS, "Make and issue the scheme's keys and certificates."),
    Tool("replay", "clearinghub.tools.replay", OPERATORS, "Send callbacks again that were given up."),
    Tool("requeue", "clearinghub.tools.requeue", OPERATORS, "Put a dead letter of the ledger back on its topic."),
    Tool("recover", "clearinghub.tools.recover", OPERATORS, "List stopped partitions, and let one go on."),
    Tool("report", "clearinghub.tools.report.main", ANALYSTS, "Show settlement reports and account statements."),
    Tool("archive", "clearinghub.tools.archive.main", ANALYSTS, "Copy the analysts' topics to Parquet files."),
    Tool("sandbox", "sandbox.main", DEVELOPMENT, "Run two simulated DFSPs on a running hub."),
    Tool("demo", "sandbox.demo.main", DEVELOPMENT, "Make many payments through a running hub, and check every one."),
)
_BY_NAME: Final = {tool.name: tool for tool in TOOLS}


class _Top(CommandGroup):
    """All commands; a tool's own options are loaded when it is run or completed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first argument names."""
        name, command, rest = super().resolve_command(ctx, args)
        tool = _BY_NAME.get(name or "")
        return name, command if tool is None else get_command(import_module(tool.module).app), rest


app = App(
    "A clearing hub for instant payments.",
    examples=["all --sandbox", "admin positions list", "admin limits set --help"],
    exits="0 done, or stopped; 1 something failed; 2 wrong options or settings; 3 no broker",
    cls=_Top,
    completion=True,
)


def _show_version(*, shown: bool) -> None:
    if shown:
        print(__version__)  # noqa: T201 - the answer
        raise typer.Exit


@app.callback()
def options(
    *,
    shows_version: Annotated[
        bool, typer.Option("--version", callback=lambda shown: _show_version(shown=shown), is_eager=True)
    ] = False,
) -> None:
    """A clearing hub for instant payments."""
    del shows_version  # its callback has shown it


@app.add(rich_help_panel=ROLES)
def ingress() -> Callable[[], Coroutine[Any, Any, None]]:
    """Serve FSPIOP to DFSPs over HTTP."""
    return partial(_start().role, "ingress")


@app.add(rich_help_panel=ROLES)
def ledger() -> Callable[[], Coroutine[Any, Any, None]]:
    """Decide transfers; keep positions, timeouts and settlement."""
    return partial(_start().role, "ledger")


@app.add(rich_help_panel=ROLES)
def callbacks() -> Callable[[], Coroutine[Any, Any, None]]:
    """Send callbacks to DFSPs over HTTP."""
    return partial(_start().role, "callbacks")


@app.add("admin-api", rich_help_panel=ROLES)
def admin_api() -> Callable[[], Coroutine[Any, Any, None]]:
    """Serve the admin and settlement API to operators over HTTP."""
    return partial(_start().role, "admin-api")


@app.add("all", rich_help_panel=ROLES)
def everything(
    *, sandbox: Annotated[bool, typer.Option("--sandbox", help="Add two simulated DFSPs to play with.")] = False
) -> Callable[[], None]:
    """Run a broker and all roles, for one machine."""
    return partial(_start().everything, with_sandbox=sandbox)


@app.add(rich_help_panel=ROLES)
def broker() -> Callable[[], Coroutine[Any, Any, None]]:
    """Find a broker or start one, and stay until stopped."""
    return partial(_start().broker)


@app.add(rich_help_panel=ROLES)
def topics(
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print topics.yaml as a table; needs no broker.")
    ] = False,
) -> Callable[[], Coroutine[Any, Any, None] | None]:
    """Create the topics that are missing, or print the list of all."""
    return partial(_start().print_topics if markdown else _start().create_topics)


def _declare(tool: Tool) -> None:
    def lazy() -> None:
        raise AssertionError(f"{tool.module} is loaded in its place")

    app.add(tool.name, help=tool.purpose, rich_help_panel=tool.panel)(lazy)


for _tool in TOOLS:
    _declare(_tool)


@app.add(rich_help_panel=DEVELOPMENT)
def version() -> None:
    """Print the version of the hub."""
    print(__version__)  # noqa: T201 - the answer


def _start() -> Any:
    """Return the module that starts roles, which imports the whole hub."""
    return import_module("clearinghub.roles.start")


Work = int | Coroutine[Any, Any, int | None] | Callable[[], Coroutine[Any, Any, int | None] | None] | None


def read_command(arguments: Sequence[str] | None = None) -> Work:
    """Read the command line; returns what is left to do, or the exit code where nothing is.

    A tool is a coroutine. A role is a function, called when the command line has been read.
    """
    try:
        work: Work = app(None if arguments is None else list(arguments), prog_name="clearinghub", standalone_mode=False)
    except typer.TyperException as error:
        return _show_usage(error)
    return work


def _show_usage(error: typer.TyperException) -> int:
    error.show()  # type: ignore[attr-defined]
    return error.exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command until it ends; returns the exit code."""
    if not __debug__:
        tell("refuses to run under python -O: the ledger's assertions are part of its safety.")
        return EXIT_WRONG_USAGE
    # Until a role installs its own handlers, these end the start as Ctrl-C does, with the same clearing up.
    for number in stop_signals():
        signal.signal(number, signal.default_int_handler)
    try:
        work = read_command(arguments)
        if callable(work):
            work = work()
        code = work if work is None or isinstance(work, int) else _run_in_loop(work)
    except KeyboardInterrupt:
        return EXIT_OK
    except Exception as error:  # noqa: BLE001 - raised again unless it is a user's
        return EXIT_FAILED if isinstance(error, BrokenPipeError) and _output_is_closed() else explain(error)
    return code or EXIT_OK


def _output_is_closed() -> bool:
    """Return whether nobody reads stdout any more, as after `| head`; then nothing more is written to it."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    is_closed = any(event & select.POLLERR for _number, event in poll.poll(0))
    if is_closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_closed


def explain(error: Exception) -> int:
    """Say in a sentence what has ended a command, and return the exit code; an error of ours is raised again."""
    if isinstance(error, typer.TyperException):  # options that do not go together
        return _show_usage(error)
    found: tuple[list[str], int] = import_module("clearinghub.roles.failures").explained(error)
    sentences, code = found
    for sentence in sentences:
        tell(sentence)
    return code


def _run_in_loop(work: Coroutine[Any, Any, int | None]) -> int | None:
    uvloop = import_module("uvloop")
    import_module("clearinghub.kafka.connection").use_broker_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
