"""docs/dfsp.md, command by command, against a running hub with the sandbox: what a new DFSP's engineer types."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clearinghub.domain.money import parse_amount
from clearinghub.security.key_files import JoseKey, read_public_keys
from clearinghub.security.signature import Verifier
from clearinghub.tools.client.admin import AdminClient
from tests import guide
from tests.integration.hub_under_test import REPOSITORY, HubUnderTest, free_port, running_hub

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]
SANDBOX_WITHIN_S = 60.0
COMMANDS_WITHIN_S = 120.0


class KeyOf:
    """The public key of one participant, from a PEM file."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._keys = [key.key for key in read_public_keys(path)]

    def of(self, name: str) -> Sequence[JoseKey]:
        return self._keys if name == self._name else []


@asynccontextmanager
async def sandbox_of(hub: HubUnderTest, folder: Path) -> AsyncIterator[None]:
    """The two simulated DFSPs that `make run` starts beside the hub."""
    log = folder / "sandbox.log"
    ports = ["--payer-port", str(free_port()), "--payee-port", str(free_port())]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "clearinghub", "sandbox", "--no-transfer", *ports),
            cwd=REPOSITORY,
            env=hub.environment | {"PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        async with asyncio.timeout(SANDBOX_WITHIN_S):
            while "Ctrl-C stops" not in log.read_text():
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        await process.wait()


def script() -> str:
    """The second terminal's commands in their order, with the third's started in the background between them."""
    first, *others = guide.blocks()
    assert ("first", "make run\n") == (first.terminal, first.commands)
    lines = ["set -euo pipefail"]
    for block in others:
        if block.terminal == "third":
            command = block.commands.strip()
            assert "\n" not in command
            lines += [
                f'{command} > "$INBOX/listen.log" 2>&1 &',
                'listener=$!; trap "kill $listener" EXIT',
                'until grep -q "listens on" "$INBOX/listen.log"; do sleep 0.1; done',
            ]
        else:
            lines.append(block.commands)
    return "\n".join(lines)


async def test_the_guide_works_as_it_is_written(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path / "hub") as hub, sandbox_of(hub, tmp_path):
        own = {"HUB": hub.urls.fspiop, "PORT": str(free_port()), "INBOX": str(inbox)}
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            script(),
            cwd=REPOSITORY,
            env={**os.environ, **hub.environment, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = (await asyncio.wait_for(process.communicate(), COMMANDS_WITHIN_S))[0].decode()

        assert 0 == process.returncode, output
        assert "paid: COMMITTED" in output
        assert '"transferState": "RESERVED"' in output
        assert '{"errorInformation": {"errorCode": "3106", "errorDescription": "Modified request"}}' in output
        assert '"5105: Payee FSP rejected transaction"' in output, "the GET tells why it was aborted"
        assert "credited 447700900789 with 7.5 USD" in (inbox / "listen.log").read_text()
        async with AdminClient(hub.urls.admin) as admin:
            account = await admin.account("mybank", "USD", "POSITION")
        assert account is not None
        assert parse_amount("14.75") == account.value_units, "paid 10 and 12.25, received 7.5"

    verifier = Verifier(KeyOf("mybank", inbox / "mybank.pem"))
    headers = {
        "fspiop-source": "mybank",
        "fspiop-destination": "payeewallet",
        "fspiop-uri": "/quotes",
        "fspiop-http-method": "POST",
        "fspiop-signature": (inbox / "signature.txt").read_text(),
    }
    assert verifier.fault("POST", "/quotes", headers, (inbox / "quote.json").read_bytes()) is None
