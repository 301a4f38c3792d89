"""`make demo` on a real hub: whole payments of every kind, mixed transfers, and the audit of the books."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghub.config import Settings
from sandbox.demo.payments.deals import PaymentKind
from tests.commands import run_aside, run_command
from tests.integration.hub_under_test import running_hub

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]
AUDIT_TIMEOUT_S = 60


@pytest.mark.parametrize("on_us", [False, True])
async def test_the_demo_finds_the_hub_right(
    on_us: bool, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path, on_us_transfers=on_us) as hub:
        settings = Settings(fspiop_port=hub.ports["fspiop"], admin_port=hub.ports["admin"], on_us_transfers=on_us)
        code = await run_command(settings, "demo", "--transfers", "40", "--payments", "2", "--timeout", "400")
        audit = await run_aside(hub.environment, "audit", within_s=AUDIT_TIMEOUT_S)

    shown = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{shown}")
    assert 0 == code, shown
    assert "✗" not in shown
    assert [] == [kind.value for kind in PaymentKind if kind.value not in shown]
    assert (not on_us) == ("refused" in shown)
    assert 0 == audit.code, audit.out + audit.said
