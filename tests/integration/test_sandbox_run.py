"""The sandbox and the demo as a whole, against the fake hub."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from clearinghub import demo
from clearinghub.config import Settings
from clearinghub.sandbox import main as sandbox
from tests.integration.fake_hub import Defect, FakeHub

ANY_PORTS = ["--payer-port", "0", "--payee-port", "0"]


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    hub = FakeHub()
    await hub.start()
    yield hub
    await hub.stop()


def settings_of(hub: FakeHub) -> Settings:
    return Settings(fspiop_port=hub.fspiop_port, admin_port=hub.admin_port)


async def test_first_transfer_is_shown(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    code = await sandbox.run(settings_of(hub), ["--once", *ANY_PORTS])

    shown = capsys.readouterr().out
    assert code == 0
    for text in ("POST /transfers 10 USD", "202 Accepted", "PUT /transfers/… COMMITTED", "+10", "-10", "9,990"):
        assert text in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


async def test_second_start_creates_nothing_but_endpoints(hub: FakeHub) -> None:
    await sandbox.run(settings_of(hub), ["--once", *ANY_PORTS])
    hub.admin_writes.clear()

    code = await sandbox.run(settings_of(hub), ["--once", *ANY_PORTS])

    assert code == 0
    assert {"endpoints payerbank", "endpoints payeewallet"} == set(hub.admin_writes)
    assert hub.dfsps["payerbank"].accounts["USD", "POSITION"] == 200_000


async def test_it_stays_until_told_to_stop(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    task = asyncio.create_task(sandbox.run(settings_of(hub), ["--no-transfer", *ANY_PORTS]))
    shown = ""
    while "Ctrl-C" not in shown:
        assert not task.done()
        await asyncio.sleep(0.05)
        shown += capsys.readouterr().out

    os.kill(os.getpid(), signal.SIGTERM)

    assert await task == 0
    assert "curl " in shown
    assert hub.transfers == {}


async def test_without_a_hub_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code = await sandbox.run(Settings(fspiop_port=9, admin_port=9), ["--wait", "1"])

    assert code == 3
    assert "http://127.0.0.1:9/health: nobody listens yet" in capsys.readouterr().out


async def test_taken_port_is_named(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    code = await sandbox.run(settings_of(hub), ["--once", "--payer-port", str(hub.fspiop_port)])

    assert code == 1
    assert f"payerbank cannot listen on 127.0.0.1:{hub.fspiop_port}" in capsys.readouterr().out.replace("\n", " ")


async def test_demo_finds_a_right_hub_right(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    code = await demo.run(settings_of(hub), ["--transfers", "60", "--seed", "7"])

    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "✗" not in shown
    assert len(hub.transfers) == 60


@pytest.mark.parametrize(
    ("defect", "told"),
    [
        (Defect.CREDITS_TOO_LITTLE, "POSITION: differs"),
        (Defect.IGNORES_CAP, "payer missed ERROR 4200 from hub"),
        (Defect.REWRITES_BODY, "the POST was not forwarded byte by byte"),
    ],
)
async def test_demo_finds_a_wrong_hub_wrong(
    defect: Defect, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clearinghub.demo.stage.WAIT_S", 3.0)
    monkeypatch.setattr("clearinghub.demo.main.AUDIT_TIMEOUT_S", 2.0)
    hub = FakeHub(defect)
    await hub.start()
    try:
        code = await demo.run(settings_of(hub), ["--transfers", "30", "--seed", "7"])
    finally:
        await hub.stop()

    assert code == 1
    assert told in capsys.readouterr().out.replace("\n", " ")
