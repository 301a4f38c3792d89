"""How `backup` and `restore` show what they do: bars on a terminal, a plain sentence now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

SENTENCE_EVERY_S: Final = 5.0
COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

OnStep = Callable[[str, int, int], None]


@contextmanager
def shown_progress(console: Console) -> Iterator[OnStep]:
    """Yield what is called with a step, how much of it is done, and how much there is in all."""
    if not console.is_terminal:
        yield _Sentences(console).show
        return
    with Progress(*COLUMNS, console=console) as progress:
        bars: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in bars:
                bars[step] = progress.add_task(step, total=total)
            progress.update(bars[step], completed=done, total=total)

        yield show


class _Sentences:
    """Prints the first and the last state of a step, and one every few seconds between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = ""
        self._printed_s = 0.0
        self._is_done = False

    def show(self, step: str, done: int, total: int) -> None:
        """Print a step's state if it is time to."""
        is_new = step != self._step
        if is_new:
            self._step, self._is_done = step, False
        is_end = done >= total and not self._is_done
        if not (is_new or is_end or time.monotonic() - self._printed_s >= SENTENCE_EVERY_S) or self._is_done:
            return
        self._printed_s = time.monotonic()
        self._is_done = done >= total
        self._console.print(f"{step}: {done:,} of {total:,}", highlight=False)
