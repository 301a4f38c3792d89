"""Accounts over HTTP, and a ledger that does not answer."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghub.ports import CommandTimeoutError, LedgerUnavailableError, RecorderUnavailableError
from tests.web.admin_world import Operator

NOT_THERE = (400, "3200", "Generic ID not found - Participant does not exist")


@pytest.fixture
async def ready(operator: Operator) -> Operator:
    await operator.currency()
    await operator.dfsp()
    return operator


async def test_an_account_as_it_is_shown(ready: Operator) -> None:
    position, settlement = (await ready.get("/participants/dfsp/accounts")).json

    assert {
        "id": position["id"],
        "ledgerAccountType": "POSITION",
        "currency": "USD",
        "isActive": 1,
        "value": 0,
        "reservedValue": 0,
        "changedDate": "2023-11-14T22:13:20.007Z",
    } == position
    assert "SETTLEMENT" == settlement["ledgerAccountType"]
    assert [position["id"], settlement["id"]] == [
        one["id"] for one in (await ready.get("/participants/dfsp")).json["accounts"]
    ]


async def test_the_hubs_accounts(operator: Operator) -> None:
    await operator.hub_accounts()

    accounts = (await operator.get("/participants/Hub/accounts")).json
    assert [("HUB_MULTILATERAL_SETTLEMENT", 1), ("HUB_RECONCILIATION", 1)] == [
        (one["ledgerAccountType"], one["isActive"]) for one in accounts
    ]


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("nobody", "HUB_RECONCILIATION", "Participant was not found."),
        ("Hub", "PIGGY_BANK", "Ledger account type was not found."),
        ("Hub", "HUB_RECONCILIATION", "Hub account has already been registered."),
        ("dfsp", "POSITION", "Hub account has already been registered."),
        ("dfsp", "HUB_RECONCILIATION", "Endpoint is reserved for creation of Hub account types only."),
        ("Hub", "POSITION", "The requested hub operator account type is not allowed."),
    ],
)
async def test_hub_accounts_that_are_refused(ready: Operator, name: str, kind: str, text: str) -> None:
    answer = await ready.post(f"/participants/{name}/accounts", {"currency": "USD", "type": kind})

    assert (400, "3003", f"Add Party information error - {text}") == answer.error


async def test_a_hub_account_is_answered_with_the_hub(operator: Operator) -> None:
    answer = await operator.post("/participants/Hub/accounts", {"currency": "USD", "type": "HUB_FEE"})

    assert (201, "Hub", ["HUB_FEE"]) == (
        answer.status,
        answer.json["name"],
        [one["ledgerAccountType"] for one in answer.json["accounts"]],
    )
    assert (400, "3102", 'Missing mandatory element - "type" is required') == (
        await operator.post("/participants/Hub/accounts", {"currency": "USD"})
    ).error


async def test_a_position_account_is_switched(ready: Operator) -> None:
    path = f"/participants/dfsp/accounts/{(await ready.account('POSITION'))['id']}"

    answer = await ready.put(path, {"isActive": False})

    assert (200, "") == (answer.status, answer.text)
    assert 0 == (await ready.account("POSITION"))["isActive"]
    assert [0, 1] == [one["isActive"] for one in (await ready.get("/participants/dfsp")).json["accounts"]]


async def test_accounts_that_cannot_be_switched(ready: Operator) -> None:
    await ready.dfsp("other")
    settlement, others = await ready.account("SETTLEMENT"), await ready.account("POSITION", "other")

    async def fault(name: str, account_id: Any, body: Any) -> tuple[int, str, str]:
        return (await ready.put(f"/participants/{name}/accounts/{account_id}", body)).error

    off = {"isActive": False}
    assert (500, "2001", "Internal server error - Account not found") == await fault("dfsp", 9999, off)
    assert (500, "2001", "Internal server error - Participant/account mismatch") == await fault(
        "dfsp", others["id"], off
    )
    assert (500, "2001", "Internal server error - Only position account update is permitted") == await fault(
        "dfsp", settlement["id"], off
    )
    assert NOT_THERE == await fault("nobody", others["id"], off)
    for account_id in ("x", "0", "-1", "1.5", "9" * 30):
        assert (400, "3100", "Generic validation error - 'id' URI path parameter") == await fault(
            "dfsp", account_id, off
        )
    assert (400, "3102") == (await fault("dfsp", settlement["id"], {}))[:2]


async def test_accounts_of_nobody(operator: Operator) -> None:
    assert NOT_THERE == (await operator.get("/participants/nobody/accounts")).error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RecorderUnavailableError(), (503, "2003", "Service currently unavailable")),
        (CommandTimeoutError(), (504, "2004", "Server timed out")),
    ],
)
async def test_when_the_ledger_does_not_answer(
    ready: Operator, error: Exception, expected: tuple[int, str, str]
) -> None:
    ready.ports.fails_with = error

    assert expected == (await ready.put("/participants/dfsp", {"isActive": True})).error


async def test_when_nobody_owns_the_partition(ready: Operator) -> None:
    ready.ports.fails_with = LedgerUnavailableError()

    for path in ("/participants/dfsp/accounts", "/participants/dfsp/limits", "/participants/limits"):
        assert (503, "2003", "Service currently unavailable") == (await ready.get(path)).error
    assert 200 == (await ready.get("/participants/dfsp")).status
