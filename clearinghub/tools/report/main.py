"""`clearinghub report ...`: a report as text, JSON, CSV or HTML, and whether it is what the audit counts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from aiokafka.errors import KafkaError
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.kafka.broker import find_running_broker
from clearinghub.tools.admin.exits import EXIT_OK, EXIT_REFUSED, NotDoneError, ending, tell
from clearinghub.tools.admin.screen import print_answer
from clearinghub.tools.audit.main import audit
from clearinghub.tools.audit.reader import TopicsMissingError
from clearinghub.tools.client.admin import AdminClient, HubNotReadyError
from clearinghub.tools.client.hub_urls import admin_url
from clearinghub.tools.client.reports import Form
from clearinghub.tools.report.figures import Figures
from clearinghub.tools.report.kinds import Wanted, wanted_of
from clearinghub.tools.report.options import TEXT, parsed

_WRONG: Final = "the report does not add up"


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """One report; gives the exit code."""
    chosen = parsed(arguments)
    return await ending(_run(settings, chosen))


async def _run(settings: Settings, chosen: argparse.Namespace) -> int:
    async with AdminClient(chosen.url or admin_url(settings), timeout_s=chosen.timeout) as admin:
        wanted = await wanted_of(admin, settings.settlement_base_path, chosen)
        faults = [f"{_WRONG}: {fault}" for fault in await _give(wanted, chosen)]
        figures = await wanted.figures() if chosen.verify else None
    if figures is not None:
        faults += await _verify(settings, figures, chosen.settle_s)
    for fault in faults:
        tell(fault)
    return EXIT_REFUSED if faults else EXIT_OK


async def _give(wanted: Wanted, chosen: argparse.Namespace) -> tuple[str, ...]:
    """Print or write the report; gives why it does not add up."""
    if chosen.format == TEXT:
        answer, faults = await wanted.answer()
        print_answer(answer, as_json=False)
        return faults
    form = Form(chosen.format)
    with _sink(chosen.output) as sink:
        await _copy(wanted.admin.download(wanted.path(form)), sink)
    return await wanted.faults()


async def _verify(settings: Settings, figures: Figures, settle_s: int) -> list[str]:
    """Audit the books beside the report; gives what is wrong with either."""
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        raise HubNotReadyError("no broker runs: set KAFKA_BOOTSTRAP=host:port")
    settings = settings.model_copy(update={"kafka_bootstrap": bootstrap})
    try:
        books, _closing, cut_ms = await audit(settings, settle_s * 1_000, Console(stderr=True), figures.watch)
    except (KafkaError, TopicsMissingError) as error:
        raise HubNotReadyError(str(error)) from error
    faults = [f"not what the audit counts: {fault}" for fault in figures.faults(books)]
    if books.findings.violations:
        faults.append(f"the books are not right, {books.findings.violations:,} violations: run clearinghub audit")
    if not faults:
        cut = datetime.fromtimestamp(cut_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        tell(f"verified: what the audit counts in {books.records:,} records up to {cut} is the same")
    return faults


async def _copy(body: AsyncGenerator[bytes, None], sink: BinaryIO) -> None:
    async with aclosing(body) as parts:
        async for part in parts:
            sink.write(part)
    sink.flush()


@contextmanager
def _sink(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there under its name once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        return
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with unfinished.open("xb") as sink:
            yield sink
        unfinished.replace(output)
    except OSError as error:
        raise NotDoneError(f"{output} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
