"""On what a run was measured: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from bench.load.generator import ROOT
from bench.load.hub import PARTITIONS_DEFAULT, Hub
from clearinghub.config import Settings
from clearinghub.kafka.broker.jars import KAFKA_DIR, kafka_version

# Where things are, not how they work.
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
ASK_TIMEOUT_S: Final = 10


def facts_of(hub: Hub, what: str) -> dict[str, str]:
    """Machine, versions, commit and settings; `what` says whose hub it is."""
    return {
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "hub": what,
        "processes": ", ".join(f"{role} {len(pids)}" for role, pids in sorted(hub.pids().items())),
        "cores": f"{psutil.cpu_count()} ({_processor()})",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "Python": platform.python_version(),
        "Kafka": _kafka(hub),
        "Java": _first_line(["java", "-version"]),
        "Go": _first_line(["go", "version"]).removeprefix("go version "),
        "kernel": platform.release(),
        "settings that differ": _settings(),
    }


def changed_settings() -> dict[str, object]:
    """Those that the environment sets to something else than their default."""
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
    commit = _first_line(["git", "-C", str(ROOT), "log", "-1", "--format=%h %cs"])
    changed = _first_line(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return f"{commit}{' and uncommitted changes' if changed else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _kafka(hub: Hub) -> str:
    ours = "kafka" in hub.pids()
    return f"{kafka_version(KAFKA_DIR / 'pom.xml')}, one node on this machine" if ours else "KAFKA_BOOTSTRAP's"


def _first_line(command: list[str]) -> str:
    """The first line that a program says, or nothing where there is none."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False, env=os.environ
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip().partition("\n")[0]
