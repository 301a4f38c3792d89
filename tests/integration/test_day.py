"""A day of the demo, small, on a real hub."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.hub_under_test import REPOSITORY, running_hub

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1_000)]


async def test_a_small_day(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Twice: the second day finds the windows and settlements of the first."""
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub:
        for settlements in ((1, 2, 3, 4), (5, 6, 7, 8)):
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "clearinghub", "demo", "--day", "--transfers", "90", "--timeout", "400"],
                cwd=REPOSITORY,
                env={**hub.environment, "COLUMNS": "160"},
                capture_output=True,
                text=True,
                check=False,
                timeout=420,
            )
            assert (0, "") == (done.returncode, done.stderr), done.stdout
            assert "Every position, account and sum is what it must be" in done.stdout
            for number in settlements:
                assert f"✓ settlement {number} " in done.stdout
            assert "ABORTED when reserved, all moved back" in done.stdout
            assert "failed, and all waited for it" in done.stdout
            assert "✗" not in done.stdout
