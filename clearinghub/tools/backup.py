"""`clearinghub backup`: copies all partitions of a hub while it works (docs/recovery.md)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.copies import CopyError
from clearinghub.copies.backup import back_up
from clearinghub.copies.folder import Manifest
from clearinghub.kafka.broker import on_running_broker
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_OK, App
from clearinghub.tools.copy_progress import shown_progress
from clearinghub.tools.screen import money

app = App(exits="0 the copy is whole, 1 it could not be made, 2 wrong usage or settings, 3 no broker")


@app.add("backup", examples=["backup /srv/copies/2026-11-30"])
async def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder for the copy.")],
) -> int:
    """Copy all rows of all partitions, and the messages between them, at one consistent cut.

    The hub goes on working. A copy is whole when it has a manifest.json; if anything goes wrong, nothing is left.
    """
    console = Console(stderr=True)
    settings = on_running_broker(Settings())
    _yield_to_others()
    try:
        with shown_progress(console) as show:
            manifest = await back_up(settings, folder, show)
    except CopyError as error:
        console.print(str(error), soft_wrap=True, highlight=False)
        return EXIT_FAILED
    except KafkaError as error:
        console.print(f"the broker cannot be used: {error}; nothing was copied, run it again", soft_wrap=True)
        return EXIT_NO_HUB
    _show(manifest, folder, console)
    return EXIT_OK


def _yield_to_others() -> None:
    """Let every other process of this machine go first: the hub's own may be among them."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


def _show(manifest: Manifest, folder: Path, console: Console) -> None:
    messages = sum(one.messages for one in manifest.partitions)
    cuts = [one.cut_at for one in manifest.partitions]
    console.print(
        f"{manifest.rows().total():,} rows of {len(manifest.partitions)} partitions and {messages:,} messages between "
        f"them are in {folder}, as of {min(cuts)} to {max(cuts)}",
        soft_wrap=True,
        highlight=False,
    )
    for currency, amount in manifest.balances.items():
        if amount:
            console.print(
                f"{currency}: the accounts hold {money(amount)} more than transfers explain; right only if operators "
                "gave accounts initial positions of that sum",
                soft_wrap=True,
                highlight=False,
            )
