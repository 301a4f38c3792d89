"""`clearinghub archive`: copies the analysts' topics to Parquet files, once or again and again (docs/archive.md)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Annotated, Final

import structlog
import typer
from aiokafka.errors import KafkaError
from prometheus_client import MetricsHandler
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clearinghub.config import Settings
from clearinghub.kafka.broker import on_running_broker
from clearinghub.logs import set_up_logs
from clearinghub.process import stop_event
from clearinghub.tools.archive import ArchiveError
from clearinghub.tools.archive.copying import Archiver, Tally
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.folder import opened
from clearinghub.tools.archive.reader import cluster_id
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_OK, EXIT_STOPPED, App
from clearinghub.tools.options import whole

log = structlog.get_logger(__name__)

EVERY_S: Final = 900
RETRY_S_MAX: Final = 30
STOP_GRACE_S: Final = 4.0


app = App(
    exits="0 all is archived, or stopped while following; 1 it cannot go on; 2 wrong usage or settings; "
    "3 no broker or no hub's topics; 130 stopped before the end"
)


@app.add(
    "archive",
    examples=["archive", "archive --to /srv/archive --follow"],
)
async def archive(
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="The archive; `archive` in the data folder, if not given."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until stopped.")] = False,
    every_s: Annotated[
        int,
        typer.Option(
            "--every-s",
            metavar="SECONDS",
            parser=whole(1),
            help="How often, with --follow; fewer passes make fewer and larger files.",
        ),
    ] = EVERY_S,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Leave out what a topic has dropped before it was archived.")
    ] = False,
) -> int:
    """Copy the topics transfers, positions, settlement-windows and settlements to Parquet files, each record once."""
    console = Console(stderr=True)
    settings = on_running_broker(Settings())
    root = folder or settings.data_dir / "archive"
    stop = stop_event()
    try:
        with opened(root, await cluster_id(settings), settings.topic_prefix) as archived:
            archiver = Archiver(settings, archived, stop, accepts_loss=accept_loss)
            if follow:
                await _follow(settings, archiver, every_s, stop)
                return EXIT_OK
            return _show(await _pass(archiver, console, stop), root, console)
    except ArchiveError as error:
        console.print(str(error), soft_wrap=True, highlight=False)
        return EXIT_FAILED
    except KafkaError as error:
        console.print(f"the broker cannot be used: {error}; what was done is kept, run it again", soft_wrap=True)
        return EXIT_NO_HUB


async def _pass(archiver: Archiver, console: Console, stop: asyncio.Event) -> Tally:
    columns = (TextColumn("archiving"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        return await _run(
            archiver, stop, lambda total: progress.update(bar, total=total), lambda done: progress.advance(bar, done)
        )


async def _run(
    archiver: Archiver, stop: asyncio.Event, on_total: Callable[[int], None], on_done: Callable[[int], None]
) -> Tally:
    """Run a pass. After `stop` it has some seconds to finish a batch; a silent broker would hold it much longer."""
    tally = Tally()
    work = asyncio.create_task(archiver.run_pass(tally, on_total, on_done))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.wait({work}, timeout=STOP_GRACE_S)
    work.cancel()
    await asyncio.wait({work})  # it must not write any more when the folder's lock is released
    if not work.cancelled():
        work.result()
    return tally


def _show(tally: Tally, root: Path, console: Console) -> int:
    console.print(
        f"{tally.records:,} records archived in {tally.files:,} files in {root}", soft_wrap=True, highlight=False
    )
    for span in tally.lost:
        console.print(
            f"{span.topic}-{span.partition} has offsets {span.begin} to {span.end - 1} no more: they are not archived",
            soft_wrap=True,
            highlight=False,
        )
    if not tally.is_whole:
        console.print("stopped before the end; run it again for the rest")
        return EXIT_STOPPED
    return EXIT_OK


class _PlainMetricsHandler(MetricsHandler):
    """Answers with the metrics, and without the header `Server`, as all ports of the hub."""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Server":
            super().send_header(keyword, value)


class _MetricsServer(ThreadingHTTPServer):
    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _PlainMetricsHandler)


def serve_metrics(host: str, port: int) -> tuple[_MetricsServer, Thread]:
    """Serve the metrics in a thread until the server is shut down.

    Raises:
        OSError: the address or port cannot be used.
    """
    server = _MetricsServer(host, port)
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    return server, thread


async def _follow(settings: Settings, archiver: Archiver, every_s: int, stop: asyncio.Event) -> None:
    """Run a pass every `every_s` seconds until stopped; wait for a broker that is away."""
    set_up_logs(settings, "archive")
    try:
        server, thread = serve_metrics(settings.bind_host, settings.archive_port)
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
