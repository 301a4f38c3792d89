"""`ensure_topics` on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from clearinghub.config import Settings
from clearinghub.kafka.topology import (
    Topic,
    TopicCreationError,
    TopologyMismatchError,
    changelog_name,
    declared_topics,
    ensure_topics,
    load_topology,
)
from tests.apart import settings_apart

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    return settings_apart(kafka_bootstrap, topic_prefix, partitions=3, data_dir=tmp_path)


@pytest.fixture
async def admin(kafka_bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await client.start()
    yield client
    await client.close()


async def partitions_of(admin: AIOKafkaAdminClient, name: str) -> int:
    (topic,) = await admin.describe_topics([name])
    return len(topic["partitions"])


async def configs_of(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for entry in response.resources[0][4]}


async def test_creates_every_topic_and_changelog_with_its_partitions(
    settings: Settings, admin: AIOKafkaAdminClient
) -> None:
    topology = load_topology()

    created = await ensure_topics(settings, topology)

    assert sorted(declared_topics(settings, topology)) == created
    assert 3 == await partitions_of(admin, settings.topic("prepare"))
    assert 1 == await partitions_of(admin, settings.topic("archived"))
    assert 3 == await partitions_of(admin, changelog_name(settings.application_id, "positions"))


async def test_writes_the_declared_settings(settings: Settings, admin: AIOKafkaAdminClient) -> None:
    await ensure_topics(settings, load_topology())

    prepare = await configs_of(admin, settings.topic("prepare"))
    changelog = await configs_of(admin, changelog_name(settings.application_id, "transfers"))

    assert ("delete", "604800000", "LogAppendTime") == (
        prepare["cleanup.policy"],
        prepare["retention.ms"],
        prepare["message.timestamp.type"],
    )
    assert ("compact", "3600000", "CreateTime") == (
        changelog["cleanup.policy"],
        changelog["segment.ms"],
        changelog["message.timestamp.type"],
    )


async def test_a_second_call_changes_nothing(settings: Settings) -> None:
    await ensure_topics(settings, load_topology())

    assert [] == await ensure_topics(settings, load_topology())


async def test_processes_may_create_at_the_same_time(settings: Settings) -> None:
    topology = load_topology()

    created = await asyncio.gather(*(ensure_topics(settings, topology) for _ in range(3)))

    assert sorted(declared_topics(settings, topology)) == sorted(name for names in created for name in names)


async def test_creates_extra_topics_by_their_own_names(settings: Settings, admin: AIOKafkaAdminClient) -> None:
    name = f"{settings.topic_prefix}extra"
    extra = Topic(name=name, key="any", partitions=2, cleanup="compact", carries="a test's records")

    created = await ensure_topics(settings, load_topology(), extra=[extra])

    assert name in created
    assert 2 == await partitions_of(admin, name)


async def test_refuses_another_partition_count_within_the_group(settings: Settings) -> None:
    await ensure_topics(settings, load_topology())
    changed = settings.model_copy(update={"partitions": 4})

    with pytest.raises(TopologyMismatchError, match=r"has 3 partitions on the broker, but this hub is set to 4"):
        await ensure_topics(changed, load_topology())


async def test_accepts_another_partition_count_outside_the_group(
    settings: Settings, admin: AIOKafkaAdminClient
) -> None:
    await admin.create_topics([NewTopic(settings.topic("positions"), 2, 1)])

    created = await ensure_topics(settings, load_topology())

    assert settings.topic("positions") not in created
    assert 2 == await partitions_of(admin, settings.topic("positions"))


async def test_refuses_a_topic_whose_records_carry_the_senders_clock(
    settings: Settings, admin: AIOKafkaAdminClient
) -> None:
    await admin.create_topics([NewTopic(settings.topic("prepare"), 3, 1)])

    with pytest.raises(TopologyMismatchError, match=r"message\.timestamp\.type=CreateTime .* needs LogAppendTime"):
        await ensure_topics(settings, load_topology())


async def test_says_why_the_broker_refused(settings: Settings) -> None:
    beyond_the_cluster = settings.model_copy(update={"replication_factor": 7})

    with pytest.raises(TopicCreationError, match="replication factor"):
        await ensure_topics(beyond_the_cluster, load_topology())
