"""deploy/k8s/ is what Kubernetes takes, and speaks of settings, roles, ports and paths that there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import AliasChoices

from clearinghub.config import Settings
from clearinghub.roles.start import ROLE_ENTRIES
from clearinghub.tools.cli import TOOLS

FOLDER = Path(__file__).resolve().parents[1] / "deploy/k8s"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ("1.29", "1.33", kubernetes_validate.latest_version())
PROBED_PATHS = {"/health", "/ready", "/metrics"}


def documents(*names: str) -> Iterator[dict[str, Any]]:
    for name in names or FILES:
        yield from yaml.safe_load_all((FOLDER / name).read_text())


def workloads() -> list[dict[str, Any]]:
    return [one for one in documents() if one["kind"] in {"Deployment", "StatefulSet"}]


def containers() -> list[dict[str, Any]]:
    return [container for one in workloads() for container in one["spec"]["template"]["spec"]["containers"]]


def settings_names() -> set[str]:
    names = {"KAFKA_BOOTSTRAP"}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names |= {str(one) for one in alias.choices} if isinstance(alias, AliasChoices) else set()
        names.add(f"CLEARINGHUB_{name.upper()}")
    return names


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FILES)
def test_kubernetes_takes_it(name: str, version: str) -> None:
    for document in documents(name):
        kubernetes_validate.validate(document, version, strict=True)


def test_kustomize_takes_all_of_them() -> None:
    (kustomization,) = documents("kustomization.yaml")

    assert FILES == sorted(kustomization["resources"])


def test_every_setting_is_one_and_has_a_value_that_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    (configured,) = (one["data"] for one in documents("settings.yaml"))
    own = {variable["name"] for container in containers() for variable in container.get("env", [])}

    assert set() == (set(configured) | own) - settings_names()
    for name, value in configured.items():
        monkeypatch.setenv(name, value)
    assert configured["CLEARINGHUB_PARTITIONS"] == str(Settings().partitions)


def test_every_container_plays_a_role_and_is_probed_where_it_listens() -> None:
    for container in containers():
        ports = {port["name"] for port in container["ports"]}
        probes = [container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe") if name in container]

        assert container["args"][0] in {*ROLE_ENTRIES, *(tool.name for tool in TOOLS)}
        assert "livenessProbe" in container
        assert ports >= {probe["port"] for probe in probes}
        assert PROBED_PATHS >= {probe["path"] for probe in probes}


def test_every_service_and_budget_finds_its_pods() -> None:
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in workloads()]
    selectors = [one["spec"]["selector"] for one in documents() if one["kind"] == "Service"]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in documents() if one["kind"] == "PodDisruptionBudget"]

    assert selectors
    for selector in selectors:
        assert any(selector.items() <= label.items() for label in labels), selector


def test_a_new_release_is_rolled_one_pod_at_a_time() -> None:
    for one in (one for one in workloads() if one["spec"]["replicas"] > 1):
        spec = one["spec"]
        assert spec["minReadySeconds"] >= 10, one["metadata"]["name"]
        strategy = spec["strategy"] if one["kind"] == "Deployment" else spec["updateStrategy"]
        assert "RollingUpdate" == strategy["type"]
        if one["kind"] == "Deployment":
            assert {"maxSurge": 1, "maxUnavailable": 0} == strategy["rollingUpdate"]
