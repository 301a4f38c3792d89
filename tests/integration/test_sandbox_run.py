"""The sandbox and the demo against the fake hub."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from clearinghub.config import Settings
from tests.commands import run_command
from tests.integration.fake_hub import Defect, FakeHub
from tests.integration.fake_hub_admin import Fault

ANY_PORTS = ["--payer-port", "0", "--payee-port", "0"]


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    hub = FakeHub()
    await hub.start()
    yield hub
    await hub.stop()


def settings_of(hub: FakeHub, *, on_us: bool = False) -> Settings:
    return Settings(fspiop_port=hub.fspiop_port, admin_port=hub.admin_port, on_us_transfers=on_us)


def endpoints_of(hub: FakeHub) -> int:
    return sum(len(one.endpoints) for one in hub.dfsps.values())


async def test_parties_are_registered(hub: FakeHub) -> None:
    await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)

    assert {"MSISDN/447700900456": "payerbank", "MSISDN/447700900123": "payeewallet"} == hub.relay.parties


async def test_a_hub_that_knows_no_parties_still_moves_money(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.relay.refuses_parties = True

    assert 0 == await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)
    shown = capsys.readouterr().out.replace("\n", " ")
    assert "was not registered" in shown
    assert "The transfer goes without a quote" in shown


async def test_first_transfer_is_shown(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    code = await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)

    shown = capsys.readouterr().out
    assert code == 0
    for text in (
        "GET /parties/…",
        "POST /quotes",
        "PUT /quotes/…",
        "POST /transfers 10 USD",
        "202 Accepted",
        "PUT /transfers/… COMMITTED",
        "+10",
        "-10",
        "9,990",
    ):
        assert text in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


async def test_second_start_creates_nothing_but_endpoints(hub: FakeHub) -> None:
    await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)
    hub.admin.writes.clear()

    code = await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)

    assert code == 0
    assert len(hub.admin.writes) == endpoints_of(hub)
    assert all(write.startswith("endpoints ") for write in hub.admin.writes)
    assert hub.dfsps["payerbank"].accounts["USD", "POSITION"] == 200_000


async def test_a_ledger_that_is_not_ready_is_tried_again(hub: FakeHub) -> None:
    hub.admin.faults = [Fault.UNAVAILABLE, Fault.ANSWER_LOST, Fault.UNAVAILABLE, Fault.ANSWER_LOST, Fault.ANSWER_LOST]

    code = await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)

    assert code == 0
    assert len(hub.admin.writes) == len(set(hub.admin.writes)) == 9 + endpoints_of(hub)
    assert hub.dfsps["payerbank"].accounts["USD", "SETTLEMENT"] == -1_000_000_000


async def test_a_refused_step_is_named(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.admin.refuses_participants = True

    code = await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)

    assert code == 1
    shown = capsys.readouterr().out.replace("\n", " ")
    assert "participant payerbank with USD: POST" in shown
    assert "6000" in shown


async def test_a_refused_transfer_is_reported(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    await run_command(settings_of(hub), "sandbox", "--once", "--no-transfer", *ANY_PORTS)
    hub.dfsps["payerbank"].caps["USD"] = 0

    code = await run_command(settings_of(hub), "sandbox", "--once", *ANY_PORTS)

    assert code == 1
    shown = capsys.readouterr().out
    assert "PUT /transfers/…/error 4200" in shown
    assert "The transfer was not committed" in shown


async def test_an_unhealthy_service_is_named(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.down = ["broker"]

    code = await run_command(settings_of(hub), "sandbox", "--wait", "1")

    assert code == 3
    assert "/health: broker not up" in capsys.readouterr().out


async def test_it_runs_until_it_is_stopped(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    task = asyncio.create_task(run_command(settings_of(hub), "sandbox", "--no-transfer", *ANY_PORTS))
    shown = ""
    while "Ctrl-C" not in shown:
        assert not task.done()
        await asyncio.sleep(0.05)
        shown += capsys.readouterr().out

    os.kill(os.getpid(), signal.SIGTERM)

    assert await task == 0
    assert "curl " in shown
    assert hub.transfers == {}


async def test_a_missing_hub_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    code = await run_command(Settings(fspiop_port=9, admin_port=9), "sandbox", "--wait", "1")

    assert code == 3
    assert "http://127.0.0.1:9/health: nobody listens yet" in capsys.readouterr().out


async def test_a_port_in_use_is_named(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    code = await run_command(settings_of(hub), "sandbox", "--once", "--payer-port", str(hub.fspiop_port))

    assert code == 1
    assert f"payerbank cannot listen on 127.0.0.1:{hub.fspiop_port}" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.slow
@pytest.mark.parametrize("on_us", [False, True])
async def test_the_demo_passes_on_a_correct_hub(on_us: bool, capsys: pytest.CaptureFixture[str]) -> None:
    hub = FakeHub(on_us=on_us)
    await hub.start()
    try:
        settings = settings_of(hub, on_us=on_us)
        code = await run_command(settings, "demo", "--transfers", "60", "--payments", "2", "--seed", "7")
    finally:
        await hub.stop()

    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "✗" not in shown
    assert "A P2P payment takes" in shown
    assert len(hub.transfers) == 60 + 8 + 5 * 2 + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defect", "reported"),
    [
        (Defect.CREDITS_TOO_LITTLE, "POSITION: expected "),
        (Defect.IGNORES_CAP, "payer missed ERROR 4200 from hub"),
        (Defect.REWRITES_BODY, "the POST was not forwarded byte by byte"),
        (Defect.FORGETS_CONFIRMATION, "payee missed PUT COMMITTED from hub"),
    ],
)
async def test_the_demo_fails_on_a_wrong_hub(defect: Defect, reported: str, capsys: pytest.CaptureFixture[str]) -> None:
    hub = FakeHub(defect)
    await hub.start()
    try:
        counts = ["--transfers", "30", "--payments", "0"]
        code = await run_command(settings_of(hub), "demo", *counts, "--seed", "7", "--timeout", "8")
    finally:
        await hub.stop()

    assert code == 1
    assert reported in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defect", "reported"),
    [
        (Defect.CREDITS_TOO_LITTLE, "P2P send: demo-bea"),
        (Defect.REWRITES_BODY, "merchant: transfer: not forwarded byte by byte"),
        (Defect.FORGETS_CONFIRMATION, "P2P send: payee missed PUT COMMITTED from hub"),
        (Defect.REWRITES_QUOTE, "cash-out: quote: the answer was not forwarded byte by byte"),
        (Defect.FORGETS_BULK_LINE, "bulk of 100: transfer: demo-ada"),
        (Defect.MOVES_ON_US, "on us: transfer: demo-ada"),
    ],
)
async def test_the_demo_fails_on_wrong_payments(
    defect: Defect, reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = FakeHub(defect)
    await hub.start()
    try:
        timeout_s = "10" if defect is Defect.FORGETS_CONFIRMATION else "27"  # every payment waits for one
        code = await run_command(
            settings_of(hub), "demo", "--transfers", "20", "--payments", "1", "--timeout", timeout_s
        )
    finally:
        await hub.stop()

    shown = capsys.readouterr().out.replace("\n", " ")
    assert code == 1, shown
    assert reported in shown
