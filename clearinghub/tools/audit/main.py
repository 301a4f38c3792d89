"""`clearinghub audit`: reads the topics up to a cut, judges them, and says which transfer breaks which rule.

A commit and the payee's credit are booked on two partitions, one after the other, so a cut can show the first without
the second. The cut is moved on until nothing is missing, at most for the time that a record may be on its way. What is
missing for longer is wrong; what is younger, on a hub under load, is counted and reported as pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.kafka.broker import on_running_broker
from clearinghub.tools.audit.books import Books, Closing
from clearinghub.tools.audit.reader import TopicsReader
from clearinghub.tools.audit.records import Entry
from clearinghub.tools.audit.report import as_json as json_of
from clearinghub.tools.audit.report import show
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_OK, App
from clearinghub.tools.options import SETTLE_S, SettleS

CUT_PAUSE_S: Final = 0.3
PROGRESS_EVERY: Final = 2_000  # records


app = App(exits="0 the books are right, 1 a rule is broken, 2 wrong usage, 3 the topics cannot be read")


@app.add(
    "audit",
    examples=["audit", "audit --json > audit.json"],
)
async def check_books(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")] = False,
    settle_s: SettleS = SETTLE_S,
) -> int:
    """Check the ledger's books from the topics alone.

    The rules are the audit's own: it shares no code with the ledger, asks no process of the hub and changes nothing.
    """
    books, closing, cut_ms = await audit(on_running_broker(Settings()), settle_s * 1_000, Console(stderr=True))
    cut = datetime.fromtimestamp(cut_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if as_json:
        document = json_of(books.findings, closing, records=books.records, cut=cut, settle_s=settle_s)
        print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - the answer
    else:
        show(Console(), books.findings, closing, records=books.records, cut=cut, settle_s=settle_s)
    return EXIT_FAILED if books.findings.violations else EXIT_OK


async def audit(
    settings: Settings, settle_ms: int, console: Console, watch: Callable[[Entry], None] | None = None
) -> tuple[Books, Closing, int]:
    """Read to a consistent cut and close the books; returns them, their result, and the cut's time in ms.

    `watch` is called with every record after it has been entered.

    Raises:
        TopicsMissingError: the hub's topics are not there.
        KafkaError: the broker was lost.
    """
    reader = TopicsReader(settings)
    try:
        await reader.start()
        books = Books(settings.hub_name, settle_ms, await reader.kept())
        cut_ms = await _read_to_cut(reader, books, console, watch)
        last_cut_ms = cut_ms + settle_ms
        while books.is_pending(cut_ms) and cut_ms < last_cut_ms:
            await asyncio.sleep(CUT_PAUSE_S)
            cut_ms = await _read_to_cut(reader, books, console, watch)
        return books, books.close(cut_ms), cut_ms
    finally:
        await reader.stop()


async def _read_to_cut(
    reader: TopicsReader, books: Books, console: Console, watch: Callable[[Entry], None] | None
) -> int:
    """Enter what has come since the last cut; returns the time of the new one in milliseconds."""
    cut_ms = system_now_ms()
    total = await reader.extend()
    columns = (TextColumn("reading the topics"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total, completed=reader.done)
        async for entry in reader.entries():
            books.enter(entry)
            if watch is not None:
                watch(entry)
            if books.records % PROGRESS_EVERY == 0:
                progress.update(bar, completed=reader.done)
    return cut_ms
