"""`clearinghub apply scheme.yaml`: read the file, read the hub, plan, and do what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.tools.apply.declared import Context, DeclaredScheme, read_scheme
from clearinghub.tools.apply.execute import do
from clearinghub.tools.apply.live import read_live
from clearinghub.tools.apply.plan import make_plan
from clearinghub.tools.apply.report import Outcome, StepResult, count_of, document, print_plan, print_result
from clearinghub.tools.apply.steps import Step
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.operations import Operations
from clearinghub.tools.client.tls import ClientFiles
from clearinghub.tools.command_line import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_STOPPED,
    EXIT_WRONG_USAGE,
    App,
    tell,
)
from clearinghub.tools.screen import console, print_json
from clearinghub.tools.session import (
    AsJson,
    Authority,
    Certificate,
    HubOptions,
    Key,
    NotDoneError,
    Timeout,
    Url,
    ending,
    sentence_of,
)
from clearinghub.yaml_file import Document, Fault, UnreadableError, read_document

app = App(
    exits="0 the hub is as the file says, or --dry-run has shown what is missing;\n"
    "  1 the hub refused, or was lost on the way: what was done and what not is shown;\n"
    "  2 wrong usage or a wrong file; 3 hub unreachable, nothing done; 130 stopped"
)


@app.add(
    "apply",
    examples=["apply --dry-run deploy/scheme.example.yaml", "apply deploy/scheme.example.yaml"],
)
async def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The scheme, in YAML.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, send nothing.")] = False,
    url: Url = None,
    timeout_s: Timeout = None,
    cert: Certificate = None,
    key: Key = None,
    ca: Authority = None,
    as_json: AsJson = False,
) -> int:
    """Make a running hub what a scheme's file says; what the file does not mention is left alone.

    A second run finds nothing to do. deploy/scheme.example.yaml shows all that a file may hold.
    """
    return await ending(
        _apply(file, HubOptions(url, timeout_s, ClientFiles(cert, key, ca), as_json=as_json), dry_run=dry_run)
    )


async def _apply(file: Path, options: HubOptions, *, dry_run: bool) -> int:
    settings = Settings()
    try:
        read = read_document(file.read_text(encoding="utf-8"))  # noqa: ASYNC240 - before anything else is to do
    except (OSError, UnicodeDecodeError) as error:
        tell(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}")
        return EXIT_WRONG_USAGE
    except UnreadableError as error:
        tell(f"{_place(file, error.line)}: {error}")
        return EXIT_WRONG_USAGE
    scheme, faults = read_scheme(read, Context(settings.hub_name, currencies_with(settings.currencies_extra)))
    if scheme is None:
        _tell_faults(file, read, faults)
        return EXIT_WRONG_USAGE
    return await _Apply(settings, file, options, read, scheme).run(dry_run=dry_run)


class _Apply:
    """One run with a file in which nothing is wrong."""

    def __init__(
        self, settings: Settings, file: Path, options: HubOptions, read: Document, scheme: DeclaredScheme
    ) -> None:
        self._settings = settings
        self._file = file
        self._options = options
        self._as_json = options.as_json
        self._read = read
        self._scheme = scheme
        self._console = console()

    async def run(self, *, dry_run: bool) -> int:
        """Plan the steps and take them, or with `dry_run` show them; returns the exit code."""
        async with self._options.client(self._settings) as admin:
            operations = Operations(admin)
            plan = make_plan(self._scheme, await read_live(operations, self._scheme, self._settings.hub_name))
            if plan.conflicts:
                _tell_faults(self._file, self._read, plan.conflicts)
                return EXIT_FAILED
            if dry_run:
                return self._rehearse(plan.steps)
            return await self._perform(plan.steps, operations)

    def _rehearse(self, steps: Sequence[Step]) -> int:
        if self._as_json:
            planned = [StepResult(step, Outcome.PLANNED) for step in steps]
            print_json(document(str(self._file), planned, dry_run=True))
        elif steps:
            print_plan(self._console, steps)
            self._say(f"{count_of(len(steps))} to make; nothing was sent")
        else:
            self._say_nothing_to_do()
        return EXIT_OK

    async def _perform(self, steps: Sequence[Step], operations: Operations) -> int:
        """Take all steps up to the first that fails, since later ones need it; returns the exit code."""
        results: list[StepResult] = []
        failure: str | None = None
        code = EXIT_OK
        for step in steps:
            try:
                await do(step, operations, self._settings.hub_name)
            except (AdminError, NotDoneError) as error:
                failure, code = sentence_of(error), EXIT_FAILED
            except asyncio.CancelledError:
                # Caught on purpose: the command must still show what was done, and then ends by itself.
                failure, code = "stopped; the step under way may have taken effect", EXIT_STOPPED
            outcome = Outcome.DONE if failure is None else Outcome.FAILED
            results.append(self._shown(StepResult(step, outcome, failure)))
            if failure is not None:
                break
        done = sum(result.outcome is Outcome.DONE for result in results)
        results += [self._shown(StepResult(step, Outcome.NOT_DONE)) for step in steps[len(results) :]]
        if self._as_json:
            print_json(document(str(self._file), results, dry_run=False))
        if failure is not None:
            tell(f"{done} of {count_of(len(steps))} made, run it again for the rest: {failure}")
        elif not self._as_json:
            self._say(f"{count_of(done)} made") if steps else self._say_nothing_to_do()
        return code

    def _shown(self, result: StepResult) -> StepResult:
        if not self._as_json:
            print_result(self._console, result)
        return result

    def _say_nothing_to_do(self) -> None:
        self._say(f"nothing to do: the hub is as {self._file} says")

    def _say(self, sentence: str) -> None:
        self._console.print(Text(sentence), soft_wrap=True)


def _tell_faults(file: Path, read: Document, faults: Sequence[Fault]) -> None:
    for fault in faults:
        place = ".".join(str(part) for part in fault.path)
        tell(f"{_place(file, read.line_of(fault.path))}: {place}: {fault.text}" if place else f"{file}: {fault.text}")


def _place(file: Path, line: int | None) -> str:
    return str(file) if line is None else f"{file}:{line}"
