"""`clearinghub restore`: makes a new hub's state from a copy, or says what the copy lacks (docs/recovery.md)."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.copies import CopyError
from clearinghub.copies.folder import Copy
from clearinghub.copies.missing import FinishedAfter, finished_in_archive, finished_on_topic
from clearinghub.copies.restore import Restored
from clearinghub.copies.restore import restore as restore_copy
from clearinghub.domain.money import format_amount
from clearinghub.kafka.broker import on_running_broker
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_OK, App, refuse_usage
from clearinghub.tools.copy_progress import shown_progress

HEADINGS = ("partition", "sequence", "transfer", "kind", "payer", "payee", "amount", "currency", "state", "finished at")

app = App(exits="0 done, 1 the copy cannot be restored or read, 2 wrong usage or settings, 3 no broker")


@app.add(
    "restore",
    examples=[
        "restore /srv/copies/2026-11-30",
        "restore --missing --archive /srv/archive /srv/copies/2026-11-30 > missing.csv",
    ],
)
async def restore(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the copy.")],
    *,
    missing: Annotated[
        bool, typer.Option("--missing", help="Restore nothing; print as CSV what was finished after the copy.")
    ] = False,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="FOLDER", help="With --missing: read the archive, not the old topics."),
    ] = None,
) -> int:
    """Restore a copy to the empty topics of a new hub, with CLEARINGHUB_PARTITIONS partitions.

    The books are read back and checked before the hub can take anything. Start the roles when the command has ended.
    With --missing it prints the transfers that were finished after the copy was made, from the archive, or from topic
    `transfers` of the old hub if the broker still has it.
    """
    if archive is not None and not missing:
        refuse_usage(ctx, "--archive is for --missing")
    console = Console(stderr=True)
    try:
        copy = Copy.open(folder)
        if missing:
            return await _tell_missing(copy, archive, console)
        settings = on_running_broker(Settings())
        with shown_progress(console) as show:
            restored = await restore_copy(settings, copy, show)
    except CopyError as error:
        console.print(str(error), soft_wrap=True, highlight=False)
        return EXIT_FAILED
    except KafkaError as error:
        console.print(f"the broker cannot be used: {error}; nothing was finished", soft_wrap=True)
        return EXIT_NO_HUB
    _show(restored, settings, console)
    return EXIT_OK


def _show(restored: Restored, settings: Settings, console: Console) -> None:
    console.print(
        f"{restored.rows.total():,} rows and {restored.messages:,} messages are restored to {settings.partitions} "
        "partitions, and the books add up; the hub may be started",
        soft_wrap=True,
        highlight=False,
    )
    for what, count in restored.left_out.items():
        console.print(f"left out: {count:,} {what}", soft_wrap=True, highlight=False)


async def _tell_missing(copy: Copy, archive: Path | None, console: Console) -> int:
    writer = csv.writer(sys.stdout)
    writer.writerow(HEADINGS)
    sums: Counter[tuple[str, str]] = Counter()
    counts: Counter[tuple[str, str]] = Counter()

    def tell(one: FinishedAfter) -> None:
        writer.writerow((*one[:6], format_amount(one.amount), *one[7:]))
        sums[one.state, one.currency] += one.amount
        counts[one.state, one.currency] += 1

    if archive is not None:
        for one in finished_in_archive(copy.manifest, archive):
            tell(one)
    else:
        async for one in finished_on_topic(copy.manifest, on_running_broker(Settings())):
            tell(one)
    for (state, currency), count in sorted(counts.items()):
        amount = format_amount(sums[state, currency])
        console.print(f"{count:,} {state} with {amount} {currency} together", highlight=False)
    if not counts:
        console.print("nothing was finished after the copy", highlight=False)
    return EXIT_OK
