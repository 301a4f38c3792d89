"""`clearinghub archive`: copies the analysts' topics to Parquet, once or again and again (docs/archive.md).

Exit codes: 0 all that was there is archived, or stopped as asked while following; 1 the archive cannot go on; 2 wrong
usage or settings; 3 no broker, or no topics of such a hub; 130 stopped before the end.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import start_http_server
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clearinghub.config import Settings
from clearinghub.kafka.broker import find_running_broker
from clearinghub.logs import set_up_logs
from clearinghub.process import stop_event
from clearinghub.tools.archive.copying import Archiver, Tally
from clearinghub.tools.archive.errors import ArchiveError
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.folder import opened
from clearinghub.tools.archive.reader import TopicsMissingError, cluster_id

log = structlog.get_logger(__name__)

EXIT_OK: Final = 0
EXIT_CANNOT_GO_ON: Final = 1
EXIT_NO_BROKER: Final = 3
EXIT_STOPPED: Final = 130
EVERY_S: Final = 900
RETRY_S_MAX: Final = 30
STOP_GRACE_S: Final = 4.0


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m clearinghub archive",
        description="Copy the topics transfers, positions, settlement-windows and settlements to Parquet files.",
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="the archive (default: archive in the data folder)")
    parser.add_argument("--follow", action="store_true", help="go on until stopped")
    parser.add_argument(
        "--every-s",
        type=_seconds,
        default=EVERY_S,
        metavar="N",
        help=f"how often, with --follow (default {EVERY_S}): fewer passes make fewer and larger files",
    )
    parser.add_argument(
        "--accept-loss", action="store_true", help="leave out what a topic has dropped before it was archived"
    )
    return parser


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Archive; gives the exit code."""
    chosen = options().parse_args(arguments)
    told = Console(stderr=True)
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        told.print("no broker runs: set KAFKA_BOOTSTRAP=host:port")
        return EXIT_NO_BROKER
    settings = settings.model_copy(update={"kafka_bootstrap": bootstrap})
    root: Path = chosen.to or settings.data_dir / "archive"
    stop = stop_event()
    try:
        with opened(root, await cluster_id(settings), settings.topic_prefix) as folder:
            archiver = Archiver(settings, folder, stop, accepts_loss=chosen.accept_loss)
            if chosen.follow:
                await _follow(settings, archiver, chosen.every_s, stop)
                return EXIT_OK
            return _show(await _pass(archiver, told, stop), root, told)
    except ArchiveError as error:
        told.print(str(error), soft_wrap=True, highlight=False)
        return EXIT_CANNOT_GO_ON
    except TopicsMissingError as error:
        told.print(str(error), soft_wrap=True)
        return EXIT_NO_BROKER
    except KafkaError as error:
        told.print(f"the broker cannot be used: {error}; what was done is kept, run it again", soft_wrap=True)
        return EXIT_NO_BROKER


async def _pass(archiver: Archiver, told: Console, stop: asyncio.Event) -> Tally:
    columns = (TextColumn("archiving"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=told, transient=True, disable=not told.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        return await _run(
            archiver, stop, lambda total: progress.update(bar, total=total), lambda done: progress.advance(bar, done)
        )


async def _run(
    archiver: Archiver, stop: asyncio.Event, on_total: Callable[[int], None], on_done: Callable[[int], None]
) -> Tally:
    """A pass. When it is to stop it has some seconds to come to the end of a batch: a broker may be silent for long."""
    tally = Tally()
    work = asyncio.create_task(archiver.run_pass(tally, on_total, on_done))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.wait({work}, timeout=STOP_GRACE_S)
    work.cancel()
    await asyncio.wait({work})  # it writes no more before the folder is another's
    if not work.cancelled():
        work.result()
    return tally


def _show(tally: Tally, root: Path, told: Console) -> int:
    told.print(
        f"{tally.records:,} records archived in {tally.files:,} files in {root}", soft_wrap=True, highlight=False
    )
    for span in tally.lost:
        told.print(
            f"{span.topic}-{span.partition} has offsets {span.begin} to {span.end - 1} no more: they are not archived",
            soft_wrap=True,
            highlight=False,
        )
    if not tally.is_whole:
        told.print("stopped before the end; run it again for the rest")
        return EXIT_STOPPED
    return EXIT_OK


async def _follow(settings: Settings, archiver: Archiver, every_s: int, stop: asyncio.Event) -> None:
    """A pass every so often; a broker that is away is waited for."""
    set_up_logs(settings, "archive")
    try:
        server, thread = start_http_server(settings.archive_port, settings.bind_host)
    except OSError as error:
        raise ArchiveError(f"port {settings.archive_port} cannot be listened on: {error.strerror}") from error
    log.info("following", port=settings.archive_port, every_s=every_s)
    lost: set[Span] = set()
    try:
        while not stop.is_set():
            pause_s: float = every_s
            try:
                tally = await _run(archiver, stop, lambda _total: None, lambda _done: None)
                log.info("archived", records=tally.records, files=tally.files)
                for span in set(tally.lost) - lost:
                    log.warning("records-lost", **span._asdict())
                lost.update(tally.lost)
            except KafkaError as error:
                log.warning("broker-lost", error=repr(error))
                pause_s = min(every_s, RETRY_S_MAX)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _seconds(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
