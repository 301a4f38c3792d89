"""`clearinghub admin windows` and `clearinghub admin settlements`, on a hub's admin API."""

from __future__ import annotations

from tests.web.cli import Terminal
from tests.web.settlement_steps import NET, STEPS, a_scheme, pay, positions


async def test_a_day_by_hand(terminal: Terminal) -> None:
    assert ["OPEN"] == [one["state"] for one in await terminal.done("windows", "list")]
    assert [] == await terminal.done("windows", "list", "--state", "CLOSED")
    assert [] == await terminal.done("settlements", "list")
    await a_scheme(terminal.operator)
    pay(terminal.operator)

    opened = await terminal.done("windows", "close", "--reason", "end of day")
    assert (2, "OPEN") == (opened["settlementWindowId"], opened["state"])
    (closed,) = await terminal.done("windows", "list", "--state", "CLOSED")
    assert ("end of day", 3) == (closed["reason"], closed["content"][0]["transfers"])
    nets = await terminal.done("windows", "nets", "1")
    assert {name: str(net) for name, net in NET.items()} == {
        one["participant"]: one["netAmount"] for one in nets["content"][0]["nets"]
    }
    created = await terminal.done("settlements", "create", "DEFERREDNETUSD", "1", "--reason", "day 1")
    assert "PENDING_SETTLEMENT" == created["state"]
    for state in STEPS:
        assert state == (await terminal.done("settlements", "advance", "1"))["state"]
    assert dict.fromkeys(NET, 0) == await positions(terminal.operator)
    assert ["SETTLED"] == [one["state"] for one in await terminal.done("settlements", "list")]
    ended = await terminal.admin("settlements", "advance", "1")
    assert ended.code != 0
    assert "settlement 1 is SETTLED" in ended.err


async def test_tables_for_people(terminal: Terminal) -> None:
    await a_scheme(terminal.operator)
    pay(terminal.operator)
    await terminal.done("windows", "close", "1")
    await terminal.done("settlements", "create", "DEFERREDNETUSD", "1")

    assert "USD POSITION PENDING_SETTLEMENT (3)" in (await terminal.admin("windows", "list")).out
    assert "-60" in (await terminal.admin("windows", "nets", "1")).out
    assert "settlement 1 is PENDING_SETTLEMENT" in (await terminal.admin("settlements", "show", "1")).out
    assert "settlement 1 is ABORTED" in (await terminal.admin("settlements", "abort", "1")).out


async def test_refusals(terminal: Terminal) -> None:
    for arguments, sentence in (
        (("windows", "close"), "Window 1 is empty"),
        (("settlements", "show", "7"), "Settlement with ID '7' not found"),
        (("settlements", "create", "NONE", "1"), "Settlement model not found: NONE"),
        (("windows", "nets", "x"), "'x' is no number"),
    ):
        ended = await terminal.admin(*arguments)
        assert ended.code != 0, arguments
        assert sentence in ended.err
