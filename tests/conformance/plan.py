"""The plan of a run: the kit's collections, and for each request the row of EXCLUDED.md that leaves it out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.exclusions import Exclusion, ExclusionError, first_that_covers


@dataclass(frozen=True, slots=True)
class Case:
    """A test case; `excluded` has, for each request, the row that leaves it out or None."""

    case_id: str
    excluded: tuple[Exclusion | None, ...]

    @property
    def applies(self) -> bool:
        """Whether any request of the case applies."""
        return any(one is None for one in self.excluded)


@dataclass(frozen=True, slots=True)
class Collection:
    """A file of the kit; `entry` is its entry in acceptance.json."""

    entry: dict[str, Any]
    cases: tuple[Case, ...]

    @property
    def order(self) -> int:
        order: int = self.entry["order"]
        return order

    @property
    def file(self) -> str:
        """The path in the kit's folder `cases/`."""
        file: str = self.entry["file"]
        return file

    @property
    def applies(self) -> bool:
        """Whether any case of the collection applies."""
        return any(case.applies for case in self.cases)

    def excluded(self, case_id: str, occurrence: int, index: int) -> Exclusion | None:
        """Return the row that leaves a request out; `occurrence` counts cases with one id, from 1."""
        found = [case for case in self.cases if case.case_id == case_id]
        return found[occurrence - 1].excluded[index]


def read_plan(kit: Path, exclusions: Sequence[Exclusion]) -> list[Collection]:
    """Return all collections of the kit's open set, in its order.

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
