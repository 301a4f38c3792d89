"""What `apply` tells: steps as a table or a line each, and all of it as one document for scripts."""

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
    """What became of a step."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    NOT_DONE = "not-done"


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step and what became of it; `error` is the sentence of one that failed."""

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
    """For scripts."""
    return {"file": file, "dryRun": dry_run, "steps": [_step(result) for result in results]}


def print_plan(console: Console, steps: Sequence[Step]) -> None:
    """The difference as a table; `+` is new, `~` is changed."""
    rows = []
    for step in steps:
        shown = step.shown()
        mark = "+" if shown.before is None else "~"
        rows.append((mark, _words(shown.kind), shown.subject, shown.before or "", shown.after))
    console.print(table(_COLUMNS, rows))


def print_result(console: Console, result: StepResult) -> None:
    """One step in a line."""
    shown = result.step.shown()
    mark, style = _MARKS[result.outcome]
    change = shown.after if shown.before is None else f"{shown.before} -> {shown.after}"
    told = {Outcome.FAILED: "failed: ", Outcome.NOT_DONE: "not done: "}.get(result.outcome, "")
    line = Text(f"{mark} ", style=style)
    line.append(printable(f"{told}{_words(shown.kind)} {shown.subject}: {change}"), style="default")
    console.print(line, soft_wrap=True)


def count_of(number: int) -> str:
    """`1 change`, `2 changes`."""
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
