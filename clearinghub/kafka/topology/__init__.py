"""topics.yaml: the one map of the hub's topics, read, checked, made true on the broker, and shown."""

from clearinghub.kafka.topology.declared import (
    Table,
    Topic,
    Topology,
    TopologyError,
    changelog_name,
    changelog_topic,
    load_topology,
    topic_configs,
)
from clearinghub.kafka.topology.ensure import TopicCreationError, TopologyMismatchError, declared_topics, ensure_topics

__all__ = [
    "Table",
    "Topic",
    "TopicCreationError",
    "Topology",
    "TopologyError",
    "TopologyMismatchError",
    "changelog_name",
    "changelog_topic",
    "declared_topics",
    "ensure_topics",
    "load_topology",
    "topic_configs",
]
