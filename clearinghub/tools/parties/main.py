"""`clearinghub parties import FILE.csv` and `clearinghub parties export FILE.csv`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.kafka.broker import on_running_broker
from clearinghub.kafka.commands import KafkaCommandClient
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.ports import (
    CommandRejectedError,
    CommandTimeoutError,
    LedgerUnavailableError,
    RecorderBusyError,
    RecorderUnavailableError,
    RecordOutcomeUnknownError,
)
from clearinghub.queries.reader import HttpLedgerReader
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_OK, EXIT_STOPPED, App
from clearinghub.tools.parties.csv_file import (
    BadLine,
    Line,
    NotAPartiesFileError,
    read_parties,
    write_header,
    write_party,
)
from clearinghub.tools.parties.importing import Imported, import_parties
from clearinghub.tools.topics import partition_counts

SHOWN_MAX: Final = 20
PROGRESS_EVERY_BYTES: Final = 5_000

_TOPIC: Final = "party"
_NO_HUB: Final = (
    KafkaError,
    CommandTimeoutError,
    LedgerUnavailableError,
    RecorderBusyError,
    RecorderUnavailableError,
    RecordOutcomeUnknownError,
)


File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="CSV in UTF-8 with a header.")]
_EXITS: Final = "0 done, 1 lines are wrong or were refused, 2 wrong usage, 3 no broker or no hub, 130 stopped"

app = App(
    "The built-in oracle's parties: partyIdType,partyIdentifier,partySubIdOrType,currency,fspId.",
    examples=["parties import --check parties.csv", "parties import parties.csv", "parties export parties.csv"],
    exits=_EXITS,
)


@app.add("import", examples=["parties import --check parties.csv", "parties import parties.csv"])
async def import_file(
    file: File,
    *,
    only_check: Annotated[bool, typer.Option("--check", help="Only check the file, send nothing.")] = False,
) -> int:
    """Register a file's parties.

    The whole file is checked before anything is sent. What is registered already is left as it is, so an import may be
    repeated after any interruption. Who reaches the broker may run it: it registers in the name of every DFSP.
    """
    console = Console(stderr=True)

    async def work(settings: Settings) -> int:
        if not check(settings, file, console):
            return EXIT_FAILED
        return EXIT_OK if only_check else await _import(on_running_broker(settings), file, console)

    return await _ending(work, file, console)


@app.add("export", examples=["parties export parties.csv"])
async def export_file(file: File) -> int:
    """Write all parties to a file, which appears under its name once it is whole."""
    console = Console(stderr=True)
    return await _ending(lambda settings: _export(on_running_broker(settings), file, console), file, console)


async def _ending(work: Callable[[Settings], Awaitable[int]], file: Path, console: Console) -> int:
    """Return the exit code of `work`, after a sentence if it failed."""
    try:
        return await work(Settings())
    except NotAPartiesFileError as error:
        _say(console, str(error))
        return EXIT_FAILED
    except CommandRejectedError as error:
        _say(console, f"the hub failed: {error.description}")
        return EXIT_FAILED
    except _NO_HUB as error:
        _say(console, f"the hub does not answer ({type(error).__name__} {error}); what was done is kept, run it again")
        return EXIT_NO_HUB
    except OSError as error:
        _say(console, f"{file}: {error.strerror}")
        return EXIT_FAILED
    except (asyncio.CancelledError, KeyboardInterrupt):
        _say(console, "stopped; what was done is kept, run it again")
        return EXIT_STOPPED


def check(settings: Settings, path: Path, console: Console) -> bool:
    """Return whether every line of a file is a party's, and print the first that are not."""
    currencies = currencies_with(settings.currencies_extra)
    with _reading(console, "checking", path) as on_bytes:
        wrong = (line for line in read_parties(path, currencies, on_bytes) if isinstance(line, BadLine))
        shown = list(islice(wrong, SHOWN_MAX))
        more = sum(1 for _ in wrong)
    _say_lines(console, shown, more)
    if shown:
        _say(console, f"{len(shown) + more:,} lines are wrong; nothing was sent")
    return not shown


async def _import(settings: Settings, path: Path, console: Console) -> int:
    partitions = (await partition_counts(settings, [_TOPIC]))[_TOPIC]
    recorder = KafkaRecorder(settings)
    commands = KafkaCommandClient(settings, recorder)
    await recorder.start()
    await commands.start()
    try:
        with _reading(console, "importing", path) as on_bytes:
            lines = read_parties(path, currencies_with(settings.currencies_extra), on_bytes)
            good = (line for line in lines if isinstance(line, Line))
            imported = await import_parties(good, commands, partitions, lambda _so_far: None)
    finally:
        await commands.stop()
        await recorder.stop()
    return _show(imported, console)


async def _export(settings: Settings, path: Path, console: Console) -> int:
    """Read the ledger's parties page by page, partition by partition."""
    partitions = (await partition_counts(settings, [_TOPIC]))[_TOPIC]
    reader = HttpLedgerReader(settings)
    await reader.start()
    parts = path.with_name(f"{path.name}.part")
    count = 0
    found_so_far = TextColumn("partitions, {task.fields[found]}")
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), found_so_far)
    try:
        with (
            parts.open("w", encoding="utf-8", newline="") as file,
            Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        ):
            bar = progress.add_task("", total=partitions, found="0 parties")
            write_header(file)
            for partition in range(partitions):
                after = ""
                while page := await reader.parties(partition, after):
                    after = page[-1][0]
                    for key, entries in page:
                        count += len(entries)
                        for entry in entries:
                            write_party(file, key, entry)
                    progress.update(bar, found=f"{count:,} parties")
                progress.advance(bar)
        parts.replace(path)
    finally:
        parts.unlink(missing_ok=True)
        await reader.stop()
    _say(console, f"{count:,} parties written to {path}")
    return EXIT_OK


@contextmanager
def _reading(console: Console, what: str, path: Path) -> Iterator[Callable[[int], None]]:
    """Show a bar over a file's bytes; the block gets a function to call with the number of bytes read."""
    try:
        total = path.stat().st_size
    except OSError as error:
        raise NotAPartiesFileError(f"{path}: {error.strerror}") from error
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total)
        shown = 0

        def on_bytes(read: int) -> None:
            nonlocal shown
            if read - shown >= PROGRESS_EVERY_BYTES or read >= total:
                shown = read
                progress.update(bar, completed=read)

        yield on_bytes


def _show(imported: Imported, console: Console) -> int:
    refused = sorted(imported.refused, key=lambda line: line.number)
    _say_lines(console, refused[:SHOWN_MAX], max(0, len(refused) - SHOWN_MAX))
    there = imported.lines - imported.added - len(refused)
    _say(console, f"{imported.added:,} parties added, {there:,} were there, {len(refused):,} refused by the hub")
    return EXIT_FAILED if refused else EXIT_OK


def _say_lines(console: Console, shown: Sequence[BadLine], more: int) -> None:
    for line in shown:
        _say(console, f"line {line.number}: {line.fault}")
    if more:
        _say(console, f"and {more:,} more lines")


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
