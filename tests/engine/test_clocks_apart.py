"""A worker whose clock is off judges by the broker's clock how long records have waited and what is due."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghub.engine.config import Input
from clearinghub.engine.environment import Environment
from clearinghub.engine.record import PunctuatorView, Record, View
from tests.engine.bench import OnePartition

BROKER_MS = 1_700_000_000_000
AGE_MS = 300


def emit(record: Record, view: View) -> None:
    view.emit("out", f"{record.topic}-{record.offset}", b"")


@pytest.mark.parametrize("ahead_ms", [-2_000, 0, 1_000, 2_000, 600_000])
async def test_a_clock_that_is_off_is_no_wait_and_makes_nothing_due(tmp_path: Path, ahead_ms: int) -> None:
    ages_s: list[float] = []
    times_ms: list[int] = []

    def punctuate(_view: PunctuatorView, now_ms: int) -> None:
        times_ms.append(now_ms)

    partition = OnePartition(
        tmp_path,
        [Input("prepare", emit)],
        environment=Environment(wall_s=lambda: (BROKER_MS + ahead_ms) / 1000),
        clock_lead_ms=lambda: ahead_ms,
        punctuators=(punctuate,),
        on_batch=lambda _topic, _partition, age_s: ages_s.append(age_s),
    )
    partition.put("prepare", [b""], timestamp_ms=BROKER_MS - AGE_MS)

    await partition.run_until({"prepare": 1})

    assert [pytest.approx(AGE_MS / 1000)] == ages_s
    assert {BROKER_MS} == set(times_ms)
