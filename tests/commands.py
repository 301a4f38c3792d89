"""Runs a command of `clearinghub`: in this process, which is quick, or in one of its own, as an operator does."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from clearinghub.config import Settings
from clearinghub.tools.cli import explain, read_command

REPOSITORY: Final = Path(__file__).parents[1]
WITHIN_S: Final = 300.0


class Ended(NamedTuple):
    """What a process has left: its exit code, what it has printed, and what it has said on stderr."""

    code: int
    out: str
    said: str


async def run_command(settings: Settings, *arguments: str) -> int:
    """Run a command in this event loop with those settings in its environment; returns the exit code."""
    with pytest.MonkeyPatch.context() as environment:
        for name in settings.model_fields_set:
            environment.setenv(f"CLEARINGHUB_{name.upper()}", str(getattr(settings, name)))
        try:
            work = read_command(arguments)
            code = await work if inspect.iscoroutine(work) else work
        except Exception as error:  # noqa: BLE001 - what is no user's error is raised again
            return explain(error)
    assert code is None or isinstance(code, int)
    return code or 0


def run_process(environment: Mapping[str, str], *arguments: str | Path, within_s: float = WITHIN_S) -> Ended:
    """Run a command to its end in a process with that environment."""
    done = subprocess.run(
        [sys.executable, "-m", "clearinghub", *map(str, arguments)],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


async def run_aside(environment: Mapping[str, str], *arguments: str | Path, within_s: float = WITHIN_S) -> Ended:
    """Run a command as `run_process`, while the event loop goes on."""
    return await asyncio.to_thread(run_process, environment, *arguments, within_s=within_s)
