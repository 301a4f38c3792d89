"""One partition below its minimum of replicas in sync delays its own messages, and no others; on three real brokers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from clearinghub.engine.environment import REAL
from clearinghub.engine.hops import Hops
from clearinghub.engine.outbox import OutgoingMessage
from clearinghub.engine.relay import Relay
from clearinghub.kafka.relay_sender import RelaySender
from tests.engine.toy import toy_config
from tests.kafka_cluster import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

TOPIC: Final = "in"
LOST_NODE: Final = 2
STUCK, HEALTHY = 1, 2
# Partition 1 has the node that is lost among its two replicas, the others have not.
REPLICAS: Final = {0: [1, 3], STUCK: [1, LOST_NODE], HEALTHY: [3, 1]}
MESSAGES: Final = 100
PAUSE_S: Final = 0.05
P99_S_MAX: Final = 1.0
BACK_WITHIN_S: Final = 60.0


async def test_a_partition_without_its_followers_delays_only_its_own_messages(
    kafka_cluster: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    broker_topic = topic_prefix + TOPIC
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_cluster.bootstrap)
    await admin.start()
    configs = {"min.insync.replicas": "2", "message.timestamp.type": "CreateTime"}
    await admin.create_topics([NewTopic(broker_topic, -1, -1, REPLICAS, configs)])
    await admin.close()
    config = replace(
        toy_config(kafka_cluster.bootstrap, topic_prefix, tmp_path),
        environment=replace(REAL, make_sender=RelaySender),
    )
    relay, hops = Relay(config), Hops(0, {})
    failures: list[BaseException] = []
    outbox = relay.open(0, {}, failures.append)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_cluster.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        kafka_cluster.kill(LOST_NODE)
        await kafka_cluster.until_in_sync(broker_topic, STUCK, replicas=1)
        consumer.assign([TopicPartition(broker_topic, HEALTHY)])
        reading = asyncio.create_task(_ages(consumer, MESSAGES))
        for number in range(MESSAGES):
            value = b"%d:%d" % (number, time.time_ns())
            sent = [
                OutgoingMessage(TOPIC, to, b"k", value, hops.number(TOPIC, to, b"k", value)) for to in (STUCK, HEALTHY)
            ]
            outbox.pass_on(sent, 2 * number + 1, 0)
            await asyncio.sleep(PAUSE_S)
        ages = sorted(await asyncio.wait_for(reading, BACK_WITHIN_S))
        print(f"passed on to the healthy partition: p50 {ages[MESSAGES // 2]:.3f} s, p99 {ages[-2]:.3f} s")
        assert MESSAGES == relay.waiting()[STUCK].messages, "the stuck partition has taken nothing"
        assert ages[-2] < P99_S_MAX

        await kafka_cluster.restore()
        consumer.assign([TopicPartition(broker_topic, STUCK)])
        assert MESSAGES == len(await asyncio.wait_for(_ages(consumer, MESSAGES), BACK_WITHIN_S))
        assert [] == failures
    finally:
        await outbox.close()
        await relay.stop()
        await consumer.stop()
        await kafka_cluster.restore()


async def _ages(consumer: AIOKafkaConsumer, count: int) -> list[float]:
    """Return how old each of the next messages is when it is read, in seconds."""
    ages: list[float] = []
    while len(ages) < count:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            ages += [(time.time_ns() - int((one.value or b"").split(b":")[1])) / 1e9 for one in records]
    return ages
