"""The root packages are ours, whatever else is installed, and every version is pinned (style 3)."""

from __future__ import annotations

import importlib
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from clearinghub import __version__

ROOT = Path(__file__).resolve().parents[1]
OURS = ("agents", "clearinghub", "sandbox", "tables", "web")


@pytest.fixture
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture
def locked() -> dict[str, str]:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    return dict(normalised(line) for line in lines)


def normalised(pin: str) -> tuple[str, str]:
    """`Some_Name==1.2` as the index compares names; anything that is no plain pin fails here."""
    matched = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.!+]*)", pin)
    assert matched, f"{pin!r} is no plain NAME==VERSION"
    return re.sub(r"[-_.]+", "-", matched[1]).lower(), matched[2]


@pytest.mark.parametrize("package", OURS)
def test_the_package_of_that_name_is_ours(package: str) -> None:
    found = importlib.import_module(package).__file__

    assert found is not None
    assert Path(found).is_relative_to(ROOT / package)


@pytest.mark.parametrize("package", OURS)
def test_no_dependency_brings_a_package_of_our_name(package: str) -> None:
    owners = packages_distributions().get(package, [])

    assert [] == owners, f"{owners} installs a package named `{package}`, which would be found instead of ours"


def test_the_wheel_holds_our_packages_and_no_tests(pyproject: dict[str, Any]) -> None:
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(OURS) == sorted(packages)


def test_it_is_never_uploaded(pyproject: dict[str, Any]) -> None:
    assert "Private :: Do Not Upload" in pyproject["project"]["classifiers"]


def test_the_version_is_written_once(pyproject: dict[str, Any]) -> None:
    assert pyproject["project"]["version"] == __version__


def test_the_lock_holds_every_direct_dependency_at_its_pin(pyproject: dict[str, Any], locked: dict[str, str]) -> None:
    project = pyproject["project"]
    direct = dict(normalised(pin) for pin in project["dependencies"] + project["optional-dependencies"]["dev"])

    assert direct == {name: version for name, version in locked.items() if name in direct}
