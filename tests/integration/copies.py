"""Runs `clearinghub backup` and `restore` for a hub under test, as an operator does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.integration.hub_under_test import REPOSITORY

WITHIN_S = 300.0


async def command(
    environment: Mapping[str, str], *arguments: str | Path, within_s: float = WITHIN_S
) -> tuple[int, str, str]:
    """Run a command of the hub; return its exit code, stdout and stderr."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "clearinghub", *map(str, arguments)],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
    )
    return done.returncode, done.stdout, done.stderr
