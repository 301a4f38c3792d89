"""Three local brokers: what the hub declares has three replicas, and one broker may be lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from clearinghub.config import Settings
from clearinghub.kafka.broker.find import find_running_broker, local_cluster, with_local_brokers
from clearinghub.kafka.topology import ensure_topics, load_topology
from tests.apart import settings_apart
from tests.kafka_cluster import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]
LEADER_WITHIN_S = 10.0


async def create_topics(cluster: KafkaCluster, prefix: str) -> Settings:
    settings = settings_apart(cluster.bootstrap, prefix, partitions=3, replication_factor=3)
    await ensure_topics(settings, load_topology())
    return settings


async def test_topics_have_three_replicas_of_which_two_must_confirm(
    kafka_cluster: KafkaCluster, topic_prefix: str
) -> None:
    settings = await create_topics(kafka_cluster, topic_prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_cluster.bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics([settings.topic("prepare")])
        resource = ConfigResource(ConfigResourceType.TOPIC, settings.topic("prepare"), {"min.insync.replicas": None})
        (configs,) = await admin.describe_configs([resource])
    finally:
        await admin.close()

    assert {3} == {len(one["replicas"]) for one in described[0]["partitions"]}
    assert ("min.insync.replicas", "2") == configs.resources[0][4][0][:2]


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_the_controller_that_leads_a_partition_is_replaced(
    kafka_cluster: KafkaCluster, topic_prefix: str, how: str
) -> None:
    settings = await create_topics(kafka_cluster, topic_prefix)
    controller = kafka_cluster.controller()
    topic = settings.topic("prepare")
    (led, *_) = [number for number in range(3) if await kafka_cluster.leader(topic, number) == controller]
    async with AIOKafkaProducer(bootstrap_servers=kafka_cluster.bootstrap, acks="all", enable_idempotence=True) as one:
        await one.send_and_wait(topic, b"before", partition=led)
        began_s = time.monotonic()
        if how == "kill":
            kafka_cluster.kill(controller)
        else:
            await kafka_cluster.stop(controller)
        await asyncio.wait_for(one.send_and_wait(topic, b"after", partition=led), LEADER_WITHIN_S)
        took_s = time.monotonic() - began_s
        assert kafka_cluster.controller() != controller
        assert await kafka_cluster.leader(topic, led) != controller
    await kafka_cluster.restore()

    print(f"\n{how} of the controller: written again after {took_s:.2f} s")
    assert list(kafka_cluster.numbers) == kafka_cluster.running()


def test_the_hub_of_three_brokers_has_data_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP", "CLEARINGHUB_KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(data_dir=tmp_path / "data", run_dir=tmp_path / "run", local_brokers=3)
    before = find_running_broker(settings)

    hub = with_local_brokers(settings)
    with local_cluster(hub) as own:
        found = find_running_broker(Settings(data_dir=tmp_path / "data", run_dir=tmp_path / "run"))
        pid_files = sorted(path.name for path in (tmp_path / "run").glob("*.pid"))

    assert (tmp_path / "data" / "brokers-3", 3) == (hub.data_dir, hub.replication_factor)
    assert before is None
    assert ["broker-1.pid", "broker-2.pid", "broker-3.pid"] == pid_files
    assert own is not None
    assert 3 == len((found or "").split(","))
    assert not list((tmp_path / "run").glob("*.pid"))
