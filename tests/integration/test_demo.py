"""`make demo` on a real hub: whole payments of every kind, mixed transfers, and the audit of the books."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from clearinghub.config import Settings
from sandbox.demo.payments.deals import PaymentKind
from tests.commands import run_command
from tests.integration.hub_under_test import REPOSITORY, HubUnderTest, running_hub

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]
AUDIT_TIMEOUT_S = 60


def books_of(hub: HubUnderTest) -> subprocess.CompletedProcess[str]:
    """Run `clearinghub audit`, which reads the topics alone."""
    command = [sys.executable, "-m", "clearinghub", "audit"]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=hub.environment,
        timeout=AUDIT_TIMEOUT_S,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("on_us", [False, True])
async def test_the_demo_finds_the_hub_right(
    on_us: bool, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path, on_us_transfers=on_us) as hub:
        settings = Settings(fspiop_port=hub.ports["fspiop"], admin_port=hub.ports["admin"], on_us_transfers=on_us)
        code = await run_command(settings, "demo", "--transfers", "40", "--payments", "2", "--timeout", "400")
        audit = await asyncio.to_thread(books_of, hub)

    shown = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{shown}")
    assert 0 == code, shown
    assert "✗" not in shown
    assert [] == [kind.value for kind in PaymentKind if kind.value not in shown]
    assert (not on_us) == ("refused" in shown)
    assert 0 == audit.returncode, audit.stdout + audit.stderr
