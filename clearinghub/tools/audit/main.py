"""`clearinghub audit`: reads the topics to a cut, judges, and says which transfer breaks which rule.

Exit codes: 0 the books are right; 1 a rule is broken; 3 the topics cannot be read.

The cut. A commit and the payee's credit are booked on two partitions, one after the other. So a cut can show the first
without the second. The cut is moved on until nothing is missing, at most for the time that a record may be on its way;
what is missing longer is wrong, and what is still younger then, on a hub under load, is counted and told as pending.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import orjson
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clearinghub.config import Settings
from clearinghub.kafka.broker import find_running_broker
from clearinghub.tools.audit.books import Books, Closing
from clearinghub.tools.audit.reader import TopicsMissingError, TopicsReader
from clearinghub.tools.audit.records import Entry
from clearinghub.tools.audit.report import as_json, show

EXIT_OK: Final = 0
EXIT_BROKEN: Final = 1
EXIT_UNREADABLE: Final = 3
SETTLE_S: Final = 10
CUT_PAUSE_S: Final = 0.3
PROGRESS_EVERY: Final = 2_000  # records


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m clearinghub audit", description="Check the ledger's books from the topics alone."
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--settle-s",
        type=_seconds,
        default=SETTLE_S,
        metavar="N",
        help=f"how long a record may be on its way between two partitions (default {SETTLE_S})",
    )
    return parser


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Audit; gives the exit code."""
    chosen = options().parse_args(arguments)
    told = Console(stderr=True)
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        told.print("no broker runs: set KAFKA_BOOTSTRAP=host:port")
        return EXIT_UNREADABLE
    settings = settings.model_copy(update={"kafka_bootstrap": bootstrap})
    try:
        books, closing, cut_ms = await audit(settings, chosen.settle_s * 1_000, told)
    except TopicsMissingError as error:
        told.print(str(error), soft_wrap=True)
        return EXIT_UNREADABLE
    except KafkaError as error:
        told.print(f"the broker cannot be used: {error}", soft_wrap=True)
        return EXIT_UNREADABLE
    cut = datetime.fromtimestamp(cut_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if chosen.json:
        document = as_json(books.findings, closing, records=books.records, cut=cut, settle_s=chosen.settle_s)
        print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - the answer
    else:
        show(Console(), books.findings, closing, records=books.records, cut=cut, settle_s=chosen.settle_s)
    return EXIT_BROKEN if books.findings.violations else EXIT_OK


async def audit(
    settings: Settings, settle_ms: int, told: Console, watch: Callable[[Entry], None] | None = None
) -> tuple[Books, Closing, int]:
    """Read to a consistent cut and close the books; gives them, what they show, and the time of the cut.

    `watch` sees every record behind the books.

    Raises:
        TopicsMissingError: the hub's topics are not there.
        KafkaError: the broker was lost.
    """
    reader = TopicsReader(settings)
    try:
        await reader.start()
        books = Books(settings.hub_name, settle_ms, await reader.kept())
        cut_ms = await _read_to_cut(reader, books, told, watch)
        last_cut_ms = cut_ms + settle_ms
        while books.is_pending(cut_ms) and cut_ms < last_cut_ms:
            await asyncio.sleep(CUT_PAUSE_S)
            cut_ms = await _read_to_cut(reader, books, told, watch)
        return books, books.close(cut_ms), cut_ms
    finally:
        await reader.stop()


async def _read_to_cut(reader: TopicsReader, books: Books, told: Console, watch: Callable[[Entry], None] | None) -> int:
    """Read what has come since the last cut; gives this one's time."""
    cut_ms = time.time_ns() // 1_000_000
    total = await reader.extend()
    columns = (TextColumn("reading the topics"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=told, transient=True, disable=not told.is_terminal) as progress:
        bar = progress.add_task("", total=total, completed=reader.done)
        async for entry in reader.entries():
            books.take(entry)
            if watch is not None:
                watch(entry)
            if books.records % PROGRESS_EVERY == 0:
                progress.update(bar, completed=reader.done)
    return cut_ms


def _seconds(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
