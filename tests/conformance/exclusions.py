"""Reads from EXCLUDED.md which parts of the kit's collections do not apply.

A row is `collection | test case | requests | reason`. Collections are paths below the kit's `collections/hub/`; a test
case is named by its id, requests by their names in the collection, or `#n` for the n-th of the case where several have
one name; `all` is all of them. Each row must name something that the kit has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EXCLUDED_FILE: Final = Path(__file__).with_name("EXCLUDED.md")
COLLECTIONS: Final = "collections/hub/"
ALL: Final = "all"
COLUMNS: Final = ("Collection", "Test case", "Requests", "Reason")
SEPARATOR: Final = "; "
_RULE: Final = re.compile(r"\|[-| ]+\|\s*")


class ExclusionError(Exception):
    """A row of EXCLUDED.md cannot be read, or names nothing in the kit."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A row: `file` is as in acceptance.json, `case` None for all cases, `requests` empty for all of the case."""

    line_number: int
    file: str
    case: str | None
    requests: tuple[str, ...]
    reason: str

    def covers(self, file: str, case: str, index: int, name: str) -> bool:
        """Whether this row leaves a request out; `index` is the request's place in the case, from 0."""
        if file != self.file or self.case not in (None, case):
            return False
        return not self.requests or name in self.requests or f"#{index + 1}" in self.requests

    def __str__(self) -> str:
        what = SEPARATOR.join(self.requests) or ALL
        return f"{EXCLUDED_FILE.name}:{self.line_number}: {self.file} | {self.case or ALL} | {what}"


def read_exclusions(path: Path = EXCLUDED_FILE) -> list[Exclusion]:
    """Return all rows of all tables.

    Raises:
        ExclusionError: a row has the wrong cells.
    """
    lines = enumerate(path.read_text().splitlines(), start=1)
    rows = ((number, _cells(line)) for number, line in lines if line.startswith("|") and not _RULE.fullmatch(line))
    return [_exclusion(path, number, cells) for number, cells in rows if cells != list(COLUMNS)]


def first_that_covers(exclusions: Iterable[Exclusion], file: str, case: str, index: int, name: str) -> Exclusion | None:
    """Return the row that leaves a request out, or None if the request applies."""
    return next((one for one in exclusions if one.covers(file, case, index, name)), None)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _exclusion(path: Path, number: int, cells: list[str]) -> Exclusion:
    if len(cells) != len(COLUMNS) or not all(cells):
        raise ExclusionError(f"{path.name}:{number}: a row has {len(COLUMNS)} cells: {', '.join(COLUMNS)}")
    collection, case, requests, reason = cells
    if case == ALL and requests != ALL:
        raise ExclusionError(f"{path.name}:{number}: requests are named within one test case")
    return Exclusion(
        line_number=number,
        file=COLLECTIONS + collection.strip("`"),
        case=None if case == ALL else case.strip("`"),
        requests=() if requests == ALL else tuple(requests.split(SEPARATOR)),
        reason=reason,
    )
