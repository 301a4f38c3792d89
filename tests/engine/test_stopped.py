"""A partition that fails or must not go on concerns no other. The broker is a fake; no broker needed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaTimeoutError

from clearinghub.engine.app import EngineApp, InputLogs
from clearinghub.engine.batch import Batch
from clearinghub.engine.config import Input
from clearinghub.engine.errors import PartitionLostError, PartitionStoppedError
from clearinghub.engine.hops import Hops
from clearinghub.engine.keeper import PartitionKeeper
from tests.engine.bench import EPOCH, Consumed, OnePartition
from tests.engine.toy import toy_config


class Answering:
    """A partition that answers every query."""

    async def read(self, query: object) -> str:
        del query
        return "answer"


LOST = PartitionStoppedError("input-lost", "in/1 lacks the offsets 5 to 7", "clearinghub recover 1")


def keeper_of(app: EngineApp, number: int) -> PartitionKeeper:
    return PartitionKeeper(
        app.engine_config,
        number,
        {},
        app.consumer,
        InputLogs(app.engine_config, app.consumer),
        app.relay,
        app._on_settled,
        app._on_hopeless_partition,
    )


def test_a_decision_is_for_one_stop_only() -> None:
    """The same kind of stop on another day is another one."""
    later = PartitionStoppedError("input-lost", "in/1 lacks the offsets 5 to 8", "clearinghub recover 1")
    assert LOST.stop_id == PartitionStoppedError(LOST.code, LOST.sentence, "other words").stop_id
    assert LOST.stop_id != later.stop_id


async def test_the_process_ends_only_when_nothing_in_it_works(tmp_path: Path) -> None:
    app = EngineApp(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()
    hopeless, working = keeper_of(app, 0), keeper_of(app, 1)
    app._keepers = {0: hopeless, 1: working}
    working.partition = object()  # type: ignore[assignment]
    error = KafkaTimeoutError()

    app._on_hopeless_partition(hopeless, error)
    assert not app.failed.is_set()

    working.partition = None
    app._on_hopeless_partition(hopeless, error)
    assert error is app.failure


async def test_a_worker_that_the_group_has_not_confirmed_for_a_session_answers_no_query(tmp_path: Path) -> None:
    """Another worker may have the partition by now, and have changed the answer."""
    app = EngineApp(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()
    keeper = keeper_of(app, 0)
    keeper.partition = Answering()  # type: ignore[assignment]
    app._keepers = {0: keeper}
    app.consumer.heard_s = app.engine_config.environment.steady_s()
    assert "answer" == await app.read(0, lambda _view: "answer")

    app.consumer.heard_s -= app.engine_config.session_timeout_ms / 1000
    with pytest.raises(PartitionLostError, match="has not confirmed this worker"):
        await app.read(0, lambda _view: "answer")


async def test_messages_are_decided_past_a_gap_that_an_operator_has_accepted(tmp_path: Path) -> None:
    decided: set[str] = set()
    offsets: list[int] = []
    inputs = [Input("credit", lambda record, _view: offsets.append(record.offset))]

    def partition() -> OnePartition:
        return OnePartition(tmp_path, inputs, is_accepted=lambda _number, stop: stop.stop_id in decided)

    sender = Hops(3, {})
    hops = [sender.number("credit", 0, b"key", b"v") for _ in range(3)]
    records = [Consumed(0, 1, b"key", b"v", (("hop", hops[2].encode()),))]
    before = partition()
    before.partition.accept("credit", Batch("credit", 0, EPOCH, 0, 1, records))
    before.partition.start()
    async with asyncio.timeout(10):
        while not before.failures:
            await asyncio.sleep(0.001)
    (stop,) = before.failures
    assert isinstance(stop, PartitionStoppedError)
    assert ("hop-gap", []) == (stop.code, offsets)

    decided.add(stop.stop_id)
    after = partition()
    after.partition.accept("credit", Batch("credit", 0, EPOCH, 0, 1, records))
    await after.run_until({"credit": 1})

    assert [0] == offsets
