"""Columns and cells of reports, and CSV (RFC 4180).

A cell that a spreadsheet would read as a formula gets an apostrophe in front. Amounts are decimal text and get none,
although some begin with a minus sign: they never come from outside.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from unicodedata import normalize

from clearinghub.domain.money import format_amount

Cell = str | int | None
"""Text, a count, an amount in 1/10,000 of the unit, or nothing."""

_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "|", "%")


class Kind(Enum):
    """The type of a column's cells."""

    TEXT = "text"
    ID = "id"
    TIME = "time"
    AMOUNT = "amount"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `name` is its key in JSON and its heading in CSV, `heading` the one on a page."""

    name: str
    heading: str
    kind: Kind = Kind.TEXT


def plain(text: str) -> str:
    """Return text from outside without line ends, control characters and marks that change the direction of writing."""
    return "".join(character if character.isprintable() else " " for character in text)


def csv_header(columns: Sequence[Column]) -> bytes:
    """Return the row of headings."""
    return _lines([[column.name for column in columns]])


def csv_lines(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return a line for each row."""
    return _lines([_written(cell, column.kind) for cell, column in zip(row, columns, strict=True)] for row in rows)


def _written(cell: Cell, kind: Kind) -> str:
    if cell is None:
        return ""
    if kind is Kind.AMOUNT:
        assert isinstance(cell, int)
        return format_amount(cell)
    return str(cell) if isinstance(cell, int) else _harmless(cell)


def _harmless(text: str) -> str:
    """Return a text that no spreadsheet reads as a formula, also not by the wide forms of its signs."""
    shown = plain(text)
    return f"'{shown}" if normalize("NFKC", shown).lstrip().startswith(_BEGINS_FORMULA) else shown


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()
