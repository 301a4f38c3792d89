"""Columns and cells of reports, and CSV (RFC 4180).

A cell that a spreadsheet would take for a formula begins with an apostrophe. Amounts are decimal text; they need none,
although some begin with a minus sign: they are made here and nowhere else.
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
    """What a column's cells are."""

    TEXT = "text"
    ID = "id"
    TIME = "time"
    AMOUNT = "amount"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Column:
    """`name` is its key in JSON and its heading in CSV, `heading` the one for people."""

    name: str
    heading: str
    kind: Kind = Kind.TEXT


def plain(text: str) -> str:
    """Text from outside without line ends, control characters and marks that turn the direction of writing."""
    return "".join(character if character.isprintable() else " " for character in text)


def csv_header(columns: Sequence[Column]) -> bytes:
    """The first line."""
    return _lines([[column.name for column in columns]])


def csv_lines(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> bytes:
    """One line for each row."""
    return _lines([_written(cell, column.kind) for cell, column in zip(row, columns, strict=True)] for row in rows)


def _written(cell: Cell, kind: Kind) -> str:
    if cell is None:
        return ""
    if kind is Kind.AMOUNT:
        assert isinstance(cell, int)
        return format_amount(cell)
    return str(cell) if isinstance(cell, int) else _harmless(cell)


def _harmless(text: str) -> str:
    """Also of the wide forms of these signs, which some spreadsheets read as the narrow ones."""
    shown = plain(text)
    return f"'{shown}" if normalize("NFKC", shown).lstrip().startswith(_BEGINS_FORMULA) else shown


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()
