"""Apache Kafka's jars for the local broker: fetched once by Maven, as deploy/kafka/pom.xml says, into a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import parse

from clearinghub.kafka.broker.probe import BrokerUnavailableError

KAFKA_DIR: Final = Path(__file__).resolve().parents[3] / "deploy" / "kafka"
# The first run fetches about 54 MB; a connection that needs longer than this is broken rather than slow.
RESOLVE_TIMEOUT_S: Final = 600
OUTPUT_LINES_SHOWN_MAX: Final = 15
_MAVEN_NAMESPACE: Final = "{http://maven.apache.org/POM/4.0.0}"


def kafka_version(pom: Path) -> str:
    """Return the version of Kafka that the pom pins."""
    # The pom is our own file, not outside input.
    version = parse(pom).findtext(f".//{_MAVEN_NAMESPACE}kafka.version")  # noqa: S314
    assert version, f"{pom} names no kafka.version"
    return version


def cache_dir(pom: Path) -> Path:
    """Return the cache folder of a pom's jars. Each pom has its own, so that versions are never mixed."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]
    return home / "clearinghub" / f"kafka-{kafka_version(pom)}-{digest}"


def resolve_jars(pom: Path = KAFKA_DIR / "pom.xml", cache: Path | None = None) -> Path:
    """Return the folder with all jars; Maven fetches them if it is not there yet.

    Processes that do so at the same time each fetch into a folder of their own; the first that is done renames it.

    Raises:
        BrokerUnavailableError: Maven is missing or could not resolve the jars.
    """
    target = cache or cache_dir(pom)
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailableError(
            "Kafka's jars are not in the cache, and Maven (mvn), which fetches them, is missing."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _run_maven(maven, pom, fresh)
        try:
            fresh.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        return target
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _run_maven(maven: str, pom: Path, output: Path) -> None:
    command = [
        maven,
        "--quiet",
        "--batch-mode",
        "--file",
        str(pom),
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={output}",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command on our own pom
            command, capture_output=True, text=True, timeout=RESOLVE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerUnavailableError(f"Maven did not fetch Kafka's jars within {RESOLVE_TIMEOUT_S} s.") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-OUTPUT_LINES_SHOWN_MAX:])
        raise BrokerUnavailableError(f"Maven could not fetch Kafka's jars:\n{tail}")
