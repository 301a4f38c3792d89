"""The goals of the hub's performance, and whether a run has met them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from statistics import median
from typing import Final, NamedTuple

from bench.load.bench import best_of
from bench.load.results import HUB_ROLES, Measured, Run

RATE_MIN: Final = 1_000.0
RATE_SHARE: Final = 0.99  # in an open loop at exactly this rate the last transfers complete after the measured time
SUSTAINED_S: Final = 600.0
SUSTAINED_P99_MS: Final = 1_000.0
OPEN_P50_MS: Final = 80.0
OPEN_P99_MS: Final = 200.0
REST_P50_MS: Final = 50.0
OVERLOAD_LOSS: Final = 0.10
KEPT_UP: Final = 0.95  # share of the sent rate; from there on the hub was not overloaded
MEMORY_GROWTH: Final = (
    0.05  # share of a role's memory by which it may grow in ten minutes, by the slope of the second half
)
MILLION: Final = 1_000_000
MILLION_COST: Final = 1.10  # fixed work varies by more than this between minutes of a shared machine
MILLION_PARTS: Final = 3  # how many parts at each end the median is of


class Verdict(StrEnum):
    """Whether a goal was met; NOT_JUDGED if the run was too short or the load too small to tell."""

    MET = "met"
    MISSED = "missed"
    NOT_JUDGED = "not judged"


class Check(NamedTuple):
    """A goal, what was measured, and the verdict."""

    goal: str
    measured: str
    verdict: Verdict


def checks_of(run: Run) -> list[Check]:
    """Return a check for each goal of the run's scenarios."""
    return [
        *_each(run, "rest", _rest),
        *_each(run, "open-200", _open),
        *_each(run, "sustained", _sustained),
        *_each(run, "sustained-hot", _sustained),
        *_each(run, "overload", lambda one: _overload(run, one)),
        *_million(run.of("million")),
        *_books(run),
    ]


def _each(run: Run, scenario: str, judge: Callable[[Measured], Iterator[Check]]) -> Iterator[Check]:
    for one in run.of(scenario):
        yield from judge(one)


def _rest(one: Measured) -> Iterator[Check]:
    yield _below("at rest, one at a time: p50", one.figures.latency.p50, REST_P50_MS)


def _open(one: Measured) -> Iterator[Check]:
    yield _below("open loop at 200/s: p50", one.figures.latency.p50, OPEN_P50_MS)
    yield _below("open loop at 200/s: p99", one.figures.latency.p99, OPEN_P99_MS)


def _sustained(one: Measured) -> Iterator[Check]:
    figures = one.figures
    if figures.duration_s < SUSTAINED_S:
        measured = f"{figures.completed_per_s:,.0f}/s, but for {figures.duration_s:g} s only"
        yield Check(f"{one.scenario}: 10 minutes", measured, Verdict.NOT_JUDGED)
        return
    rate = f"{figures.completed_per_s:,.0f}/s"
    enough = figures.completed_per_s >= RATE_MIN * (RATE_SHARE if figures.rate else 1)
    yield Check(f"{one.scenario}: at least {RATE_MIN:,.0f} transfers/s for 10 minutes", rate, _verdict(enough))
    yield _below(f"{one.scenario}: p99", figures.latency.p99, SUSTAINED_P99_MS)
    yield Check(f"{one.scenario}: no errors", f"{figures.failed:,} errors", _verdict(not figures.failed))
    yield from _memory(one)


def _memory(one: Measured) -> Iterator[Check]:
    for role in HUB_ROLES:
        memory = one.window.memory.get(role)
        if memory is None:
            continue
        growth = memory.slope_mb_per_min * 10
        measured = f"{growth:+,.0f} MB in 10 minutes at {memory.end_mb:,.0f} MB"
        flat = growth <= MEMORY_GROWTH * memory.end_mb
        yield Check(f"{one.scenario}: memory of {role} flat (within {MEMORY_GROWTH:.0%})", measured, _verdict(flat))


def _overload(run: Run, one: Measured) -> Iterator[Check]:
    best = best_of(run.measured)
    if best:
        share = one.figures.completed_per_s / best
        measured = f"{one.figures.completed_per_s:,.0f}/s is {share:.0%} of {best:,.0f}/s"
        goal = f"overload at {one.figures.rate:,.0f}/s: throughput within {OVERLOAD_LOSS:.0%} of the best"
        if one.figures.completed_per_s >= KEPT_UP * one.figures.rate:
            yield Check(goal, f"{measured}: it kept up, this was no overload", Verdict.NOT_JUDGED)
        else:
            yield Check(goal, measured, _verdict(share >= 1 - OVERLOAD_LOSS))
    refused = {kind: count for kind, count in one.refusals.items() if kind.startswith(("POST", "PUT "))}
    counts = ", ".join(f"{kind}: {count:,}" for kind, count in sorted(refused.items())) or "none"
    yield Check("overload: refusals are 503", counts, _verdict(all(kind.endswith(" 503") for kind in refused)))
    measured = f"{one.figures.accepted:,} accepted, {one.figures.unfinished:,} without an end at their payer"
    yield Check("overload: no accepted transfer is lost", measured, _verdict(one.figures.unfinished == 0))


def _million(parts: list[Measured]) -> Iterator[Check]:
    if not parts:
        return
    total = parts[-1].accepted_before + parts[-1].figures.accepted
    ends = min(MILLION_PARTS, len(parts) // 2)
    if total < MILLION or not ends:
        yield Check("a million transfers in the tables", f"{total:,}, too few", Verdict.NOT_JUDGED)
        return
    first, last = (median(one.hub_cpu_ms for one in some) for some in (parts[:ends], parts[-ends:]))
    measured = f"{first:.2f} ms at the beginning, {last:.2f} ms at {total:,}"
    goal = f"a million transfers cost no more CPU per transfer than the first (within {MILLION_COST - 1:.0%})"
    yield Check(goal, measured, _verdict(last <= first * MILLION_COST))


def _books(run: Run) -> Iterator[Check]:
    books = run.books
    if books is None:
        return
    yield Check("the books are right", "; ".join(books.broken) or "no rule broken", _verdict(books.ok))
    measured = f"{books.accepted:,} accepted, {books.finished:,} have a final state"
    if books.without_answer:
        measured += f", {books.without_answer:,} POSTs got no answer"
    even = books.accepted <= books.finished <= books.accepted + books.without_answer
    yield Check("all scenarios: what was accepted has ended, what was refused never began", measured, _verdict(even))


def _below(what: str, measured_ms: float | None, bound_ms: float) -> Check:
    shown = "nothing completed" if measured_ms is None else f"{measured_ms:,.1f} ms"
    met = measured_ms is not None and measured_ms < bound_ms
    return Check(f"{what} below {bound_ms:,.0f} ms", shown, _verdict(met))


def _verdict(is_met: object) -> Verdict:
    return Verdict.MET if is_met else Verdict.MISSED
