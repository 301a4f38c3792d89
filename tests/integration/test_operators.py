"""The operators' commands, as processes, on a real hub."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hub_under_test import REPOSITORY, HubUnderTest, running_hub

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]
EXAMPLE = REPOSITORY / "deploy/scheme.example.yaml"
TRANSFER_ID = "5f2c5a2e-3c0b-4b5e-9a71-3e4d2c1b0a99"
COMMAND_WITHIN_S = 60


async def clearinghub(hub: HubUnderTest, folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run `bin/clearinghub` from a folder outside the project; return exit code, stdout and stderr."""
    done = await asyncio.to_thread(
        subprocess.run,
        [str(REPOSITORY / "bin/clearinghub"), *arguments],
        cwd=folder,
        env=hub.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_WITHIN_S,
    )
    return done.returncode, done.stdout, done.stderr


async def document(hub: HubUnderTest, folder: Path, *arguments: str) -> Any:
    code, out, err = await clearinghub(hub, folder, *arguments, "--json")
    assert (0, "") == (code, err)
    return json.loads(out)


async def test_a_scheme_is_applied_and_then_changed_by_commands(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "web").mkdir(parents=True)
    (elsewhere / "web/__init__.py").write_text("raise AssertionError('the project has its own')\n")
    (elsewhere / "scheme.yaml").write_text(EXAMPLE.read_text())
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path / "hub") as hub:
        planned = await document(hub, elsewhere, "apply", "scheme.yaml", "--dry-run")
        applied = await document(hub, elsewhere, "apply", "scheme.yaml")
        again = await clearinghub(hub, elsewhere, "apply", "scheme.yaml")

        assert [step | {"outcome": "done"} for step in planned["steps"]] == applied["steps"]
        assert (0, "nothing to do: the hub is as scheme.yaml says\n", "") == again

        reserve = ("funds", "out", "reserve", "alphabank", "USD", "500.25", "--transfer-id", TRANSFER_ID)
        assert "RESERVED" == (await document(hub, elsewhere, "admin", *reserve))["state"]
        commit = ("funds", "out", "commit", "alphabank", "USD", TRANSFER_ID)
        assert "49500.25" == (await document(hub, elsewhere, "admin", *commit))["funds"]
        partitions = await document(hub, elsewhere, "admin", "partitions", "list")
        assert list(range(len(partitions))) == [one["partition"] for one in partitions]
        assert {("working", ())} == {(one["state"], tuple(one["stops"])) for one in partitions}
        assert all(one["worker"] and one["since"] for one in partitions)
        positions = await document(hub, elsewhere, "admin", "positions", "list")
        assert [("alphabank", "USD", "10000", "49500.25", "10000"), ("alphabank", "KES", "1000000", "0", "0")] == [
            tuple(one[key] for key in ("participant", "currency", "netDebitCap", "funds", "room"))
            for one in positions
            if one["participant"] == "alphabank"
        ]

        # Funds that were paid out are missing, and are paid in once.
        topped_up = await document(hub, elsewhere, "apply", "scheme.yaml")
        assert [("funds", "49,500.25", "50,000.5", "done")] == [
            tuple(step[key] for key in ("kind", "before", "after", "outcome")) for step in topped_up["steps"]
        ]
        assert 0 == (await clearinghub(hub, elsewhere, "apply", "scheme.yaml", "--dry-run"))[0]

        code, out, err = await clearinghub(hub, elsewhere, "admin", "participants", "show", "nobody")
        assert (1, "") == (code, out)
        assert err.startswith("clearinghub: refused by the hub: 3200 ")

    code, out, err = await clearinghub(hub, elsewhere, "admin", "participants", "list")
    assert (3, "") == (code, out)
    assert "Connection refused" in err
