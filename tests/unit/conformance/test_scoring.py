"""The kit's rules of counting, over what applies."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conformance.exclusions import Exclusion
from tests.conformance.plan import Case, Collection
from tests.conformance.report import Report
from tests.conformance.scoring import Assertion, Count, Result, judge, outdated, read_assertions

FILE = "collections/hub/one.json"
ROW = Exclusion(7, FILE, "only", ("Send quote",), "quotes")
WEAK = frozenset({f"{FILE}|only|1|1|b"})


def collection(assertions: int) -> Collection:
    """One case: a request that does not apply, and two that do."""
    return Collection(
        {"order": 1, "file": FILE, "group": "some", "assertions": assertions}, (Case("only", (ROW, None, None)),)
    )


def line(request: int, name: str, status: str, kind: str = "plain") -> dict[str, object]:
    key = f"{FILE}|only|1|{request}|{name}"
    return {"key": key, "class": kind, "status": status, "request": f"r{request}", "description": name, "message": "so"}


def read(folder: Path, *lines: dict[str, object]) -> list[Assertion]:
    path = folder / "001.assertions.json"
    path.write_text(json.dumps(lines))
    found = read_assertions(path, collection(len(lines)), WEAK)
    assert found is not None
    return found


def judged(folder: Path, *lines: dict[str, object]) -> Result:
    return judge(collection(len(lines)), read(folder, *lines))


def test_what_is_excluded_does_not_count(tmp_path: Path) -> None:
    result = judged(tmp_path, line(0, "a", "FAILED"), line(1, "b", "SUCCESS"), line(2, "c", "SUCCESS"))

    assert [] == result.problems
    assert (Count(1, 1), 2, 1) == (result.cases, result.assertions, result.excluded)
    assert Count(2, 2) == result.effective
    assert Count(1, 1) == result.discriminating  # b is passed by a blind forwarder too


def test_cases_of_one_id_are_distinguished_by_their_order() -> None:
    cases = (Case("same", (ROW,)), Case("other", (None,)), Case("same", (None, ROW)))
    twice = Collection({"order": 1, "file": FILE}, cases)

    assert [ROW, None, ROW] == [twice.excluded("same", *place) for place in ((1, 0), (2, 0), (2, 1))]


def test_a_failure_is_named(tmp_path: Path) -> None:
    result = judged(tmp_path, line(1, "b", "SUCCESS"), line(2, "c", "FAILED"))

    assert ["only #3 r2: c: so"] == result.problems
    assert (Count(0, 1), Count(1, 2), Count(0, 1)) == (result.cases, result.effective, result.discriminating)


def test_a_vacuous_failure_counts_nowhere_and_still_fails(tmp_path: Path) -> None:
    result = judged(tmp_path, line(1, "b", "SUCCESS"), line(2, "v", "FAILED", "vacuous"))

    assert ["only #3 r2: v: so"] == result.problems
    assert Count(1, 1) == result.effective


def test_what_was_not_evaluated_is_neither_passed_nor_failed(tmp_path: Path) -> None:
    result = judged(tmp_path, line(1, "b", "SUCCESS"), line(2, "c", "SKIPPED"))

    assert ([], 1, Count(1, 1)) == (result.problems, result.not_evaluated, result.effective)


def test_a_conditional_one_passes_only_in_a_clean_case(tmp_path: Path) -> None:
    clean = judged(tmp_path, line(1, "b", "SUCCESS"), line(2, "x", "SUCCESS", "conditional"))
    broken = judged(tmp_path, line(1, "b", "FAILED"), line(2, "x", "SUCCESS", "conditional"))
    beside_excluded = judged(
        tmp_path, line(0, "a", "FAILED"), line(1, "b", "SUCCESS"), line(2, "x", "SUCCESS", "conditional")
    )

    assert (Count(2, 2), []) == (clean.effective, clean.problems)
    assert Count(0, 2) == broken.effective
    assert (Count(2, 2), []) == (beside_excluded.effective, beside_excluded.problems)


def test_a_report_that_is_missing_or_short_fails(tmp_path: Path) -> None:
    assert read_assertions(tmp_path / "none.json", collection(1), WEAK) is None
    assert ["the kit has written no report of it"] == judge(collection(1), None).problems
    short = judge(collection(3), read(tmp_path, line(1, "b", "SUCCESS")))
    assert ["the report has 1 assertions, the collection 3"] == short.problems


def test_a_row_whose_assertions_all_pass_is_out_of_date(tmp_path: Path) -> None:
    passing = read(tmp_path, line(0, "a", "SUCCESS"), line(0, "v", "FAILED", "vacuous"), line(1, "b", "SUCCESS"))
    failing = read(tmp_path, line(0, "a", "SUCCESS"), line(0, "d", "FAILED"))

    assert [ROW] == outdated(passing)
    assert [] == outdated(failing)


def test_a_run_passes_only_if_everything_does(tmp_path: Path) -> None:
    good = judged(tmp_path, line(1, "b", "SUCCESS"))
    bad = judged(tmp_path, line(1, "b", "FAILED"))

    def passed(results: list[Result], rows: list[Exclusion], faults: list[str]) -> bool:
        report = Report(results, [], rows, faults, ledgers=1, seconds=1.0)
        report.write(tmp_path)
        written: bool = json.loads((tmp_path / "report.json").read_text())["passed"]
        assert written == report.passed
        return written

    assert passed([good], [], [])
    assert not passed([good, bad], [], [])
    assert not passed([good], [ROW], [])
    assert not passed([good], [], ["counted otherwise"])
    assert not passed([], [], [])
