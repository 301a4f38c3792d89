"""Chaos with one fault of each kind; `make chaos` runs longer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chaos.plan import kinds_of, plan_faults
from tests.chaos.run import print_progress
from tests.chaos.scenario import Scenario

SEED = 7
SECONDS = 48
INTERVAL_S = 8
RATE = 60


@pytest.mark.parametrize(("brokers", "count"), [(1, 6), (3, 14)])
def test_every_kind_of_fault_comes_before_any_comes_again(brokers: int, count: int) -> None:
    kinds = [fault.kind for fault in plan_faults(SEED, 840, 10, 6.0, brokers)]

    assert 84 == len(kinds)
    assert count == len(kinds_of(brokers))
    for begin in range(0, 84, count):
        assert set(kinds_of(brokers)) == set(kinds[begin : begin + count])


def test_a_seed_repeats_its_faults() -> None:
    assert plan_faults(SEED, 300, INTERVAL_S, 6.0) == plan_faults(SEED, 300, INTERVAL_S, 6.0)
    assert plan_faults(SEED, 300, INTERVAL_S, 6.0) != plan_faults(SEED + 1, 300, INTERVAL_S, 6.0)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("java") is None, reason="the broker that is killed is one on this machine's JVM")
async def test_a_minute_of_chaos_loses_nothing(tmp_path: Path) -> None:
    report = await Scenario(tmp_path, SEED, SECONDS, RATE, INTERVAL_S, print_progress).run()

    print(f"\n{report.markdown()}")
    assert report.passed, report.markdown()
