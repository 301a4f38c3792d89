"""A partition that fails or must not go on concerns no other. The broker is a fake; no broker needed."""

from __future__ import annotations

from pathlib import Path

from aiokafka.errors import KafkaTimeoutError

from clearinghub.engine.app import EngineApp, InputLogs
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.keeper import PartitionKeeper
from tests.engine.toy import toy_config

LOST = PartitionStoppedError("input-lost", "in/1 lacks the offsets 5 to 7", "clearinghub recover 1")


def test_a_decision_is_for_one_stop_only() -> None:
    """The same kind of stop on another day is another one."""
    later = PartitionStoppedError("input-lost", "in/1 lacks the offsets 5 to 8", "clearinghub recover 1")
    assert LOST.stop_id == PartitionStoppedError(LOST.code, LOST.sentence, "other words").stop_id
    assert LOST.stop_id != later.stop_id


async def test_the_process_ends_only_when_nothing_in_it_works(tmp_path: Path) -> None:
    app = EngineApp(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()
    hopeless, working = (
        PartitionKeeper(
            app.engine_config,
            number,
            {},
            app.consumer,
            InputLogs(app.engine_config, app.consumer),
            app.relay,
            app._on_settled,
            app._on_hopeless_partition,
        )
        for number in (0, 1)
    )
    app._keepers = {0: hopeless, 1: working}
    working.partition = object()  # type: ignore[assignment]
    error = KafkaTimeoutError()

    app._on_hopeless_partition(hopeless, error)
    assert not app.failed.is_set()

    working.partition = None
    app._on_hopeless_partition(hopeless, error)
    assert error is app.failure
