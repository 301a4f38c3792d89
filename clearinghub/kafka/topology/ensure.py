"""Create the topics of topics.yaml that the broker does not have, and check the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from clearinghub.config import Settings
from clearinghub.engine.record import OFFSETS
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.topology.declared import (
    CHECKED_CONFIGS,
    Topic,
    Topology,
    changelog_name,
    changelog_topic,
    config_fault,
    topic_configs,
)
from clearinghub.kafka.topology.stored_format import check_stored_format

logger = structlog.get_logger()

REQUEST_TIMEOUT_MS: Final = 30_000
VISIBLE_TIMEOUT_S: Final = 30
POLL_INTERVAL_S: Final = 0.05
_DENIED: Final = (TopicAuthorizationFailedError.errno, ClusterAuthorizationFailedError.errno)
_RULES: Final = "`clearinghub secure acls` (docs/security.md)"


class TopologyMismatchError(Exception):
    """A topic on the broker differs from topics.yaml; the sentence says how, and what to do. Nothing was changed."""


class TopicCreationError(Exception):
    """The broker refused to create a topic, or the topic did not appear in time."""


class TopicAccessError(Exception):
    """The broker does not let this user see or create a topic; the sentence says what to do."""


class _Found(NamedTuple):
    """The number of partitions of each topic that exists and has leaders; and the topics that are not for this user."""

    counts: dict[str, int]
    hidden: frozenset[str]


def declared_topics(settings: Settings, topology: Topology, extra: Iterable[Topic] = ()) -> dict[str, Topic]:
    """Return all topics of a deployment by their names on the broker: of the file, the changelogs, and `extra`."""
    declared = {settings.topic(topic.name): topic for topic in topology.topics.values()}
    for table in topology.tables.values():
        changelog = changelog_topic(settings.application_id, table)
        declared[changelog.name] = changelog
    return declared | {topic.name: topic for topic in extra}


async def ensure_topics(
    settings: Settings, topology: Topology, extra: Iterable[Topic] = (), role: str | None = None
) -> list[str]:
    """Create every missing topic, check the others, wait until all are there, and return the names created.

    Several processes may do so at once. A user who may not create topics only compares them, and one who may not see
    all topics only those that are shown.

    Args:
        settings: of the hub.
        topology: topics.yaml.
        extra: topics that are not in the file, by their names on the broker.
        role: whose process this is; the topics that it uses must be shown. None: all must.

    Raises:
        TopologyMismatchError: a topic has another number of partitions, or a setting that endangers the data.
        TopicCreationError: the broker refused to create a topic, or the topic did not appear in time.
        TopicAccessError: this user may not see a topic that it needs, or may not create one that is missing.
        StoredFormatError: the ledger's tables were written by a release whose rows this release cannot read.
        aiokafka.errors.KafkaError: the broker cannot be reached.
    """
    declared = declared_topics(settings, topology, extra)
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=REQUEST_TIMEOUT_MS, **kafka_access(settings)
    )
    await admin.start()
    try:
        found = await _look(admin, declared)
        needed = {name for name, topic in declared.items() if role is None or topic.is_used_by(role)}
        if hidden := sorted(needed & found.hidden):
            raise TopicAccessError(
                f"The broker does not show {_some(hidden)} to {_user(settings)}: allow this user what {_RULES} says"
                + (f" of {role}." if role else ".")
            )
        shown = {name: topic for name, topic in declared.items() if name not in found.hidden}
        await _check(settings, admin, shown, found.counts)
        created = await _create(admin, settings, {name: shown[name] for name in shown.keys() - found.counts.keys()})
        # Again: other processes may have created topics meanwhile, with other settings.
        await _check(settings, admin, shown, await _wait_until_visible(admin, shown))
    finally:
        await admin.close()
    if created:
        logger.info("topics-created", topics=created, partitions=settings.partitions)
    offsets = changelog_name(settings.application_id, OFFSETS.name)
    if offsets in shown and offsets not in created:
        await check_stored_format(settings)
    return created


async def _look(admin: AIOKafkaAdminClient, names: Iterable[str]) -> _Found:
    counts, hidden = {}, set()
    for topic in await admin.describe_topics(list(names)):
        code = topic["error_code"]
        if code in _DENIED:
            hidden.add(topic["topic"])
        if code == 0 and all(partition["leader"] >= 0 for partition in topic["partitions"]):
            counts[topic["topic"]] = len(topic["partitions"])
    return _Found(counts, frozenset(hidden))


async def _check(
    settings: Settings, admin: AIOKafkaAdminClient, declared: Mapping[str, Topic], counts: Mapping[str, int]
) -> None:
    _check_partitions(settings, declared, counts)
    await _check_configs(settings, admin, {name: declared[name] for name in counts})


def _check_partitions(settings: Settings, declared: Mapping[str, Topic], existing: Mapping[str, int]) -> None:
    for name, count in existing.items():
        expected = declared[name].partition_count(settings.partitions)
        if count == expected:
            continue
        if declared[name].group is None:
            logger.warning("topic-partitions-differ", topic=name, partitions=count, declared=expected)
            continue
        raise TopologyMismatchError(
            f"Topic {name} has {count} partitions on the broker, but this hub is set to {expected} "
            f"(CLEARINGHUB_PARTITIONS). All topics and tables of the group {declared[name].group!r} must have the same "
            f"number, for the life of the data. Start with CLEARINGHUB_PARTITIONS={count}, or with another "
            "CLEARINGHUB_TOPIC_PREFIX and CLEARINGHUB_APPLICATION_ID for a new, empty hub."
        )


async def _check_configs(settings: Settings, admin: AIOKafkaAdminClient, existing: Mapping[str, Topic]) -> None:
    if not existing:
        return
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(CHECKED_CONFIGS)) for name in existing]
    for response in await admin.describe_configs(resources):
        for code, _message, _type, name, entries in (resource[:5] for resource in response.resources):
            if code in _DENIED:
                raise TopicAccessError(
                    f"The broker does not show the settings of topic {name} to {_user(settings)}: allow this user "
                    f"DescribeConfigs on it, as {_RULES} says."
                )
            for config, value, *_ in entries:
                needed = config_fault(existing[name], config, value, settings.replication_factor)
                if needed is not None:
                    raise TopologyMismatchError(
                        f"Topic {name} has {config}={value} on the broker, but the hub needs {needed}. "
                        f"Set it with: kafka-configs.sh --alter --topic {name} --add-config {config}={needed}"
                    )


async def _create(admin: AIOKafkaAdminClient, settings: Settings, missing: Mapping[str, Topic]) -> list[str]:
    if not missing:
        return []
    replicas = settings.replication_factor
    response = await admin.create_topics(
        [
            NewTopic(
                name,
                topic.partition_count(settings.partitions),
                replicas,
                topic_configs=topic_configs(topic, replicas),
            )
            for name, topic in missing.items()
        ]
    )
    created, denied = [], []
    for name, code, *message in response.topic_errors:
        if code == 0:
            created.append(name)
        elif code in _DENIED:
            denied.append(name)
        elif code != TopicAlreadyExistsError.errno:  # else another process has just created it
            reason = (message[0] if message else None) or for_code(code).description
            raise TopicCreationError(f"The broker refused to create topic {name}: {reason}")
    if denied:
        raise TopicAccessError(
            f"The broker does not have {_some(sorted(denied))}, and {_user(settings)} may not create topics: run "
            f"`clearinghub topics` as the user that may, `setup` of {_RULES}, then start this again."
        )
    return sorted(created)


async def _wait_until_visible(admin: AIOKafkaAdminClient, declared: Mapping[str, Topic]) -> dict[str, int]:
    deadline = time.monotonic() + VISIBLE_TIMEOUT_S
    while True:
        counts = (await _look(admin, declared)).counts
        invisible = declared.keys() - counts.keys()
        if not invisible:
            return counts
        if time.monotonic() > deadline:
            raise TopicCreationError(
                f"Topics have no leader on every partition after {VISIBLE_TIMEOUT_S} s: {', '.join(sorted(invisible))}."
            )
        await asyncio.sleep(POLL_INTERVAL_S)


def _some(topics: list[str]) -> str:
    others = f" and {len(topics) - 1} more" if topics[1:] else ""
    return f"topic {topics[0]}{others}"


def _user(settings: Settings) -> str:
    return f"user {settings.kafka_sasl_username}" if settings.kafka_sasl_username else "this user"
