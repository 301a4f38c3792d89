"""The output of the commands: tables for people, one JSON document for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clearinghub.tools.client.money import shown_amount

PIPE_WIDTH_COLUMNS: Final = 200  # output that is piped into grep must not be folded
YES: Final = "yes"
NO: Final = "no"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers are aligned to the right."""

    heading: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's answer: `document` for scripts; for people a table, sentences below it, and `more` of both."""

    document: Any
    columns: Sequence[Column] = ()
    rows: Sequence[Sequence[str]] = ()
    sentences: Sequence[str] = ()
    title: str | None = None
    more: Sequence[Answer] = ()


def console() -> Console:
    """Return a console as wide as the terminal; a pipe is so wide that nothing is folded."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH_COLUMNS, highlight=False)


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201 - the answer


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Print an answer, for people or as JSON."""
    if as_json:
        print_json(answer.document)
        return
    target = console()
    for part in (answer, *answer.more):
        if part.columns:
            target.print(table(part.columns, part.rows, part.title))
        for sentence in part.sentences:
            target.print(Text(printable(sentence)), soft_wrap=True)


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """Make a table; cells are plain text, and long ones are folded, never cut."""
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title, title_justify="left", title_style="bold")
    for column in columns:
        made.add_column(column.heading, justify="right" if column.is_number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def printable(text: str) -> str:
    """Return a text without characters that could steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def flag(value: object) -> str:
    return YES if value else NO


def money(amount_units: int | None) -> str:
    """Return an amount in currency units, or a dash for None."""
    return "-" if amount_units is None else shown_amount(amount_units)
