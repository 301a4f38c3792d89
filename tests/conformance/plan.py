"""What is to be run: the kit's collections, and for each request the row of EXCLUDED.md that leaves it out, if any."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.exclusions import Exclusion, ExclusionError, first_that_covers


@dataclass(frozen=True, slots=True)
class Case:
    """A test case: for each of its requests the row that leaves it out, or None where it applies."""

    case_id: str
    excluded: tuple[Exclusion | None, ...]

    @property
    def applies(self) -> bool:
        """Whether any of its requests does."""
        return any(one is None for one in self.excluded)


@dataclass(frozen=True, slots=True)
class Collection:
    """A file of the kit; `entry` is its line in acceptance.json."""

    entry: dict[str, Any]
    cases: tuple[Case, ...]

    @property
    def order(self) -> int:
        """Its number in the kit."""
        order: int = self.entry["order"]
        return order

    @property
    def file(self) -> str:
        """Its path in the kit's `cases/`."""
        file: str = self.entry["file"]
        return file

    @property
    def applies(self) -> bool:
        """Whether any of its cases does."""
        return any(case.applies for case in self.cases)

    def excluded(self, case_id: str, occurrence: int, index: int) -> Exclusion | None:
        """The row that leaves a request out, by its case, the how manieth of that id (from 1), and its place there."""
        found = [case for case in self.cases if case.case_id == case_id]
        return found[occurrence - 1].excluded[index]


def read_plan(kit: Path, exclusions: Sequence[Exclusion]) -> list[Collection]:
    """All collections of the kit's open set, in its order.

    Raises:
        ExclusionError: a row names no request of the kit.
    """
    entries = json.loads((kit / "acceptance.json").read_text())["list"]
    plan = [Collection(entry, tuple(_cases(kit, entry["file"], exclusions))) for entry in entries]
    used = {one for collection in plan for case in collection.cases for one in case.excluded}
    idle = [one for one in exclusions if one not in used]
    if idle:
        raise ExclusionError("\n".join(f"{one}: names nothing in the kit, or what an earlier row does" for one in idle))
    return plan


def _cases(kit: Path, file: str, exclusions: Sequence[Exclusion]) -> Iterator[Case]:
    for case in json.loads((kit / "cases" / file).read_text())["test_cases"]:
        names = [request["description"] for request in case["requests"]]
        rows = (first_that_covers(exclusions, file, case["id"], index, name) for index, name in enumerate(names))
        yield Case(case["id"], tuple(rows))
