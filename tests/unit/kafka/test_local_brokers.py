"""Which brokers a hub starts for itself, and what its settings are on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from clearinghub.config import Settings
from clearinghub.kafka.broker import with_local_brokers
from clearinghub.kafka.broker.cluster import LocalCluster
from clearinghub.kafka.broker.find import local_cluster

DATA = Path("data")


@pytest.fixture(autouse=True)
def _no_broker_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP", "CLEARINGHUB_KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)


def test_one_broker_changes_nothing() -> None:
    settings = Settings()

    assert settings is with_local_brokers(settings)


def test_three_brokers_have_three_replicas_and_data_of_their_own() -> None:
    changed = with_local_brokers(Settings(local_brokers=3, data_dir=DATA))

    assert (DATA / "brokers-3", 3) == (changed.data_dir, changed.replication_factor)


def test_a_replication_factor_that_is_set_stays() -> None:
    assert 2 == with_local_brokers(Settings(local_brokers=3, replication_factor=2)).replication_factor


def test_brokers_of_somebody_else_change_nothing() -> None:
    settings = Settings(local_brokers=3, kafka_bootstrap="kafka:9092")

    assert settings is with_local_brokers(settings)


def test_the_cluster_is_found_from_the_hubs_settings_and_from_an_operators() -> None:
    operators = Settings(data_dir=DATA)
    hubs = with_local_brokers(Settings(local_brokers=3, data_dir=DATA))

    assert local_cluster(hubs)._folder == local_cluster(operators)._folder


@pytest.mark.parametrize("number", [0, 2, 4])
def test_other_numbers_are_refused(number: int) -> None:
    with pytest.raises(ValidationError, match="must be 1 or 3"):
        Settings(local_brokers=number)


def test_a_node_that_lost_its_data_joins_the_others(tmp_path: Path) -> None:
    stored = tmp_path / "broker-2" / "topics" / "meta.properties"
    stored.parent.mkdir(parents=True)
    stored.write_text("version=1\ncluster.id=a=b\nnode.id=2\n")

    assert "a=b" == LocalCluster(tmp_path, run_dir=tmp_path)._stored_cluster_id()
