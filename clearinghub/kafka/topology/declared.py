"""topics.yaml as frozen values, and the broker's settings of each topic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from clearinghub.engine.record import TOMBSTONES_KEPT_MS

TOPICS_FILE: Final = Path(__file__).resolve().parents[3] / "topics.yaml"
HOUR_MS: Final = 3_600_000
RECORD_BYTES_MAX: Final = 8 * 1024 * 1024  # a body of 5 MiB (protocol 1.1), its header, and a batch's overhead
DAY_MS: Final = 24 * HOUR_MS
UNLIMITED: Final = -1
# Records wait on an input while their partition is away or stopped: for a night at least.
INPUT_RETENTION_MS_MIN: Final = DAY_MS
_EQUAL_CONFIGS: Final = ("cleanup.policy", "message.timestamp.type", "unclean.leader.election.enable")
_LEAST_CONFIGS: Final = ("min.insync.replicas", "delete.retention.ms")
CHECKED_CONFIGS: Final = (*_EQUAL_CONFIGS, *_LEAST_CONFIGS, "retention.ms", "retention.bytes")
# A compacted topic keeps every value this long, so that a backup can read a table as of some seconds ago.
COMPACTION_LAG_MS: Final = 10 * 60_000
CLEANUPS: Final = ("delete", "compact")
TIMESTAMPS: Final = ("append", "create")
PARTITIONS_OF_DEPLOYMENT: Final = "N"


class TopologyError(Exception):
    """topics.yaml is wrong; the sentence names the topic and the field."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `partitions` is None where the file says N, the deployment's number."""

    name: str
    key: str
    partitions: int | None
    cleanup: str
    carries: str
    group: str | None = None
    retention_ms: int | None = None
    timestamp: str = "create"
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    schema: str = "bytes"
    segment_ms: int | None = None

    def partition_count(self, deployment_partitions: int) -> int:
        """Return the topic's number of partitions in a deployment with that number."""
        return deployment_partitions if self.partitions is None else self.partitions

    def is_used_by(self, user: str) -> bool:
        """Return whether a role, or another user of the broker, writes or reads it."""
        return user in self.writers or user in self.readers


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the ledger. Its rows are in a changelog topic with as many partitions as the topics of `group`."""

    name: str
    group: str
    key: str
    holds: str


@dataclass(frozen=True, slots=True)
class Topology:
    """All topics and tables by name, in the order of the file."""

    topics: dict[str, Topic]
    tables: dict[str, Table]

    def group(self, name: str) -> tuple[Topic, ...]:
        """Return the topics of a group: equal keys of theirs are on the same partition."""
        return tuple(topic for topic in self.topics.values() if topic.group == name)


def changelog_name(application_id: str, table: str) -> str:
    """Return the broker's name of a table's changelog, as Faust has it: without the deployment's topic prefix."""
    return f"{application_id}-{table}-changelog"


def changelog_topic(application_id: str, table: Table) -> Topic:
    """Return the changelog topic of a table."""
    return Topic(
        name=changelog_name(application_id, table.name),
        key=table.key,
        partitions=None,
        cleanup="compact",
        carries=table.holds,
        group=table.group,
        writers=("ledger",),
        readers=("ledger",),
        schema="row",
        # Only closed segments are compacted: with an hour, a recovery reads few old versions of rows.
        segment_ms=HOUR_MS,
    )


def topic_configs(topic: Topic, replication_factor: int) -> dict[str, str]:
    """Return the broker's settings of a topic."""
    configs = {
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": str(RECORD_BYTES_MAX),
        # A replica that lacks acknowledged records must never lead: it would make the others forget them.
        "unclean.leader.election.enable": "false",
    }
    if topic.cleanup == "compact":
        # Small segments and early compaction keep recovery short.
        configs |= {
            "segment.ms": str(topic.segment_ms or HOUR_MS),
            "segment.bytes": str(64 * 1024 * 1024),
            "min.cleanable.dirty.ratio": "0.2",
            "min.compaction.lag.ms": str(COMPACTION_LAG_MS),
            "max.compaction.lag.ms": str(DAY_MS),
            "delete.retention.ms": str(TOMBSTONES_KEPT_MS),
        }
    if topic.retention_ms is not None:
        # Retention deletes whole closed segments: a segment of a week would keep replies of ten minutes for a week.
        segment_ms = topic.segment_ms or max(60_000, min(topic.retention_ms // 4, DAY_MS))
        configs |= {"retention.ms": str(topic.retention_ms), "segment.ms": str(segment_ms)}
    configs["message.timestamp.type"] = "LogAppendTime" if topic.timestamp == "append" else "CreateTime"
    if replication_factor > 1:
        # A majority: an acknowledged record survives the loss of any minority of its replicas.
        configs["min.insync.replicas"] = str(replication_factor // 2 + 1)
    return configs


def config_fault(topic: Topic, config: str, value: str, replication_factor: int) -> str | None:
    """Return what a setting of a topic must be, if `value` endangers the data; None if it does not.

    Only settings on which correctness depends are judged. Retention and segments are for the operator to tune, within
    what protects records that nobody has decided.
    """
    expected = topic_configs(topic, replication_factor).get(config)
    if config in _EQUAL_CONFIGS:
        return None if value == expected else expected
    if config in _LEAST_CONFIGS:
        return None if expected is None or int(value) >= int(expected) else expected
    is_input = topic.group is not None and topic.cleanup == "delete"
    if not is_input or int(value) == UNLIMITED:
        return None
    if config == "retention.ms":
        return None if int(value) >= INPUT_RETENTION_MS_MIN else str(INPUT_RETENTION_MS_MIN)
    assert config == "retention.bytes", config
    return str(UNLIMITED)


def load_topology(path: Path = TOPICS_FILE) -> Topology:
    """Read topics.yaml.

    Raises:
        TopologyError: the file is missing, is no YAML, or has a wrong entry.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise TopologyError(f"{path} cannot be read: {error.strerror}.") from error
    return _parse(text, path)


@lru_cache(maxsize=4)
def _parse(text: str, path: Path) -> Topology:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TopologyError(f"{path} is no YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("topics"), dict):
        raise TopologyError(f"{path} has no `topics:`.")
    unknown = sorted(set(document) - {"topics", "tables"})
    if unknown:
        raise TopologyError(f"{path} has an unknown section: {', '.join(map(str, unknown))}.")
    topics = {str(name): _topic(str(name), entry) for name, entry in document["topics"].items()}
    tables = {str(name): _table(str(name), entry) for name, entry in (document.get("tables") or {}).items()}
    topology = Topology(topics, tables)
    _check_groups(topology)
    return topology


def _topic(name: str, entry: Any) -> Topic:
    values = _entry(f"topic {name}", entry, Topic, required=("key", "partitions", "cleanup", "carries"))
    _one_of(name, "cleanup", values["cleanup"], CLEANUPS)
    _one_of(name, "timestamp", values.get("timestamp", "create"), TIMESTAMPS)
    if values["partitions"] == PARTITIONS_OF_DEPLOYMENT:
        values["partitions"] = None
    else:
        _positive(name, "partitions", values["partitions"])
    for field in ("retention_ms", "segment_ms"):
        if field in values:
            _positive(name, field, values[field])
    if (values["cleanup"] == "delete") != ("retention_ms" in values):
        raise TopologyError(f"topic {name}: retention_ms goes with cleanup `delete`, and only with it.")
    for field in ("writers", "readers"):
        values[field] = tuple(_list(name, field, values.get(field, [])))
    return Topic(name=name, **values)


def _table(name: str, entry: Any) -> Table:
    return Table(name=name, **_entry(f"table {name}", entry, Table, required=("group", "key", "holds")))


def _entry(what: str, entry: Any, shape: type[Topic | Table], required: Iterable[str]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise TopologyError(f"{what} is no mapping.")
    missing = [field for field in required if field not in entry]
    if missing:
        raise TopologyError(f"{what} lacks {', '.join(missing)}.")
    unknown = sorted({str(field) for field in entry} - ({field.name for field in fields(shape)} - {"name"}))
    if unknown:
        raise TopologyError(f"{what} has an unknown field: {', '.join(unknown)}.")
    return dict(entry)


def _check_groups(topology: Topology) -> None:
    groups = {topic.group for topic in topology.topics.values()}
    for topic in topology.topics.values():
        if topic.group is not None and topic.partitions is not None:
            raise TopologyError(f"topic {topic.name}: a topic of a co-partition group has `partitions: N`.")
    for table in topology.tables.values():
        if table.group not in groups:
            raise TopologyError(f"table {table.name}: no topic is in its group {table.group}.")


def _one_of(name: str, field: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise TopologyError(f"topic {name}: {field} is {value!r}, and must be one of {', '.join(allowed)}.")


def _positive(name: str, field: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TopologyError(f"topic {name}: {field} is {value!r}, and must be a whole number above 0.")


def _list(name: str, field: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TopologyError(f"topic {name}: {field} is {value!r}, and must be a list.")
    return [str(item) for item in value]
