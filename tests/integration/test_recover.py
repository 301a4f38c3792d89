"""`clearinghub recover` on a real broker: a partition without some records stops until an operator decides."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from clearinghub.config import Settings
from clearinghub.engine.app import EngineApp
from clearinghub.engine.config import EngineConfig
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.kafka.view import RecoveriesView
from clearinghub.messages.recoveries import Stopped, WorkerAnnouncement, encode_worker
from clearinghub.roles.ledger import make_announcement, make_stop_announcement
from tests.apart import environment_of, settings_apart
from tests.commands import run_process
from tests.engine.harness import Outputs, create_toy_topics, send_orders
from tests.engine.test_broker_losses import delete_all
from tests.engine.toy import PARTITIONS, toy_config

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
URL = "http://127.0.0.1:1"


def recover(settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run the command as an operator does; return its exit code and its output."""
    environment = environment_of(settings, record_timeout_ms=settings.record_timeout_ms) | {"COLUMNS": "300"}
    ended = run_process(environment, "recover", *arguments)
    return ended.code, ended.out + ended.said


async def started(config: EngineConfig) -> EngineApp:
    app = EngineApp(config)
    ready = asyncio.Event()
    app.on_ready.append(ready.set)
    app.finalize()
    await app.start()
    await asyncio.wait_for(ready.wait(), 60)
    return app


async def announce_a_later_message(settings: Settings) -> None:
    """Say that partition 1 has stopped before a message that this release cannot read."""
    later = Stopped("unknown-message", "in/1 at offset 3 is a message of a later release", "install it", 1, "0f")
    recorder = KafkaRecorder(settings)
    await recorder.start()
    await recorder.record_in_partition("workers", 1, "1", encode_worker(WorkerAnnouncement(URL, 1, later)))
    await recorder.stop()


async def test_the_command_lets_a_stopped_partition_go_on(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = settings_apart(
        kafka_bootstrap,
        topic_prefix,
        partitions=PARTITIONS,
        data_dir=tmp_path,
        record_timeout_ms=30_000,
    )
    await ensure_topics(settings, load_topology())
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    recoveries = RecoveriesView(settings)
    await recoveries.start()
    toy = toy_config(kafka_bootstrap, topic_prefix, tmp_path)
    config = replace(
        toy,
        output_partitions={**toy.output_partitions, "workers": PARTITIONS},
        is_accepted=recoveries.is_accepted,
        on_open=make_announcement(URL),
        on_stopped=make_stop_announcement(URL),
    )
    async with Outputs.of(kafka_bootstrap, topic_prefix) as outputs:
        app = await started(config)
        await send_orders(kafka_bootstrap, topic_prefix, range(40))
        await outputs.read_until(40, within_s=30)
        await app.stop()
        await send_orders(kafka_bootstrap, topic_prefix, range(40, 80))
        await delete_all(kafka_bootstrap, topic_prefix + "in", {0})
    app = await started(config)
    assert {0: "input-lost"} == {number: stop.code for number, stop in app.stopped_partitions.items()}

    listed = await asyncio.to_thread(recover, settings)
    dry = await asyncio.to_thread(recover, settings, "0", "--dry-run")
    other = await asyncio.to_thread(recover, settings, "1", "--reason", "why not")
    assert {0} == set(app.stopped_partitions)
    decided = await asyncio.to_thread(recover, settings, "0", "--reason", "told the DFSPs", "--by", "alice")
    async with asyncio.timeout(30):
        while app.ready_partitions != set(range(PARTITIONS)):
            await asyncio.sleep(0.1)
    await app.stop()
    nothing = await asyncio.to_thread(recover, settings)
    await announce_a_later_message(settings)
    unhelpful = await asyncio.to_thread(recover, settings, "1", "--reason", "let it run")

    assert [0, 0, 1, 0, 0] == [one[0] for one in (listed, dry, other, decided, nothing)], (listed, dry, other, decided)
    assert "input-lost" in listed[1]
    assert "The missing records are never decided." in dry[1]
    assert "partition 0 goes on" in decided[1]
    assert "no partition is stopped" in nothing[1]
    assert 1 == unhelpful[0], "a decision would open it again and again"
    assert "install it" in unhelpful[1]
    assert "No decision helps" in unhelpful[1]
    (decision,) = recoveries.values.values()
    assert (0, "input-lost", "told the DFSPs", "alice") == (
        decision.partition,
        decision.code,
        decision.reason,
        decision.by,
    )
    await recoveries.stop()
