"""How Kafka's jars get into the cache, with a fake Maven."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clearinghub.kafka.broker import BrokerUnavailableError
from clearinghub.kafka.broker.jars import KAFKA_DIR, cache_dir, kafka_version, resolve_jars
from clearinghub.kafka.broker.probe import addresses

POM = KAFKA_DIR / "pom.xml"


def fake_maven(folder: Path, script: str) -> None:
    """Write a `mvn` that runs `script`; $out is the folder for the jars."""
    folder.mkdir()
    maven = folder / "mvn"
    maven.write_text(
        f'#!/bin/sh\nfor word; do case "$word" in -DoutputDirectory=*) out=${{word#*=}};; esac; done\n{script}\n'
    )
    maven.chmod(0o755)


def test_the_cache_is_named_for_the_version_and_the_pom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    cache = cache_dir(POM)

    assert tmp_path / "clearinghub" == cache.parent
    assert re.fullmatch(rf"kafka-{re.escape(kafka_version(POM))}-[0-9a-f]{{8}}", cache.name)


def test_jars_in_the_cache_need_no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    (tmp_path / "jars").mkdir()

    assert tmp_path / "jars" == resolve_jars(POM, tmp_path / "jars")


def test_a_missing_maven_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(BrokerUnavailableError, match=r"Maven \(mvn\)"):
        resolve_jars(POM, tmp_path / "jars")


def test_maven_fills_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_maven(tmp_path / "bin", ": > $out/kafka.jar")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    jars = resolve_jars(POM, tmp_path / "cache" / "jars")

    assert ["kafka.jar"] == [jar.name for jar in jars.iterdir()]
    assert ["jars"] == [folder.name for folder in (tmp_path / "cache").iterdir()]


def test_a_failed_maven_leaves_no_half_filled_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_maven(tmp_path / "bin", ": > $out/kafka.jar; echo no route to the repository >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    with pytest.raises(BrokerUnavailableError, match="no route to the repository"):
        resolve_jars(POM, tmp_path / "cache" / "jars")

    assert [] == list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("bootstrap", "expected"),
    [
        ("127.0.0.1:9092", [("127.0.0.1", 9092)]),
        ("a:1, b:2,", [("a", 1), ("b", 2)]),
        ("broker", [("broker", 9092)]),
        ("[::1]:9092", [("::1", 9092)]),
    ],
)
def test_a_list_of_brokers_is_read(bootstrap: str, expected: list[tuple[str, int]]) -> None:
    assert expected == addresses(bootstrap)
