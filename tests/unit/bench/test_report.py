"""The report has the measured figures in well-formed Markdown, and the plots are image files."""

from __future__ import annotations

from pathlib import Path

from bench.load.bench import best_of
from bench.load.goals import checks_of
from bench.load.plot import draw
from bench.load.report import markdown
from bench.load.results import Run, Sample
from tests.unit.bench.runs import NO_ERRORS, books, measured, run_of


def whole_run() -> Run:
    refused = NO_ERRORS | {"post": 20}
    run = run_of(
        measured("warm-up", completed_per_s=5_000.0),
        measured("closed-10"),
        measured("overload", rate=200, total_completed=1_180, errors=refused, refusals={"POST 503": 20}),
        measured("million", part=0),
        measured("million", part=1, accepted_before=1_200),
        books=books(),
    )
    samples = [
        Sample(at_s=at, cpu_s={}, memory_mb={"ledger": 90.0 + at}, switches={}, steal_s=0, busy_s=0, load_average=0)
        for at in range(5)
    ]
    return run.model_copy(update={"samples": samples})


def test_cost_is_cpu_over_what_completed() -> None:
    one = measured("closed-10", cpu_s=1.5)

    assert 1.5 == one.cpu_ms("ledger")
    assert 3.5 == one.hub_cpu_ms, "hub and broker without the generator"
    assert 0.0 == one.cpu_ms("ingress")


def test_nothing_completed_has_no_cost_and_is_shown(tmp_path: Path) -> None:
    run = run_of(measured("closed-10", completed=0, completed_per_s=0.0, latency_ms={"n": 0}))

    assert "| closed-10 (closed 10, 10 s) | 0.0 | - | - | - | - | 0 | 0 |" in markdown(run, checks_of(run), [])
    assert {"latency.png", "cpu.png"} == set(draw(run, tmp_path))


def test_the_best_rate_is_that_of_a_closed_loop_after_the_warm_up() -> None:
    assert 100.0 == best_of(whole_run().measured)
    assert best_of([measured("open-5", rate=5)]) is None


def test_report_of_a_run() -> None:
    run = whole_run()

    text = markdown(run, checks_of(run), ["latency.png"])

    assert "| closed-10 (closed 10, 10 s) | 100.0 | 20.0 | 30.0 | 40.0 | 55.5 | 0 | 0 |" in text
    assert "| overload (open 200/s, 10 s) | 100.0 | 20.0 | 30.0 | 40.0 | 55.5 | 20 | 0 |" in text
    assert "| overload | 1,180 | POST 503: 20 |" in text
    assert (
        "| closed-10 | 3.00 | not seen | 1.00 | not seen | not seen | not seen | 2.00 | 0.50 | 1.50 | 0.01 | 2.5 |"
        in text
    )
    assert "| closed, 10 | 24 | 412 / 609 / 687 |  | 100.0 | 20.0 / 30.0 / 40.0 | 3.00 ms |" in text
    assert "| 1,200 | 100.0 | 20.0 | 40.0 | 0 |" in text
    assert "warm-up (" not in text
    assert "![latency.png](latency.png)" in text


def test_tables_have_as_many_cells_as_heads() -> None:
    run = whole_run()
    blocks = markdown(run, checks_of(run), []).split("\n\n")

    tables = [block.splitlines() for block in blocks if block.startswith("|")]

    assert len(tables) > 6
    for rows in tables:
        assert 1 == len({row.count(" | ") for row in rows[:1] + rows[2:]}), rows


def test_results_survive_their_file() -> None:
    run = whole_run()

    assert run == Run.model_validate_json(run.model_dump_json())


def test_plots_are_drawn(tmp_path: Path) -> None:
    names = draw(whole_run(), tmp_path)

    assert {"latency.png", "cpu.png", "01-overload.png", "million.png", "memory.png"} == set(names)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_a_run_of_one_part_is_drawn(tmp_path: Path) -> None:
    assert ["million.png"] == draw(run_of(measured("million", part=0)), tmp_path)
