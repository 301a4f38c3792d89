"""Scenarios are chosen by name and by set, and changed by the command line."""

from __future__ import annotations

import pytest

from bench.load import BenchError
from bench.load.scenarios import SETS, Choice, chosen_scenarios


def test_a_name_determines_the_load() -> None:
    closed, opened, hot, sustained = chosen_scenarios(
        ["closed-40", "open-25-hot", "hot", "sustained"], Choice(rate=1_000.0)
    )

    assert (40, 0.0, 0.0) == (closed.concurrency, closed.rate, closed.hot)
    assert (25.0, 0.7) == (opened.rate, opened.hot)
    assert (300, 0.0, 0.7) == (hot.concurrency, hot.rate, hot.hot)
    assert (1_000.0, 600.0) == (sustained.rate, sustained.duration_s)


def test_the_command_line_overrides_the_set() -> None:
    assert {15.0} == {one.duration_s for one in chosen_scenarios(["short"], Choice())}
    assert {5.0} == {one.duration_s for one in chosen_scenarios(["short", "sustained"], Choice(duration_s=5.0))}
    assert {1.0} == {one.warmup_s for one in chosen_scenarios(["default"], Choice(warmup_s=1.0))}


def test_sets_contain_existing_scenarios() -> None:
    assert all(chosen_scenarios([name], Choice()) for name in SETS)
    assert len(chosen_scenarios(["full"], Choice())) > len(chosen_scenarios(["default"], Choice()))


@pytest.mark.parametrize("name", ["", "closed", "closed-0", "open--1", "open-1.5", "closed-100-cold", "rests"])
def test_an_unknown_name_is_an_error(name: str) -> None:
    with pytest.raises(BenchError, match="No scenario"):
        chosen_scenarios([name], Choice())
