"""Invented benchmark results for the tests."""

from __future__ import annotations

from typing import Any

from bench.load.results import Books, Figures, Measured, Memory, Quantiles, Run, Second, Window

NO_ERRORS = dict.fromkeys(
    ("post", "put_fulfil", "error_callbacks", "timeouts", "late_after_timeout", "unknown_callbacks", "duplicate_puts"),
    0,
)


def figures(**changes: Any) -> Figures:
    """Return figures of 1,000 transfers in 10 s without an error, with `changes`."""
    well: dict[str, Any] = {
        "rate": 0,
        "concurrency": 10,
        "hot": 0,
        "duration_s": 10,
        "completed": 1_000,
        "completed_per_s": 100.0,
        "sent_per_s": 100.0,
        "latency_ms": Quantiles(n=1_000, p50=20.0, p95=30.0, p99=40.0, max=55.5),
        "errors": NO_ERRORS,
        "inflight_at_window_end": 0,
        "not_completed_after_drain": 0,
        "total_sent": 1_200,
        "total_completed": 1_200,
    }
    return Figures.model_validate(well | changes)


def measured(scenario: str, cpu_s: float = 1.0, **changes: Any) -> Measured:
    """Return a scenario whose ledger used `cpu_s`; `changes` are fields of the figures or of the measurement."""
    memory = Memory(start_mb=90, end_mb=100, max_mb=101, slope_mb_per_min=0.1)
    own = {key: changes.pop(key) for key in ("part", "accepted_before", "refusals", "window") if key in changes}
    window = Window(
        seconds=10,
        cpu_s={"ledger": cpu_s, "kafka": 2.0, "generator": 0.5},
        switches={"ledger": 5_000},
        memory={"ledger": memory},
        busy_cores=1.5,
        steal_cores=0.01,
        load_average_max=2.5,
    )
    second = Second(at_s=1.0, completed=5, latency_ms=Quantiles(n=5, p50=1), in_flight=1, sent_total=6, refused_total=0)
    series = [second, second.model_copy(update={"at_s": 2.0, "refused_total": 3})]
    base: dict[str, Any] = {"accepted_before": 0, "refusals": {}, "window": window}
    return Measured(scenario=scenario, began_at_s=0.5, figures=figures(**changes), series=series, **(base | own))


def run_of(*runs: Measured, books: Books | None = None) -> Run:
    """Return a run with these scenarios."""
    return Run(facts={"cores": "2"}, measured=list(runs), samples=[], books=books)


def books(**changes: Any) -> Books:
    """Return books without a fault, with `changes`."""
    right: dict[str, Any] = {
        "ok": True,
        "broken": [],
        "accepted": 100,
        "without_answer": 0,
        "finished": 100,
        "in_flight": 0,
        "undecided": 0,
        "pending": 0,
    }
    return Books.model_validate(right | changes)
