"""The output of `apply`: steps as a table, or one line each, or all as one document for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from clearinghub.tools.apply.steps import Step
from clearinghub.tools.screen import Column, printable, table


class Outcome(Enum):
    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    NOT_DONE = "not-done"


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step with its outcome; `error` says why it failed."""

    step: Step
    outcome: Outcome
    error: str | None = None


_COLUMNS: Final = tuple(map(Column, ("", "what", "of", "is", "will be")))
_MARKS: Final = {
    Outcome.PLANNED: ("·", "dim"),
    Outcome.DONE: ("✓", "green"),
    Outcome.FAILED: ("✗", "bold red"),
    Outcome.NOT_DONE: ("·", "yellow"),
}


def document(file: str, results: Sequence[StepResult], *, dry_run: bool) -> dict[str, Any]:
    """Return the steps as one document for scripts."""
    return {"file": file, "dryRun": dry_run, "steps": [_step(result) for result in results]}


def print_plan(console: Console, steps: Sequence[Step]) -> None:
    """Print what would change as a table; `+` is new, `~` is changed."""
    rows = []
    for step in steps:
        shown = step.shown()
        mark = "+" if shown.before is None else "~"
        rows.append((mark, _words(shown.kind), shown.subject, shown.before or "", shown.after))
    console.print(table(_COLUMNS, rows))


def print_result(console: Console, result: StepResult) -> None:
    """Print one step with its outcome."""
    shown = result.step.shown()
    mark, style = _MARKS[result.outcome]
    change = shown.after if shown.before is None else f"{shown.before} -> {shown.after}"
    label = {Outcome.FAILED: "failed: ", Outcome.NOT_DONE: "not done: "}.get(result.outcome, "")
    line = Text(f"{mark} ", style=style)
    line.append(printable(f"{label}{_words(shown.kind)} {shown.subject}: {change}"), style="default")
    console.print(line, soft_wrap=True)


def count_of(number: int) -> str:
    """Return `1 change`, `2 changes`, and so on."""
    return f"{number} change{'' if number == 1 else 's'}"


def _step(result: StepResult) -> dict[str, Any]:
    shown = result.step.shown()
    return {
        "kind": shown.kind,
        "subject": shown.subject,
        "before": shown.before,
        "after": shown.after,
        "outcome": result.outcome.value,
        "error": result.error,
    }


def _words(kind: str) -> str:
    return kind.replace("-", " ")
