"""`clearinghub admin`: its documents, its tables, and its refusals."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghub.ports import CommandTimeoutError, LedgerUnavailableError
from tests.web.admin_world import FUNDS_ID
from tests.web.cli import Ended, Terminal

POST = "FSPIOP_CALLBACK_URL_TRANSFER_POST"
OTHER_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture
async def ready(terminal: Terminal) -> Terminal:
    """A hub with USD and a DFSP that has a cap of 1000."""
    await terminal.operator.currency()
    await terminal.operator.dfsp()
    return terminal


def only(fields: dict[str, Any], *keys: str) -> list[Any]:
    return [fields[key] for key in keys]


async def test_a_currency_and_a_dfsp_by_hand(terminal: Terminal) -> None:
    opened = await terminal.done("hub-accounts", "add", "USD")
    model = await terminal.done("models", "add", "DEFERREDNETUSD", "--currency", "USD")
    added = await terminal.done("participants", "add", "dfsp", "USD")
    limits = await terminal.done("limits", "set", "dfsp", "USD", "1000.5")
    endpoint = await terminal.done("endpoints", "set", "dfsp", "TRANSFER_POST", "http://dfsp/transfers")

    assert ["HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT"] == [one["ledgerAccountType"] for one in opened]
    assert ("DEFERREDNETUSD", "USD", True) == (model["name"], model["currency"], model["isActive"])
    assert ["dfsp", True, False, ["USD"]] == only(added, "name", "isActive", "isProxy", "currencies")
    assert [{"participant": "dfsp", "currency": "USD", "netDebitCap": "1000.5", "alarmPercentage": 10}] == limits
    assert {"participant": "dfsp", "type": POST, "value": "http://dfsp/transfers"} == endpoint
    assert [model] == await terminal.done("models", "list")
    assert [endpoint] == await terminal.done("endpoints", "list", "dfsp")
    assert [endpoint] == await terminal.done("endpoints", "list")
    assert ["Hub", "dfsp"] == [one["name"] for one in await terminal.done("participants", "list")]


async def test_one_participant_with_all_that_belongs_to_it(ready: Terminal) -> None:
    await ready.done("funds", "in", "dfsp", "USD", "12.25")

    shown = await ready.done("participants", "show", "dfsp")

    assert ["name", "isActive", "isProxy", "created", "currencies", "accounts", "limits", "endpoints"] == list(shown)
    assert [("POSITION", "0", True), ("SETTLEMENT", "-12.25", True)] == [
        (one["ledgerAccountType"], one["value"], one["isActive"]) for one in shown["accounts"]
    ]
    keys = ("participant", "id", "ledgerAccountType", "currency", "isActive", "value", "reservedValue", "changedDate")
    assert set(keys) == set(shown["accounts"][0])


async def test_limits_are_replaced_and_the_alarm_stays(ready: Terminal) -> None:
    await ready.done("limits", "set", "dfsp", "USD", "500", "--alarm", "33")

    assert [{"participant": "dfsp", "currency": "USD", "netDebitCap": "-1.5", "alarmPercentage": 33}] == (
        await ready.done("limits", "set", "dfsp", "USD", "-1.5")
    )
    assert 1 == len(await ready.done("limits", "list"))
    assert 1 == len(await ready.done("limits", "list", "dfsp"))


async def test_the_first_limit_with_an_alarm(terminal: Terminal) -> None:
    await terminal.operator.currency()
    await terminal.operator.dfsp(limit=False)

    (limit,) = await terminal.done("limits", "set", "dfsp", "USD", "500", "--alarm", "33")

    assert ("500", 33) == (limit["netDebitCap"], limit["alarmPercentage"])


async def test_positions_beside_caps_and_funds(ready: Terminal) -> None:
    await ready.operator.dfsp("other", limit=False)
    await ready.done("funds", "in", "dfsp", "USD", "250.25")

    dfsp, other = await ready.done("positions", "list")

    assert {
        "participant": "dfsp",
        "currency": "USD",
        "isActive": True,
        "position": "0",
        "reservedValue": "0",
        "netDebitCap": "1000",
        "funds": "250.25",
        "room": "250.25",
    } == dfsp
    assert [None, "0", False] == only(other, "netDebitCap", "room", "isActive")
    assert [dfsp] == await ready.done("positions", "list", "dfsp")


async def test_switching(ready: Terminal) -> None:
    assert (await ready.done("participants", "deactivate", "dfsp"))["isActive"] is False
    assert (await ready.done("participants", "activate", "dfsp"))["isActive"] is True
    (off,) = await ready.done("accounts", "deactivate", "dfsp", "USD")
    assert ["POSITION", False] == only(off, "ledgerAccountType", "isActive")
    (on,) = await ready.done("accounts", "activate", "dfsp", "USD")
    assert on["isActive"] is True


async def test_funds_in_and_out(ready: Terminal) -> None:
    recorded = await ready.done("funds", "in", "dfsp", "USD", "100")
    await ready.done("funds", "out", "reserve", "dfsp", "USD", "60", "--transfer-id", OTHER_ID)
    committed = await ready.done("funds", "out", "commit", "dfsp", "USD", OTHER_ID)

    assert ["100", "COMMITTED", False, "100"] == only(recorded, "amount", "state", "repeated", "funds")
    assert 36 == len(recorded["transferId"])
    assert {
        "transferId": OTHER_ID,
        "participant": "dfsp",
        "currency": "USD",
        "action": "recordFundsOutCommit",
        "amount": None,
        "state": "COMMITTED",
        "repeated": False,
        "funds": "40",
    } == committed
    assert (-40, 40) == await ready.operator.balances()


async def test_funds_that_come_back(ready: Terminal) -> None:
    await ready.done("funds", "in", "dfsp", "USD", "100")
    await ready.done("funds", "out", "reserve", "dfsp", "USD", "60", "--transfer-id", OTHER_ID)

    ended = await ready.admin("funds", "out", "abort", "dfsp", "USD", OTHER_ID)

    assert (0, "") == (ended.code, ended.err)
    assert f"dfsp: given back\ntransfer id {OTHER_ID}\nfunds now 100 USD\n" == ended.out


async def test_a_repeated_request_counts_once(ready: Terminal) -> None:
    command = ("funds", "in", "dfsp", "USD", "100", "--transfer-id", FUNDS_ID.upper())
    first, again = await ready.done(*command), await ready.done(*command)

    assert first | {"repeated": True} == again
    shown = await ready.admin(*command)
    assert shown.out.startswith("dfsp: 100 USD had been recorded as come in before; nothing has changed\n")


async def test_a_request_that_was_accepted_and_not_done_is_reported(ready: Terminal) -> None:
    async def outcome(*arguments: str) -> tuple[int, str, str]:
        ended = await ready.admin("funds", *arguments)
        return ended.code, ended.out, ended.err.replace(FUNDS_ID, "ID")

    reserve = ("out", "reserve", "dfsp", "USD", "1", "--transfer-id", FUNDS_ID)
    insufficient = "Payer FSP insufficient liquidity - Aborted due to insufficient funds"
    assert (1, "", f"clearinghub: not done: transfer ID is ABORTED_REJECTED: {insufficient}\n") == await outcome(
        *reserve
    )
    assert (1, "", "clearinghub: not done: transfer ID is ABORTED_REJECTED\n") == await outcome(*reserve)
    assert (1, "", "clearinghub: not done: another request has this transferId (transfer ID)\n") == await outcome(
        "in", "dfsp", "USD", "1", "--transfer-id", FUNDS_ID
    )
    assert (1, "", f"clearinghub: not done: no such funds out (transfer {OTHER_ID})\n") == await outcome(
        "out", "commit", "dfsp", "USD", OTHER_ID
    )


async def test_a_lost_answer_can_be_repeated_safely(ready: Terminal) -> None:
    with_fault = ready.operator.ports.fails_from("record-funds-in", CommandTimeoutError("late"))
    ended = await ready.admin("funds", "in", "dfsp", "USD", "5", "--transfer-id", FUNDS_ID)
    with_fault.clear()

    assert (3, "") == (ended.code, ended.out)
    assert "was answered HTTP 504 2004 Server timed out" in ended.err
    assert ended.err.endswith(f"repeat with --transfer-id {FUNDS_ID}\n")


REFUSED = [
    (("participants", "show", "nobody"), "3200 Generic ID not found - The requested resource could not be found."),
    (("limits", "list", "nobody"), "3200 Generic ID not found - The requested resource could not be found."),
    (("accounts", "list", "nobody"), "3200 Generic ID not found - Participant does not exist"),
    (("participants", "add", "dfsp", "USD"), "3000 Generic client error - Participant currency has already"),
    (("participants", "add", "dfsp", "EUR"), "3003 Add Party information error - Hub reconciliation account"),
    (("hub-accounts", "add", "USD", "HUB_RECONCILIATION"), "3003 Add Party information error - Hub account has"),
    (("endpoints", "set", "dfsp", "QUOTES", "ftp://x"), "3100 Generic validation error - value is not an http"),
    (("funds", "in", "dfsp", "USD", "99999999999999.9999", "--reason", ""), "3101 Malformed syntax"),
    (("models", "add", "A1", "--delay", "IMMEDIATE"), "3000 Generic client error - Invalid settlement model"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(one[0][:3]) for one in REFUSED])
async def test_refused(ready: Terminal, arguments: tuple[str, ...], sentence: str) -> None:
    ended = await ready.admin(*arguments, "--json")

    assert (1, "") == (ended.code, ended.out)
    assert ended.err.startswith(f"clearinghub: refused by the hub: {sentence}")
    assert 1 == ended.err.count("\n")


async def test_an_account_that_is_not_there(ready: Terminal) -> None:
    ended = await ready.admin("funds", "in", "dfsp", "EUR", "5")

    assert Ended(1, "", "clearinghub: dfsp has no SETTLEMENT account in EUR\n") == ended


async def test_what_was_opened_before_a_refusal_is_shown(terminal: Terminal) -> None:
    await terminal.done("hub-accounts", "add", "USD", "HUB_MULTILATERAL_SETTLEMENT")

    ended = await terminal.admin("hub-accounts", "add", "USD")

    assert 1 == ended.code
    assert "opened: HUB_RECONCILIATION; then:" in ended.err


async def test_wrong_usage(terminal: Terminal) -> None:
    for arguments in (
        (),
        ("participants",),
        ("participants", "list", "--fast"),
        ("participants", "show", ".."),
        ("participants", "add", "dfsp", "usd"),
        ("funds", "in", "dfsp", "USD", "0"),
        ("funds", "in", "dfsp", "USD", "1.00001"),
        ("funds", "in", "dfsp", "USD", "1,000"),
        ("funds", "in", "dfsp", "USD", "1", "--transfer-id", "7"),
        ("limits", "set", "dfsp", "USD", "1", "--alarm", "101"),
        ("endpoints", "set", "dfsp", "TRANSFERS", "http://x"),
        ("--url", "file:///x", "participants", "list"),
        ("--timeout", "0", "participants", "list"),
    ):
        ended = await terminal.admin(*arguments)
        assert (2, "") == (ended.code, ended.out), arguments
        assert "clearinghub admin" in ended.err


async def test_a_hub_that_is_away(terminal: Terminal) -> None:
    ended = await terminal.admin("participants", "list", "--url", "http://127.0.0.1:9", "--json")

    assert (3, "") == (ended.code, ended.out)
    assert "http://127.0.0.1:9/participants got no answer: Connection refused" in ended.err


async def test_a_ledger_that_is_away(ready: Terminal) -> None:
    ready.operator.ports.fails_with = LedgerUnavailableError("nobody")

    ended = await ready.admin("positions", "list")

    assert (3, "") == (ended.code, ended.out)
    assert "HTTP 503 2003 Service currently unavailable" in ended.err


async def test_something_else_than_a_hub_answers(terminal: Terminal) -> None:
    url = str(terminal.operator.client.make_url("/health"))

    ended = await terminal.admin("participants", "list", "--url", url)

    assert (1, "") == (ended.code, ended.out)
    assert "refused by the hub: 3002 Unknown URI" in ended.err


async def test_tables_are_not_folded_in_a_pipe(ready: Terminal) -> None:
    url = "http://dfsp.example/" + "a" * 80 + "/{{transferId}}"
    await ready.done("endpoints", "set", "dfsp", "TRANSFER_PUT", url)
    await ready.done("limits", "set", "dfsp", "USD", "1234567.5")

    shown = await ready.admin("participants", "show", "dfsp")

    assert url in shown.out
    assert "1,234,567.5" in shown.out
    assert "HUB" not in shown.out
