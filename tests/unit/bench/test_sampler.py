"""What processes used between two times is computed from samples; children and threads count."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.load.results import Sample
from bench.load.sampler import Watched, memory_of, slope_per_s, switches_of, value_at, window_of

# Burns CPU in a child that ends, then waits.
WITH_A_CHILD = """
import subprocess, sys, time
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.4: pass"])
print("done", flush=True)
time.sleep(60)
"""


def sample(at_s: float, cpu_s: float, memory_mb: float = 100.0, switches: int = 0) -> Sample:
    return Sample(
        at_s=at_s,
        cpu_s={"ledger": cpu_s},
        memory_mb={"ledger": memory_mb},
        switches={"ledger": switches},
        steal_s=at_s / 10,
        busy_s=at_s * 1.5,
        load_average=at_s,
    )


def test_totals_between_samples_follow_a_straight_line() -> None:
    samples = [sample(10, 1.0), sample(11, 2.0), sample(12, 4.0)]

    assert [1.0, 1.0, 1.5, 2.0, 3.0, 4.0, 4.0] == [
        value_at(samples, at_s, lambda one: one.cpu_s["ledger"]) for at_s in (9, 10, 10.5, 11, 11.5, 12, 13)
    ]


def test_a_window_counts_what_was_used_in_it() -> None:
    samples = [sample(at, at * 0.5, switches=at * 100) for at in range(11)]

    window = window_of(samples, 2.5, 7.5)

    assert 2.5 == pytest.approx(window.cpu_s["ledger"])
    assert 500 == window.switches["ledger"]
    assert 1.5 == pytest.approx(window.busy_cores)
    assert 0.1 == pytest.approx(window.steal_cores)
    assert 7.0 == window.load_average_max


def test_a_role_that_comes_later_counts_from_nothing() -> None:
    late = sample(2, 1.0).model_copy(update={"cpu_s": {"ledger": 1.0, "generator": 0.25}})

    assert 0.25 == window_of([sample(1, 0.5), late], 1, 2).cpu_s["generator"]


def test_memory_grows_by_the_second_half() -> None:
    warming = [sample(at, 0, 50.0 + 10 * at) for at in range(10)]
    flat_afterwards = [sample(at, 0, 140.0) for at in range(10, 21)]
    growing = [sample(at, 0, 140.0 + (at - 10)) for at in range(10, 21)]

    flat = memory_of(warming + flat_afterwards, "ledger")
    grown = memory_of(warming + growing, "ledger")

    assert flat is not None
    assert grown is not None
    assert (50.0, 140.0, 140.0) == (flat.start_mb, flat.end_mb, flat.max_mb)
    assert abs(flat.slope_mb_per_min) < 1e-6
    assert 60.0 == pytest.approx(grown.slope_mb_per_min)
    assert memory_of(warming, "kafka") is None


def test_slope_of_few_points() -> None:
    assert [0.0, 0.0, 0.0, 2.0] == [
        slope_per_s(points) for points in ([], [(1, 5)], [(1, 5), (1, 7)], [(1.0, 5.0), (2.0, 7.0)])
    ]


def test_switches_are_those_of_all_threads(tmp_path: Path) -> None:
    for thread, numbers in (("1", "123 45 7\n"), ("2", "5 6 35\n")):
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(numbers)

    assert 42 == switches_of(tmp_path)


def test_ended_children_count_and_a_gone_process_keeps_its_figures() -> None:
    with subprocess.Popen([sys.executable, "-c", WITH_A_CHILD], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            whole, alone = (Watched("ledger", process.pid, alone=is_alone) for is_alone in (False, True))
            for one in (whole, alone):
                one.look()
                assert one.memory_mb > 1
            assert whole.cpu_s >= alone.cpu_s + 0.35  # it is counted in ticks of 10 ms
        finally:
            process.kill()
    before = whole.cpu_s
    whole.look()

    assert whole.is_gone
    assert (before, 0.0) == (whole.cpu_s, whole.memory_mb)
