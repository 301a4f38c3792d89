"""The machine, versions and settings of a run: no figure means anything without them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from bench.load.generator import ROOT
from bench.load.hub import PARTITIONS_DEFAULT, Hub
from clearinghub.config import Settings
from clearinghub.kafka.broker.jars import KAFKA_DIR, kafka_version

# Settings that say where things are; they do not change how the hub works.
PLACES: Final = frozenset(
    {
        "data_dir",
        "run_dir",
        "kafka_bootstrap",
        "fspiop_port",
        "admin_port",
        "ledger_port",
        "callbacks_port",
    }
)
ANSWER_TIMEOUT_S: Final = 10


def facts_of(hub: Hub, origin: str) -> dict[str, str]:
    """Return the facts by name, for the report; `origin` says where the hub comes from."""
    return {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "hub": origin,
        "processes": ", ".join(f"{role} {len(pids)}" for role, pids in sorted(hub.pids().items())),
        "cores": f"{psutil.cpu_count()} ({_processor()})",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "Python": platform.python_version(),
        "Kafka": _kafka(hub),
        "Java": _first_output(["java", "-version"]),
        "Go": _first_output(["go", "version"]).removeprefix("go version "),
        "kernel": platform.release(),
        "settings that differ": _settings(),
    }


def changed_settings() -> dict[str, object]:
    """Return the settings that differ from their defaults, by name."""
    settings = Settings()
    return {
        name: getattr(settings, name)
        for name, field in Settings.model_fields.items()
        if name not in PLACES and getattr(settings, name) != field.default
    }


def _settings() -> str:
    changed = {"partitions": PARTITIONS_DEFAULT} | changed_settings()
    return ", ".join(f"{name}={value}" for name, value in changed.items())


def _commit() -> str:
    commit = _first_output(["git", "-C", str(ROOT), "log", "-1", "--format=%h %cs"])
    changed = _first_output(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return f"{commit}{' and uncommitted changes' if changed else ''}"


def _processor() -> str:
    try:
        description = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", description, re.MULTILINE)
    return model[1] if model else platform.machine()


def _kafka(hub: Hub) -> str:
    ours = "kafka" in hub.pids()
    return f"{kafka_version(KAFKA_DIR / 'pom.xml')}, one node on this machine" if ours else "KAFKA_BOOTSTRAP's"


def _first_output(command: list[str]) -> str:
    """Return the first line that a program prints; empty if the program is missing or does not answer."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False, env=os.environ
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip().partition("\n")[0]
