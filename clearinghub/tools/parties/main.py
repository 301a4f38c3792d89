"""`python -m clearinghub parties import FILE.csv` and `... export FILE.csv`.

Who reaches the broker may run it: it registers in the name of every DFSP. An import checks the whole file before it
sends anything, streams it, leaves what is registered already as it is, and may be run again after any interruption.
Exit codes: 0 done; 1 lines are wrong or were refused; 2 wrong usage or settings; 3 no broker or no hub; 130 stopped.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker import find_running_broker
from clearinghub.kafka.commands import KafkaCommandClient
from clearinghub.kafka.ports import (
    CommandRejectedError,
    CommandTimeoutError,
    LedgerUnavailableError,
    RecorderBusyError,
    RecorderUnavailableError,
)
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.queries.reader import HttpLedgerReader
from clearinghub.tools.parties.csv_file import (
    BadLine,
    Line,
    NotAPartiesFileError,
    read_parties,
    write_header,
    write_party,
)
from clearinghub.tools.parties.importing import Imported, import_parties

EXIT_OK: Final = 0
EXIT_REFUSED: Final = 1
EXIT_NO_HUB: Final = 3
EXIT_STOPPED: Final = 130
SHOWN_MAX: Final = 20
PROGRESS_EVERY: Final = 5_000

_NO_HUB: Final = (KafkaError, CommandTimeoutError, LedgerUnavailableError, RecorderBusyError, RecorderUnavailableError)


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m clearinghub parties",
        description="The built-in oracle's parties: partyIdType,partyIdentifier,partySubIdOrType,currency,fspId.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in (("import", "register a file's parties"), ("export", "write all parties to a file")):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("file", type=Path, metavar="FILE.csv")
        if name == "import":
            command.add_argument("--check", action="store_true", help="only check the file, send nothing")
    return parser


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Import or export; gives the exit code."""
    chosen = options().parse_args(arguments)
    console = Console(stderr=True)
    try:
        if chosen.command == "export":
            return await _export(_on_broker(settings), chosen.file, console)
        if not check(settings, chosen.file, console):
            return EXIT_REFUSED
        return EXIT_OK if chosen.check else await _import(_on_broker(settings), chosen.file, console)
    except NotAPartiesFileError as error:
        _tell(console, str(error))
        return EXIT_REFUSED
    except CommandRejectedError as error:
        _tell(console, f"the hub failed: {error.description}")
        return EXIT_REFUSED
    except _NO_HUB as error:
        _tell(console, f"the hub does not answer ({type(error).__name__} {error}); what was done is kept, run it again")
        return EXIT_NO_HUB
    except OSError as error:
        _tell(console, f"{chosen.file}: {error.strerror}")
        return EXIT_REFUSED
    except (asyncio.CancelledError, KeyboardInterrupt):
        _tell(console, "stopped; what was done is kept, run it again")
        return EXIT_STOPPED


def check(settings: Settings, path: Path, console: Console) -> bool:
    """Whether every line is one of a party; tells of those that are not."""
    currencies = currencies_with(settings.currencies_extra)
    with _reading(console, "checking", path) as on_bytes:
        wrong = (line for line in read_parties(path, currencies, on_bytes) if isinstance(line, BadLine))
        shown = list(islice(wrong, SHOWN_MAX))
        more = sum(1 for _ in wrong)
    _tell_lines(console, shown, more)
    if shown:
        _tell(console, f"{len(shown) + more:,} lines are wrong; nothing was sent")
    return not shown


async def _import(settings: Settings, path: Path, console: Console) -> int:
    partitions = await _partitions(settings)
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
    """Page by page, partition by partition; the file appears under its name when it is whole."""
    partitions = await _partitions(settings)
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
    _tell(console, f"{count:,} parties written to {path}")
    return EXIT_OK


async def _partitions(settings: Settings) -> int:
    """How many the hub's topic has: what the settings here say may be another hub's."""
    name = settings.topic("party")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_access(settings))
    await admin.start()
    try:
        (topic,) = await admin.describe_topics([name])
    finally:
        await admin.close()
    if topic["error_code"]:
        raise LedgerUnavailableError(f"there is no topic {name}")
    return len(topic["partitions"])


def _on_broker(settings: Settings) -> Settings:
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        raise LedgerUnavailableError("no broker runs: set KAFKA_BOOTSTRAP=host:port")
    return settings.model_copy(update={"kafka_bootstrap": bootstrap})


@contextmanager
def _reading(console: Console, what: str, path: Path) -> Iterator[Callable[[int], None]]:
    """A bar over the file's bytes; gives what hears how many were read."""
    try:
        total = path.stat().st_size
    except OSError as error:
        raise NotAPartiesFileError(f"{path}: {error.strerror}") from error
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total)
        told = 0

        def on_bytes(read: int) -> None:
            nonlocal told
            if read - told >= PROGRESS_EVERY or read >= total:
                told = read
                progress.update(bar, completed=read)

        yield on_bytes


def _show(imported: Imported, console: Console) -> int:
    refused = sorted(imported.refused, key=lambda line: line.number)
    _tell_lines(console, refused[:SHOWN_MAX], max(0, len(refused) - SHOWN_MAX))
    there = imported.lines - imported.added - len(refused)
    _tell(console, f"{imported.added:,} parties added, {there:,} were there, {len(refused):,} refused by the hub")
    return EXIT_REFUSED if refused else EXIT_OK


def _tell_lines(console: Console, shown: Sequence[BadLine], more: int) -> None:
    for line in shown:
        _tell(console, f"line {line.number}: {line.fault}")
    if more:
        _tell(console, f"and {more:,} more lines")


def _tell(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
