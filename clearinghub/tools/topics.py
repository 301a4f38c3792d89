"""The hub's topics as the tools find them at a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access


class TopicsMissingError(Exception):
    """The broker has no such topics, or does not show them; the sentence names the first."""


@asynccontextmanager
async def kafka_admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect a client that describes topics and the cluster; it is closed at the end of the block."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_access(settings))
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def partition_counts(settings: Settings, topics: Iterable[str]) -> dict[str, int]:
    """Return how many partitions each topic has; what the settings say may be another hub's number.

    Raises:
        TopicsMissingError: the broker does not have one of them.
    """
    names = {settings.topic(topic): topic for topic in topics}
    async with kafka_admin(settings) as admin:
        described = await admin.describe_topics(list(names))
    counts = {names[one["topic"]]: len(one["partitions"]) for one in described if one["error_code"] == 0}
    denied = [one["topic"] for one in described if one["error_code"] == TopicAuthorizationFailedError.errno]
    if denied:
        raise TopicsMissingError(
            f"the broker does not show topic {denied[0]} to this user: allow it what `clearinghub secure acls` says"
        )
    missing = [name for name, topic in names.items() if topic not in counts]
    if missing:
        raise TopicsMissingError(f"the broker has no topic {missing[0]}: no hub has run with these settings")
    return counts
