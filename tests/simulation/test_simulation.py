"""The simulation itself: no seed fails, the same seed is the same run, and every fault happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.run import simulate
from tests.simulation.statistics import missing, rendered

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 200
FIRST_SEED = 20_260_000


@pytest.mark.timeout(600)
def test_no_seed_fails_and_every_fault_happens() -> None:
    counts: Counter[str] = Counter()
    failed = []
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        run = simulate(seed)
        counts.update(run.counts)
        if run.problem is not None:
            failed.append(f"{run.problem}\n  faults: {sorted(run.faults)}\n  again: make simulate SEED={seed}")

    assert [] == failed
    assert [] == missing(counts), rendered(SEEDS, counts)


def test_a_seed_is_one_run_whatever_the_process() -> None:
    """Twice here, and in a process whose sets of texts have another order."""
    here = [simulate(7).digest, simulate(7).digest]
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "7"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert here[0] == here[1]
    assert f"digest {here[0]}" in elsewhere.stdout


def test_seeds_differ() -> None:
    assert simulate(1).digest != simulate(2).digest
