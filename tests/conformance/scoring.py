"""Scores the kit's reports by the kit's own rules (its README, "Reading the score"), without what is excluded.

An assertion is *effective* unless a hub that answers nothing passes it too, and *discriminating* unless a blind
forwarder does. One that did not reach its `expect` is not evaluated, and counts neither way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.conformance.exclusions import Exclusion
from tests.conformance.plan import Collection

FAILED: Final = "FAILED"
SUCCESS: Final = "SUCCESS"
NOT_EVALUATED: Final = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion of a report; `kind` is the kit's class: plain, conditional or vacuous."""

    case_id: str
    occurrence: str
    request_index: int
    request: str
    description: str
    kind: str
    status: str
    message: str
    weak: bool
    excluded: Exclusion | None

    @property
    def is_effective(self) -> bool:
        """Whether the assertion was evaluated and can fail for a hub that answers nothing."""
        return self.kind != "vacuous" and self.status != NOT_EVALUATED

    @property
    def where(self) -> str:
        """The place of the assertion, as a text."""
        return f"{self.case_id} #{self.request_index + 1} {self.request}: {self.description}"


@dataclass(frozen=True, slots=True)
class Count:
    """A number of passes, and of how many."""

    passed: int = 0
    total: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.total + other.total)

    def __str__(self) -> str:
        return f"{self.passed}/{self.total}"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a collection, without what is excluded; `problems` is empty when all passes."""

    collection: Collection
    cases: Count = Count()
    assertions: int = 0
    not_evaluated: int = 0
    excluded: int = 0
    effective: Count = Count()
    discriminating: Count = Count()
    problems: list[str] = field(default_factory=list)


def read_assertions(report: Path, collection: Collection, weak: frozenset[str]) -> list[Assertion] | None:
    """Return all assertions of a collection's report, or None if there is no report."""
    if not report.is_file():
        return None
    return [_assertion(one, collection, weak) for one in json.loads(report.read_text())]


def read_weak(kit: Path) -> frozenset[str]:
    """Return the keys of the assertions that a blind forwarder passes."""
    return frozenset(json.loads((kit / "baseline_forwarder.json").read_text())["weak"])


def judge(collection: Collection, assertions: list[Assertion] | None) -> Result:
    """Return the outcome of a collection that was run."""
    if assertions is None:
        return Result(collection, problems=["the kit has written no report of it"])
    applying = [one for one in assertions if one.excluded is None]
    passed = _passed(applying)
    effective = [one for one in applying if one.is_effective]
    discriminating = [one for one in effective if not one.weak]
    wrong = [one for one in applying if one.status == FAILED or (one.is_effective and id(one) not in passed)]
    problems = [f"{one.where}: {one.message or one.status}" for one in wrong]
    expected: int = collection.entry["assertions"]
    if len(assertions) != expected:
        problems.append(f"the report has {len(assertions)} assertions, the collection {expected}")
    cases = [case.case_id for case in collection.cases if case.applies]
    broken = {one.case_id for one in wrong}
    return Result(
        collection,
        cases=Count(sum(case not in broken for case in cases), len(cases)),
        assertions=len(applying),
        not_evaluated=sum(one.status == NOT_EVALUATED for one in applying),
        excluded=len(assertions) - len(applying),
        effective=Count(sum(id(one) in passed for one in effective), len(effective)),
        discriminating=Count(sum(id(one) in passed for one in discriminating), len(discriminating)),
        problems=problems,
    )


def outdated(assertions: Iterable[Assertion]) -> list[Exclusion]:
    """Return the rows of EXCLUDED.md whose effective assertions all pass: they are out of date."""
    of_row: dict[Exclusion, list[Assertion]] = {}
    for one in assertions:
        if one.excluded is not None and one.is_effective:
            of_row.setdefault(one.excluded, []).append(one)
    return [row for row, found in of_row.items() if all(one.status == SUCCESS for one in found)]


def _passed(applying: list[Assertion]) -> set[int]:
    """Return the ids of passing assertions; a conditional one needs a plain one in its case, all of them passing."""
    plain: dict[tuple[str, str], list[str]] = {}
    for one in applying:
        statuses = plain.setdefault((one.case_id, one.occurrence), [])
        if one.kind == "plain":
            statuses.append(one.status)
    clean = {case for case, statuses in plain.items() if FAILED not in statuses and SUCCESS in statuses}
    return {
        id(one)
        for one in applying
        if one.is_effective
        and one.status == SUCCESS
        and (one.kind == "plain" or (one.case_id, one.occurrence) in clean)
    }


def _assertion(found: dict[str, Any], collection: Collection, weak: frozenset[str]) -> Assertion:
    _file, case_id, occurrence, index, _assertion_id = found["key"].split("|", 4)
    return Assertion(
        case_id=case_id,
        occurrence=occurrence,
        request_index=int(index),
        request=found["request"],
        description=found["description"],
        kind=found["class"],
        status=found["status"],
        message=found.get("message") or "",
        weak=found["key"] in weak,
        excluded=collection.excluded(case_id, int(occurrence), int(index)),
    )
