"""A partition that must not go on stops alone. No broker needed."""

from __future__ import annotations

from pathlib import Path

from clearinghub.engine.app import EngineApp
from clearinghub.engine.errors import PartitionStoppedError
from tests.engine.toy import toy_config

LOST = PartitionStoppedError("input-lost", "in/1 lacks the offsets 5 to 7", "clearinghub recover 1")


async def test_a_partition_that_must_not_go_on_stops_alone(tmp_path: Path) -> None:
    app = EngineApp(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()

    app._on_partition_failure(1, LOST)

    assert not app.failed.is_set()
    assert {1} == set(app.stopped_partitions)
    stopped = app.stopped_partitions[1]
    assert ("input-lost", LOST.sentence, LOST.remedy) == stopped[:3]
    assert {1: stopped.since_ms} == app.waiting_since_ms()
