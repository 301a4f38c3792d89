"""`clearinghub report ...`: a report as text, JSON, CSV or HTML, and whether it is what the audit counts."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Concatenate, Final, ParamSpec

import typer
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.domain.participants.scheme import POSITION
from clearinghub.kafka.broker import on_running_broker
from clearinghub.tools.audit.main import audit
from clearinghub.tools.client.reports import Form, ReportPaths
from clearinghub.tools.client.tls import ClientFiles
from clearinghub.tools.command_line import (
    EXIT_FAILED,
    EXIT_OK,
    App,
    refuse_usage,
    share_parameters,
    tell,
)
from clearinghub.tools.options import SETTLE_S, Currency, Name, SettleS, moment, number, one_of
from clearinghub.tools.report.figures import Figures
from clearinghub.tools.report.queries import NetsQuery, ReportQuery, Source, StatementQuery, TransfersQuery
from clearinghub.tools.screen import print_answer
from clearinghub.tools.session import Authority, Certificate, HubOptions, Key, NotDoneError, Timeout, Url, ending

TEXT: Final = "text"
_WRONG: Final = "the report does not add up"
_EXITS: Final = (
    "0 done; 1 refused by the hub, or the report does not add up or is not what the audit counts;\n"
    "  2 wrong usage; 3 hub or broker unreachable; 130 stopped"
)

P = ParamSpec("P")

app = App(
    "The hub's reports, and whether they are right.",
    noun="REPORT",
    examples=[
        "report window 1",
        "report settlement 1 --format html --output settlement-1.html",
        "report statement alphabank USD --from 2026-10-01 --to 2026-10-02 --format csv",
        "report window 1 --verify",
    ],
    exits=_EXITS,
)

WindowNumber = Annotated[int, typer.Argument(metavar="WINDOW", parser=number, help="The window's number.")]
SettlementNumber = Annotated[int, typer.Argument(metavar="SETTLEMENT", parser=number, help="The settlement's number.")]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="text is for the screen, html a page to print.",
        **one_of(TEXT, *(form.value for form in Form)),
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Write there, all or nothing; not for text.")
]
Verify = Annotated[bool, typer.Option("--verify", help="Compare it with what `clearinghub audit` counts.")]


def reporting(
    command: Callable[Concatenate[Source, P], Awaitable[ReportQuery]],
) -> Callable[..., Coroutine[Any, Any, int]]:
    """Make a command of a function that returns a report's query: it gets the options that all reports have."""

    async def run(  # noqa: PLR0913 - one argument for each option
        ctx: typer.Context,
        *,
        form: Format = TEXT,
        output: Output = None,
        verify: Verify = False,
        settle_s: SettleS = SETTLE_S,
        url: Url = None,
        timeout_s: Timeout = None,
        cert: Certificate = None,
        key: Key = None,
        ca: Authority = None,
        **values: Any,
    ) -> int:
        if output is not None and form == TEXT:
            refuse_usage(ctx, "--output is for --format json, csv or html")

        async def report() -> int:
            settings = Settings()
            async with HubOptions(url, timeout_s, ClientFiles(cert, key, ca)).client(settings) as admin:
                source = Source(admin, ReportPaths(settings.settlement_base_path), verifies=verify)
                query = await command(source, **values)  # type: ignore[call-arg]
                faults = [f"{_WRONG}: {fault}" for fault in await _write(query, form, output)]
                figures = await query.figures() if verify else None
            if figures is not None:
                faults += await _verify(settings, figures, settle_s)
            for fault in faults:
                tell(fault)
            return EXIT_FAILED if faults else EXIT_OK

        return await ending(report())

    share_parameters(run, command)
    return run


@app.add(examples=["report window 1", "report window 1 --format csv --output window-1.csv"])
@reporting
async def window(source: Source, window_id: WindowNumber) -> ReportQuery:
    """Show who owes and who is owed what in a closed window."""
    return NetsQuery(source, "window", window_id)


@app.add(examples=["report settlement 1 --format html --output settlement-1.html"])
@reporting
async def settlement(source: Source, settlement_id: SettlementNumber) -> ReportQuery:
    """Show who owed and was owed what in a settlement, and how far it is settled."""
    return NetsQuery(source, "settlement", settlement_id)


@app.add(examples=["report transfers 1 --format csv --output transfers-1.csv"])
@reporting
async def transfers(source: Source, window_id: WindowNumber) -> ReportQuery:
    """List the transfers of a window."""
    return TransfersQuery(source, window_id)


@app.add(examples=["report statement alphabank USD --from 2026-10-01 --to 2026-10-02"])
@reporting
async def statement(
    source: Source,
    name: Name,
    currency: Currency,
    account_type: Annotated[str, typer.Option("--type", metavar="TYPE", help="Of the account.")] = POSITION,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", parser=moment, help="Included; 24 hours before the end, if not given."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", parser=moment, help="Not included; now, if not given.")
    ] = None,
) -> ReportQuery:
    """Show the movements of an account between its balances."""
    return await StatementQuery.of_account(source, name, currency, account_type, (begin, end))


async def _write(query: ReportQuery, form: str, output: Path | None) -> tuple[str, ...]:
    """Print or write the report; returns why it does not add up."""
    if form == TEXT:
        answer, faults = await query.answer()
        print_answer(answer, as_json=False)
        return faults
    as_form = Form(form)
    with _sink(output) as sink:
        await _copy(query.admin.download(query.path(as_form)), sink)
    return await query.faults()


async def _verify(settings: Settings, figures: Figures, settle_s: int) -> list[str]:
    """Audit the books and compare the report with them; returns what is wrong with either."""
    books, _closing, cut_ms = await audit(
        on_running_broker(settings), settle_s * 1_000, Console(stderr=True), figures.watch
    )
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
    """Open standard output, or a file that appears under its name once it is whole."""
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
