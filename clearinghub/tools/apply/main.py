"""`clearinghub apply scheme.yaml`: read the file, read the hub, plan, and do what is missing."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.text import Text

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.tools.admin.exits import (
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_STOPPED,
    EXIT_WRONG_USAGE,
    NotDoneError,
    ending,
    sentence_of,
    tell,
)
from clearinghub.tools.admin.options import common_options
from clearinghub.tools.admin.screen import console, print_json
from clearinghub.tools.apply.declared import Context, DeclaredScheme, read_scheme
from clearinghub.tools.apply.execute import do
from clearinghub.tools.apply.live import read_live
from clearinghub.tools.apply.plan import make_plan
from clearinghub.tools.apply.report import Outcome, StepResult, count_of, document, print_plan, print_result
from clearinghub.tools.apply.steps import Step
from clearinghub.tools.client.admin import REQUEST_TIMEOUT_S, AdminClient, AdminError
from clearinghub.tools.client.hub_urls import admin_url
from clearinghub.tools.client.operations import Operations
from clearinghub.yaml_file import Document, Fault, UnreadableError, read_document

_EXIT_CODES: Final = (
    "exit codes: 0 the hub is as the file says (or --dry-run has told what is missing), 1 the hub refused, or was lost "
    "on the way: what was done and what not is told, 2 wrong usage or a wrong file, 3 hub unreachable, nothing done"
)


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="clearinghub apply",
        description="Make a running hub what a scheme's file says; what it does not mention is left alone. "
        "A second run finds nothing to do. deploy/scheme.example.yaml shows all that a file may hold.",
        epilog=_EXIT_CODES,
        parents=[common_options()],
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="scheme.yaml")
    parser.add_argument("--dry-run", action="store_true", help="tell what would change, send nothing")
    return parser


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """The whole of it; gives the exit code."""
    return await ending(_run(settings, options().parse_args(arguments)))


async def _run(settings: Settings, chosen: argparse.Namespace) -> int:
    try:
        read = read_document(chosen.file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        tell(f"{chosen.file} cannot be read: {getattr(error, 'strerror', None) or error}")
        return EXIT_WRONG_USAGE
    except UnreadableError as error:
        tell(f"{_place(chosen.file, error.line)}: {error}")
        return EXIT_WRONG_USAGE
    scheme, faults = read_scheme(read, Context(settings.hub_name, currencies_with(settings.currencies_extra)))
    if scheme is None:
        _tell_faults(chosen.file, read, faults)
        return EXIT_WRONG_USAGE
    return await _Apply(settings, chosen, read, scheme).run()


class _Apply:
    """One run with a file that is right by itself."""

    def __init__(self, settings: Settings, chosen: argparse.Namespace, read: Document, scheme: DeclaredScheme) -> None:
        self._settings = settings
        self._file: Path = chosen.file
        self._dry_run: bool = chosen.dry_run
        self._as_json: bool = getattr(chosen, "json", False)
        self._url: str = getattr(chosen, "url", None) or admin_url(settings)
        self._timeout_s: int = getattr(chosen, "timeout", REQUEST_TIMEOUT_S)
        self._read = read
        self._scheme = scheme
        self._console = console()

    async def run(self) -> int:
        """Plan, and do it unless it is a rehearsal."""
        async with AdminClient(self._url, timeout_s=self._timeout_s) as admin:
            operations = Operations(admin)
            plan = make_plan(self._scheme, await read_live(operations, self._scheme, self._settings.hub_name))
            if plan.conflicts:
                _tell_faults(self._file, self._read, plan.conflicts)
                return EXIT_REFUSED
            if self._dry_run:
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
        """All steps, or those up to the first that fails: later ones need it."""
        results: list[StepResult] = []
        failure: str | None = None
        code = EXIT_OK
        for step in steps:
            try:
                await do(step, operations, self._settings.hub_name)
            except (AdminError, NotDoneError) as error:
                failure, code = sentence_of(error), EXIT_REFUSED
            except asyncio.CancelledError:
                # Swallowed on purpose: what was done must still be told, and then the command ends by itself.
                failure, code = "stopped; the step under way may have taken effect", EXIT_STOPPED
            outcome = Outcome.DONE if failure is None else Outcome.FAILED
            results.append(self._told(StepResult(step, outcome, failure)))
            if failure is not None:
                break
        done = sum(result.outcome is Outcome.DONE for result in results)
        results += [self._told(StepResult(step, Outcome.NOT_DONE)) for step in steps[len(results) :]]
        if self._as_json:
            print_json(document(str(self._file), results, dry_run=False))
        if failure is not None:
            tell(f"{done} of {count_of(len(steps))} made, run it again for the rest: {failure}")
        elif not self._as_json:
            self._say(f"{count_of(done)} made") if steps else self._say_nothing_to_do()
        return code

    def _told(self, result: StepResult) -> StepResult:
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
