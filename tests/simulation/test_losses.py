"""What the broker has lost is noticed, stops one partition, and no restart makes it go on (ADR 28)."""

from __future__ import annotations

import pytest

from tests.simulation.losses import LOSSES, problem_of

SEEDS = (3, 4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_stops_its_partition_and_no_other(name: str, seed: int) -> None:
    assert problem_of(name, seed) is None
