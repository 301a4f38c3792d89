"""Each goal is met, missed or not judged, on both sides of its bound."""

from __future__ import annotations

from typing import Any

import pytest

from bench.load.books import compare
from bench.load.goals import Verdict, checks_of
from bench.load.results import Memory, Quantiles
from tests.unit.bench.runs import NO_ERRORS, books, measured, run_of

MET, MISSED, NOT_JUDGED = Verdict.MET, Verdict.MISSED, Verdict.NOT_JUDGED
TEN_MINUTES = {"duration_s": 600, "completed": 600_000, "completed_per_s": 1_000.0}


def verdicts(*runs: Any, **of_run: Any) -> dict[str, Verdict]:
    return {check.goal: check.verdict for check in checks_of(run_of(*runs, **of_run))}


def only(found: dict[str, Verdict], part: str) -> Verdict:
    (verdict,) = [verdict for goal, verdict in found.items() if part in goal]
    return verdict


@pytest.mark.parametrize(("p50", "verdict"), [(49.9, MET), (50.0, MISSED), (None, MISSED)])
def test_rest(p50: float | None, verdict: Verdict) -> None:
    assert [verdict] == list(verdicts(measured("rest", latency_ms=Quantiles(p50=p50))).values())


def test_open_loop_is_judged_from_the_schedule() -> None:
    hidden = measured("open-200", rate=200, latency_from_schedule_ms=Quantiles(p50=79.0, p99=201.0))

    assert [MET, MISSED] == list(verdicts(hidden).values())


@pytest.mark.parametrize("scenario", ["sustained", "sustained-hot"])
def test_sustained(scenario: str) -> None:
    assert {MET} == set(verdicts(measured(scenario, **TEN_MINUTES)).values())
    slow = verdicts(measured(scenario, **TEN_MINUTES | {"completed_per_s": 998.9}))
    assert MISSED is only(slow, "1,000 transfers/s")
    assert MET is only(slow, "no errors")
    errors = NO_ERRORS | {"error_callbacks": 1}
    assert MISSED is only(verdicts(measured(scenario, **TEN_MINUTES, errors=errors)), "no errors")
    late = Quantiles(p50=1, p99=1_000.0)
    assert MISSED is only(verdicts(measured(scenario, **TEN_MINUTES, latency_ms=late)), "p99")


def test_a_short_run_shows_nothing_for_ten_minutes() -> None:
    assert [NOT_JUDGED] == list(verdicts(measured("sustained", duration_s=599)).values())


@pytest.mark.parametrize(("slope", "verdict"), [(0.5, MET), (0.51, MISSED), (-5.0, MET)])
def test_memory_is_flat_within_five_percent(slope: float, verdict: Verdict) -> None:
    one = measured("sustained", **TEN_MINUTES)
    memory = {"ledger": Memory(start_mb=90, end_mb=100, max_mb=100, slope_mb_per_min=slope)}
    grown = one.model_copy(update={"window": one.window.model_copy(update={"memory": memory})})

    assert verdict is only(verdicts(grown), "memory of ledger")


def test_overload_beside_the_best_closed_loop() -> None:
    best = measured("closed-300", completed_per_s=900.0)
    well = measured("overload", rate=1_800, completed_per_s=810.0, refusals={"POST 503": 50, "error callback 3303": 1})

    assert {MET} == set(verdicts(best, well).values())
    assert MISSED is only(verdicts(best, well.model_copy(update={"refusals": {"POST 500": 1}})), "503")
    assert MISSED is only(verdicts(best, well.model_copy(update={"refusals": {"PUT without an answer": 1}})), "503")
    kept_up = measured("overload", rate=1_800, completed_per_s=1_710.0)
    assert NOT_JUDGED is only(verdicts(best, kept_up), "within 10%")
    slow = measured("overload", rate=1_800, completed_per_s=809.0)
    assert MISSED is only(verdicts(best, slow), "within 10%")


def test_a_transfer_without_an_end_is_lost() -> None:
    errors = NO_ERRORS | {"post": 100, "error_callbacks": 40, "timeouts": 9, "late_after_timeout": 9}
    all_ended = measured("overload", rate=200, total_sent=1_200, total_completed=1_051, errors=errors)
    one_lost = measured("overload", rate=200, total_sent=1_200, total_completed=1_050, errors=errors)

    assert MET is only(verdicts(all_ended), "lost")
    assert MISSED is only(verdicts(one_lost), "lost")


def test_a_million_costs_no_more() -> None:
    def parts(last_cpu_s: float, total: int = 1_000_000) -> list[Any]:
        costs = [1.0, 1.0, 9.0, 5.0, 9.0, last_cpu_s, last_cpu_s]
        before = [total - 1_200 - 1_000 * (6 - number) for number in range(7)]
        pairs = zip(costs, before, strict=True)
        return [measured("million", cost, part=n, accepted_before=at) for n, (cost, at) in enumerate(pairs)]

    assert [MET] == list(verdicts(*parts(1.3)).values()), "of medians, with Kafka's 2 s: 3.3 / 3.0"
    assert [MISSED] == list(verdicts(*parts(1.31)).values())
    assert [NOT_JUDGED] == list(verdicts(*parts(1.0, total=999_999)).values())


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, MET),
        ({"finished": 99}, MISSED),
        ({"finished": 101}, MISSED),
        ({"finished": 101, "without_answer": 1}, MET),
    ],
)
def test_books_and_generator_agree(changes: dict[str, int], verdict: Verdict) -> None:
    assert verdict is only(verdicts(measured("x"), books=books(**changes)), "accepted has ended")


def test_broken_books_are_missed() -> None:
    assert MISSED is only(verdicts(measured("x"), books=books(ok=False, broken=["committed: 1"])), "books are right")


def test_books_are_the_difference_of_two_audits() -> None:
    def audited(finished: int, violations: int) -> dict[str, Any]:
        transfers = {"finished": finished, "inFlight": 0, "undecided": 0, "pending": []}
        rules = [{"name": "committed", "violations": violations}, {"name": "in-flight", "violations": 0}]
        return {"ok": not violations, "rules": rules, "transfers": transfers}

    runs = [measured("a", total_sent=50), measured("b", total_sent=60, refusals={"POST without an answer": 2})]

    assert books(accepted=110, finished=108, without_answer=2, ok=False, broken=["committed: 3"]) == compare(
        audited(8, 0), audited(116, 3), runs
    )
