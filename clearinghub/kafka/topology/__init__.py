"""topics.yaml, the list of the hub's topics and tables: read, checked, created on the broker, and printed."""

from clearinghub.kafka.topology.declared import (
    COMPACTION_LAG_MS,
    Table,
    Topic,
    Topology,
    TopologyError,
    changelog_name,
    changelog_topic,
    load_topology,
    topic_configs,
)
from clearinghub.kafka.topology.ensure import (
    TopicAccessError,
    TopicCreationError,
    TopologyMismatchError,
    declared_topics,
    ensure_topics,
)

__all__ = [
    "COMPACTION_LAG_MS",
    "Table",
    "Topic",
    "TopicAccessError",
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
