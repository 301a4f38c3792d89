"""topics.yaml: what the file may say, and which settings its topics get on a broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clearinghub.config import Settings
from clearinghub.kafka.topology import (
    Topic,
    TopologyError,
    changelog_name,
    changelog_topic,
    declared_topics,
    load_topology,
    topic_configs,
)
from clearinghub.kafka.topology.declared import config_fault
from clearinghub.kafka.topology.render import markdown

GOOD_TOPIC: dict[str, Any] = {
    "key": "payer",
    "partitions": "N",
    "group": "participants",
    "cleanup": "delete",
    "retention_ms": 60_000,
    "timestamp": "append",
    "writers": ["ingress"],
    "readers": ["ledger"],
    "carries": "orders",
}
GOOD_TABLE = {"group": "participants", "key": "id", "holds": "rows"}


def write(folder: Path, document: object) -> Path:
    path = folder / "topics.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def with_topic(**changes: object) -> dict[str, Any]:
    entry = {**GOOD_TOPIC, **changes}
    return {"topics": {"orders": {field: value for field, value in entry.items() if value is not None}}}


def test_the_projects_map_is_sound() -> None:
    topology = load_topology()

    assert {"prepare", "fulfil", "timeout", "credit", "command", "lookup"} <= {
        topic.name for topic in topology.group("participants")
    }
    assert {"participants"} == {table.group for table in topology.tables.values()}


def test_everything_that_decides_by_time_gets_the_brokers_clock() -> None:
    assert {"append"} == {topic.timestamp for topic in load_topology().group("participants")}


def test_reads_every_field(tmp_path: Path) -> None:
    topology = load_topology(write(tmp_path, {**with_topic(), "tables": {"rows": GOOD_TABLE}}))

    assert (
        Topic(
            name="orders",
            key="payer",
            partitions=None,
            cleanup="delete",
            carries="orders",
            group="participants",
            retention_ms=60_000,
            timestamp="append",
            writers=("ingress",),
            readers=("ledger",),
        )
        == topology.topics["orders"]
    )
    assert "id" == topology.tables["rows"].key


def test_n_is_the_deployments_number() -> None:
    topology = load_topology()

    assert (12, 1) == (topology.topics["prepare"].partition_count(12), topology.topics["load"].partition_count(12))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (["prepare"], "has no `topics:`"),
        ({"topics": {}, "queues": {}}, "unknown section: queues"),
        ({"topics": {"orders": "all"}}, "topic orders is no mapping"),
        (with_topic(key=None), "topic orders lacks key"),
        (with_topic(color="red"), "topic orders has an unknown field: color"),
        (with_topic(name="other"), "topic orders has an unknown field: name"),
        (with_topic(cleanup="burn"), "topic orders: cleanup is 'burn'"),
        (with_topic(timestamp="now"), "topic orders: timestamp is 'now'"),
        (with_topic(partitions=0, group=None), "topic orders: partitions is 0"),
        (with_topic(partitions=True, group=None), "topic orders: partitions is True"),
        (with_topic(partitions=3), "topic orders: a topic of a co-partition group has `partitions: N`"),
        (with_topic(retention_ms="1 week"), "topic orders: retention_ms is '1 week'"),
        (with_topic(retention_ms=None), "topic orders: retention_ms goes with cleanup `delete`"),
        (with_topic(cleanup="compact"), "topic orders: retention_ms goes with cleanup `delete`"),
        (with_topic(writers="ingress"), "topic orders: writers is 'ingress', and must be a list"),
        ({**with_topic(), "tables": {"rows": {"key": "id"}}}, "table rows lacks group, holds"),
        ({**with_topic(), "tables": {"rows": {**GOOD_TABLE, "group": "x"}}}, "table rows: no topic is in its group x"),
    ],
)
def test_refuses_a_wrong_map_with_a_sentence(tmp_path: Path, document: object, sentence: str) -> None:
    with pytest.raises(TopologyError) as refused:
        load_topology(write(tmp_path, document))

    assert sentence in str(refused.value)


def test_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"none\.yaml cannot be read: No such file"):
        load_topology(tmp_path / "none.yaml")


def test_says_that_a_file_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text("topics: {")

    with pytest.raises(TopologyError, match="is no YAML"):
        load_topology(path)


def test_names_on_the_broker_have_the_deployments_prefix_and_application() -> None:
    settings = Settings(topic_prefix="blue-", application_id="blue-hub")

    names = declared_topics(settings, load_topology())

    assert {"blue-prepare", "blue-reply", "blue-hub-transfers-changelog"} <= names.keys()
    assert "prepare" not in names


def test_a_changelog_is_compacted_and_co_partitioned() -> None:
    topology = load_topology()

    changelog = changelog_topic("hub", topology.tables["positions"])

    assert (changelog_name("hub", "positions"), "compact", None, "participants") == (
        changelog.name,
        changelog.cleanup,
        changelog.partitions,
        changelog.group,
    )


def test_short_retention_gets_short_segments() -> None:
    reply = load_topology().topics["reply"]

    assert {"retention.ms": "600000", "segment.ms": "150000"}.items() <= topic_configs(reply, 1).items()


@pytest.mark.parametrize(("replicas", "majority"), [(1, None), (2, "2"), (3, "2"), (5, "3")])
def test_an_acknowledged_record_is_on_a_majority_of_its_replicas(replicas: int, majority: str | None) -> None:
    prepare = load_topology().topics["prepare"]

    assert majority == topic_configs(prepare, replicas).get("min.insync.replicas")


@pytest.mark.parametrize(
    ("topic", "config", "value", "needed"),
    [
        ("prepare", "unclean.leader.election.enable", "true", "false"),
        ("prepare", "message.timestamp.type", "CreateTime", "LogAppendTime"),
        ("participants", "cleanup.policy", "delete", "compact"),
        ("prepare", "min.insync.replicas", "1", "2"),
        ("prepare", "min.insync.replicas", "3", None),
        ("participants", "delete.retention.ms", "60000", "86400000"),
        ("participants", "delete.retention.ms", "604800000", None),
        ("prepare", "delete.retention.ms", "60000", None),
        ("prepare", "retention.ms", "3600000", "86400000"),
        ("prepare", "retention.ms", "172800000", None),
        ("prepare", "retention.ms", "-1", None),
        ("prepare", "retention.bytes", "1000000000", "-1"),
        ("reply", "retention.ms", "60000", None),
        ("notification", "retention.bytes", "1000000000", None),
    ],
)
def test_a_setting_that_endangers_the_data_is_refused(topic: str, config: str, value: str, needed: str | None) -> None:
    """The hub is set to three replicas of each topic."""
    assert needed == config_fault(load_topology().topics[topic], config, value, 3)


def test_the_maps_table_has_a_row_for_each_topic_and_table() -> None:
    topology = load_topology()

    lines = markdown(topology).splitlines()

    assert len(topology.topics) + len(topology.tables) == sum(line.startswith("| `") for line in lines)
    assert any(
        line.startswith("| `prepare` | payer | N | participants | 7 d | broker | ingress, repairs |") for line in lines
    )


def test_architecture_shows_the_topics_as_they_are() -> None:
    architecture = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text()

    assert architecture.endswith(markdown(load_topology()))
