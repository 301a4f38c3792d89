"""One broker of three is lost while requests are recorded: who is refused can rely on it, and nobody waits for long."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.ports import RecorderBusyError, RecorderUnavailableError, RecordOutcomeUnknownError
from tests.apart import settings_apart
from tests.kafka_cluster import LOSSES_TRIED, KafkaCluster
from tests.topics import records_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]
PARTITIONS = 6
TOPIC = "prepare"
PAUSE_S = 0.02
BEFORE_S, AFTER_S = 1.0, 9.0
COSTS_AT_MOST_S = 3.0


@dataclass
class Load:
    """What came of the records that were sent to each partition, and when each partition last took a record."""

    recorded: set[bytes] = field(default_factory=set)
    refused: set[bytes] = field(default_factory=set)
    unknown: set[bytes] = field(default_factory=set)
    longest_wait_s: Counter[int] = field(default_factory=Counter)  # without a record accepted, by partition
    _accepted_at_s: dict[int, float] = field(default_factory=dict)

    async def send(self, recorder: KafkaRecorder, keys: list[str], until_s: float) -> None:
        """Send a record to each partition every PAUSE_S, whatever becomes of those before."""
        number, tasks = 0, []
        while time.monotonic() < until_s:
            for partition, key in enumerate(keys):
                number += 1
                tasks.append(asyncio.create_task(self._one(recorder, partition, key, b"%d" % number)))
            await asyncio.sleep(PAUSE_S)
        await asyncio.gather(*tasks)

    async def _one(self, recorder: KafkaRecorder, partition: int, key: str, value: bytes) -> None:
        try:
            await recorder.record(TOPIC, key, value)
        except (RecorderUnavailableError, RecorderBusyError):
            self.refused.add(value)
        except RecordOutcomeUnknownError:
            self.unknown.add(value)
        else:
            self.recorded.add(value)
            now_s = time.monotonic()
            waited_s = now_s - self._accepted_at_s.get(partition, now_s)
            self.longest_wait_s[partition] = max(self.longest_wait_s[partition], waited_s)  # type: ignore[assignment]
            self._accepted_at_s[partition] = now_s


@asynccontextmanager
async def started_recorder(cluster: KafkaCluster, prefix: str, **options: Any) -> AsyncIterator[KafkaRecorder]:
    """A recorder with its topic, on a cluster that is whole before and after."""
    settings = settings_apart(cluster.bootstrap, prefix, partitions=PARTITIONS, **options)
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    configs = {"min.insync.replicas": "2"}
    await admin.create_topics([NewTopic(settings.topic(TOPIC), PARTITIONS, 3, topic_configs=configs)])
    await admin.close()
    await cluster.restore()
    recorder = KafkaRecorder(settings)
    await recorder.start()
    try:
        yield recorder
    finally:
        await recorder.stop()
        await cluster.restore()


def keys_of(recorder: KafkaRecorder) -> list[str]:
    """A key for each partition."""
    found: dict[int, str] = {}
    for number in range(1_000):
        found.setdefault(recorder._partition_of(TOPIC, f"dfsp{number}"), f"dfsp{number}")
    return [found[partition] for partition in range(PARTITIONS)]


async def stored(cluster: KafkaCluster, topic: str) -> Counter[bytes]:
    """All values on the topic, by how often."""
    return Counter(record.value for record in await records_of(cluster.bootstrap, topic, PARTITIONS))


async def run_load(recorder: KafkaRecorder, lose: Callable[[], Awaitable[None]]) -> Load:
    load = Load()
    sending = asyncio.create_task(load.send(recorder, keys_of(recorder), time.monotonic() + BEFORE_S + AFTER_S))
    await asyncio.sleep(BEFORE_S)
    await lose()
    await sending
    return load


async def lose(cluster: KafkaCluster, topic: str, how: str) -> None:
    number = cluster.controller() if "controller" in how else await cluster.leader(topic, 0)
    if how == "stop the leader":
        await cluster.stop(number)
    else:
        cluster.kill(number)


async def check_truth(cluster: KafkaCluster, topic: str, load: Load, how: str) -> None:
    """What was refused is on no topic, what was accepted is there once."""
    await cluster.restore()
    await asyncio.sleep(3)  # what a producer still keeps would turn up now
    found = await stored(cluster, topic)
    waits = ", ".join(f"{load.longest_wait_s[partition]:.2f}" for partition in range(PARTITIONS))
    print(
        f"\n{how}: accepted {len(load.recorded)}, refused {len(load.refused)}, unknown {len(load.unknown)} (of which "
        f"written {len(load.unknown & found.keys())}); longest wait of each partition {waits} s"
    )
    assert set() == load.refused & found.keys(), "refused, and written all the same"
    assert set() == load.recorded - found.keys(), "accepted, and lost"
    assert {1} == set(found.values()), "written twice"


@pytest.mark.parametrize("how", LOSSES_TRIED)
async def test_the_loss_of_one_broker_costs_nobody_long(
    kafka_cluster: KafkaCluster, topic_prefix: str, how: str
) -> None:
    topic = topic_prefix + TOPIC
    async with started_recorder(kafka_cluster, topic_prefix) as recorder:
        load = await run_load(recorder, lambda: lose(kafka_cluster, topic, how))
        await check_truth(kafka_cluster, topic, load, how)

    assert (set(), set()) == (load.refused, load.unknown)
    assert max(load.longest_wait_s.values()) < COSTS_AT_MOST_S


@pytest.mark.parametrize("how", LOSSES_TRIED)
async def test_a_refusal_is_true_when_the_loss_lasts_longer_than_the_wait(
    kafka_cluster: KafkaCluster, topic_prefix: str, how: str
) -> None:
    """The brokers of a production cluster need 9 s to replace a dead leader, and requests wait for 5 s."""
    topic = topic_prefix + TOPIC
    async with started_recorder(kafka_cluster, topic_prefix, record_timeout_ms=600) as recorder:
        load = await run_load(recorder, lambda: lose(kafka_cluster, topic, how))
        await check_truth(kafka_cluster, topic, load, how)

    assert load.recorded
    assert max(load.longest_wait_s.values()) < 2 * COSTS_AT_MOST_S
