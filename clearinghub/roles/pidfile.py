"""Process ids in files: who runs, and whether it still is who it was (ids are used again)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def write_pid(path: Path, pid: int) -> None:
    """Say that this process runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{pid}\n")


def running_pid(path: Path, command_part: str) -> int | None:
    """The id in the file if that process is alive and its command line holds `command_part`; else None."""
    try:
        pid = int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    listed = subprocess.run(  # noqa: S603 - a fixed command
        ["ps", "-o", "stat=,args=", "-p", str(pid)],  # noqa: S607 - where `ps` is differs between systems
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "100000"},
    )
    state, _, command = listed.stdout.strip().partition(" ")
    return pid if command_part in command and not state.startswith("Z") else None
