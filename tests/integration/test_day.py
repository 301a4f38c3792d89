"""A day of the demo, small, on a real hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import run_aside
from tests.integration.hub_under_test import running_hub

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1_000)]


async def test_a_small_day(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Twice: the second day finds the windows and settlements of the first."""
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub:
        for settlements in ((1, 2, 3, 4), (5, 6, 7, 8)):
            arguments = ("demo", "--day", "--transfers", "90", "--timeout", "400")
            ended = await run_aside({**hub.environment, "COLUMNS": "160"}, *arguments, within_s=420)
            assert (0, "") == (ended.code, ended.said), ended.out
            assert "Every position, account and sum is what it must be" in ended.out
            for number in settlements:
                assert f"✓ settlement {number} " in ended.out
            assert "ABORTED when reserved, all moved back" in ended.out
            assert "failed, and all waited for it" in ended.out
            assert "✗" not in ended.out
