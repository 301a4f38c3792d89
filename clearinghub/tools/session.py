"""A command's session with a running hub: where the hub is, what the command shows, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from clearinghub.config import Settings
from clearinghub.tools.client.admin import (
    REQUEST_TIMEOUT_S,
    AdminClient,
    AdminError,
    HubNotReadyError,
    RefusedError,
)
from clearinghub.tools.client.hub_urls import admin_url
from clearinghub.tools.client.operations import Operations
from clearinghub.tools.client.settlement import SettlementOperations
from clearinghub.tools.client.tls import NO_FILES, ClientFiles
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_OK, EXIT_STOPPED, share_parameters, tell
from clearinghub.tools.options import base_url, seconds
from clearinghub.tools.screen import Answer, print_answer

EXITS: Final = "0 done, 1 refused by the hub, 2 wrong usage, 3 hub unreachable or not ready, 130 stopped"
_PANEL: Final = "Every command's options"

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        parser=base_url,
        help="The admin API; without it CLEARINGHUB_ADMIN_URL, or this machine's.",
        rich_help_panel=_PANEL,
    ),
]
Timeout = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        parser=seconds,
        help=f"The longest wait for an answer; {REQUEST_TIMEOUT_S} without it.",
        rich_help_panel=_PANEL,
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option(
        "--cert",
        metavar="FILE",
        help="The operator's certificate; without it CLEARINGHUB_ADMIN_CERT_FILE.",
        rich_help_panel=_PANEL,
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="Its key; without it CLEARINGHUB_ADMIN_KEY_FILE, or the certificate's file.",
        rich_help_panel=_PANEL,
    ),
]
Authority = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        help="Who has issued the hub's certificate; without it CLEARINGHUB_ADMIN_CA_FILE.",
        rich_help_panel=_PANEL,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.", rich_help_panel=_PANEL)]

P = ParamSpec("P")


class NotDoneError(Exception):
    """The hub accepted the request and did not do it; the text says why."""


@dataclass(frozen=True, slots=True)
class HubOptions:
    """The options that say which hub is meant and how the answer is printed. None: as the settings say."""

    url: str | None = None
    timeout_s: int | None = None
    files: ClientFiles = NO_FILES
    as_json: bool = False

    def over(self, others: HubOptions) -> HubOptions:
        """Return these options, and the others where these are not given."""
        return HubOptions(
            self.url or others.url,
            self.timeout_s or others.timeout_s,
            self.files.over(others.files),
            as_json=self.as_json or others.as_json,
        )

    @asynccontextmanager
    async def client(self, settings: Settings) -> AsyncIterator[AdminClient]:
        """Open a client of the hub's admin API.

        Raises:
            KeyFileError: a certificate or key cannot be used.
        """
        url = self.url or admin_url(settings)
        files = self.files.over(ClientFiles.of(settings))
        tls = files.context() if url.startswith("https:") else None
        async with AdminClient(url, timeout_s=self.timeout_s or REQUEST_TIMEOUT_S, tls=tls) as admin:
            yield admin


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub that a command works on, by what operators can do with it."""

    name: str
    operations: Operations
    settlement: SettlementOperations


def remember_options(
    ctx: typer.Context,
    *,
    url: Url = None,
    timeout_s: Timeout = None,
    cert: Certificate = None,
    key: Key = None,
    ca: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Keep the options that are given before a command's name."""
    ctx.obj = HubOptions(url, timeout_s, ClientFiles(cert, key, ca), as_json=as_json)


def on_hub(
    command: Callable[Concatenate[Hub, P], Awaitable[Answer]],
) -> Callable[..., Coroutine[Any, Any, int]]:
    """Make a command of a function that asks a hub: it gets the hub's options, and its answer is printed.

    `command` may raise AdminError and NotDoneError. The options may also be given before the command's name.
    """

    async def run(
        ctx: typer.Context,
        *,
        url: Url = None,
        timeout_s: Timeout = None,
        cert: Certificate = None,
        key: Key = None,
        ca: Authority = None,
        as_json: AsJson = False,
        **values: Any,
    ) -> int:
        options = HubOptions(url, timeout_s, ClientFiles(cert, key, ca), as_json=as_json).over(ctx.obj)

        async def ask() -> int:
            settings = Settings()
            async with options.client(settings) as admin:
                settlement = SettlementOperations(admin, settings.settlement_base_path)
                answer = await command(Hub(settings.hub_name, Operations(admin), settlement), **values)  # type: ignore[call-arg]
            print_answer(answer, as_json=options.as_json)
            return EXIT_OK

        return await ending(ask())

    share_parameters(run, command)
    return run


async def ending(work: Awaitable[int]) -> int:
    """Return the exit code of `work`, after a sentence on stderr if it failed.

    SIGINT and SIGTERM cancel it, so that it may still say how far it came.
    """
    this_task = asyncio.current_task()
    assert this_task is not None
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, this_task.cancel)
    try:
        return await work
    except (AdminError, NotDoneError) as error:
        tell(sentence_of(error))
        return EXIT_NO_HUB if isinstance(error, HubNotReadyError) else EXIT_FAILED
    except asyncio.CancelledError:
        tell("stopped")
        return EXIT_STOPPED
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def sentence_of(error: AdminError | NotDoneError) -> str:
    """Say what went wrong, with FSPIOP's code where the hub sent one."""
    if isinstance(error, RefusedError):
        return f"refused by the hub: {error}"
    return f"hub unreachable or not ready: {error}" if isinstance(error, HubNotReadyError) else str(error)
