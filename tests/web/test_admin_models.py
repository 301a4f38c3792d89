"""Settlement models, kinds of accounts, tables of names, and operations, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghub.ports import CommandTimeoutError
from tests.web.admin_world import MODEL, Operator

FEES = {
    **MODEL,
    "name": "INTERCHANGEFEE",
    "ledgerAccountType": "INTERCHANGE_FEE",
    "settlementAccountType": "INTERCHANGE_FEE_SETTLEMENT",
}
DEFAULT = {name: value for name, value in MODEL.items() if name != "currency"} | {"name": "DEFAULTDEFERREDNET"}
SHOWN = {
    "name": "DEFERREDNETUSD",
    "isActive": True,
    "settlementGranularity": "NET",
    "settlementInterchange": "MULTILATERAL",
    "settlementDelay": "DEFERRED",
    "currency": "USD",
    "requireLiquidityCheck": True,
    "ledgerAccountTypeId": "POSITION",
    "autoPositionReset": True,
}
NO_SUCH = (400, "3200", "Generic ID not found - The requested resource could not be found.")


async def kinds(operator: Operator, name: str = "dfsp") -> list[tuple[str, int]]:
    accounts = (await operator.get(f"/participants/{name}/accounts")).json
    return [(one["ledgerAccountType"], one["isActive"]) for one in accounts]


async def test_a_model_as_it_is_shown(operator: Operator) -> None:
    await operator.currency()

    (model,) = (await operator.get("/settlementModels")).json

    assert model == (await operator.get("/settlementModels/DEFERREDNETUSD")).json
    assert isinstance(model.pop("settlementModelId"), int)
    assert SHOWN == model


async def test_a_model_for_all_other_currencies(operator: Operator) -> None:
    assert 201 == (await operator.post("/settlementModels", DEFAULT)).status

    assert (await operator.get("/settlementModels/DEFAULTDEFERREDNET")).json["currency"] is None


async def test_no_models_yet(operator: Operator) -> None:
    assert [] == (await operator.get("/settlementModels")).json
    assert NO_SUCH == (await operator.get("/settlementModels/NONE")).error


async def test_only_active_models_are_listed(operator: Operator) -> None:
    await operator.currency()

    off = await operator.put("/settlementModels/DEFERREDNETUSD", {"isActive": False})

    assert (200, False) == (off.status, off.json["isActive"])
    assert [] == (await operator.get("/settlementModels")).json
    assert not (await operator.get("/settlementModels/DEFERREDNETUSD")).json["isActive"]
    assert (await operator.put("/settlementModels/DEFERREDNETUSD", {"isActive": True})).json["isActive"]


async def test_models_that_cannot_be_switched(operator: Operator) -> None:
    await operator.currency()

    assert (500, "2001", "Internal server error - Settlement Model does not exist") == (
        await operator.put("/settlementModels/NONE", {"isActive": True})
    ).error
    assert (400, "3102", 'Missing mandatory element - "isActive" is required') == (
        await operator.put("/settlementModels/DEFERREDNETUSD", {})
    ).error


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("3000", "Generic client error - Settlement Model already exists")),
        (
            {"name": "X1", "settlementDelay": "IMMEDIATE"},
            ("3000", "Generic client error - Invalid settlement model definition - delay-granularity-interchange "),
        ),
        (
            {"name": "X1", "ledgerAccountType": "NONE"},
            ("3003", "Add Party information error - Ledger account type was not found"),
        ),
        (
            {"settlementAccountType": "POSITION"},
            (
                "3101",
                'Malformed syntax - "settlementAccountType" must be one of [SETTLEMENT, INTERCHANGE_FEE_SETTLEMENT]',
            ),
        ),
        ({"settlementDelay": "SOON"}, ("3101", 'Malformed syntax - "settlementDelay" must be one of [IMMEDIATE, DEF')),
        ({"settlementGranularity": 1}, ("3101", 'Malformed syntax - "settlementGranularity" must be one of [GROSS, N')),
        ({"currency": "ZZZ"}, ("3101", 'Malformed syntax - "currency" must be one of [')),
        ({"name": "A B"}, ("3101", 'Malformed syntax - "name" with value "A B" fails to match')),
        (
            {"requireLiquidityCheck": 1},
            ("3100", 'Generic validation error - "requireLiquidityCheck" must be a boolean'),
        ),
    ],
)
async def test_models_that_are_refused(operator: Operator, change: Any, expected: tuple[str, str]) -> None:
    await operator.currency()

    status, code, text = (await operator.post("/settlementModels", MODEL | change)).error

    assert (400, expected[0]) == (status, code)
    assert text.startswith(expected[1])


@pytest.mark.parametrize("name", [name for name in MODEL if name != "currency"])
async def test_models_need_all_their_parts(operator: Operator, name: str) -> None:
    body = {key: value for key, value in MODEL.items() if key != name}

    assert (400, "3102", f'Missing mandatory element - "{name}" is required') == (
        await operator.post("/settlementModels", body)
    ).error


async def test_a_later_model_opens_accounts_for_participants_with_the_currency(operator: Operator) -> None:
    await operator.currency()
    await operator.hub_accounts("EUR")
    await operator.post("/settlementModels", {**MODEL, "name": "NETEUR", "currency": "EUR"})
    await operator.dfsp()
    await operator.post("/participants", {"name": "european", "currency": "EUR"})
    pair = [("POSITION", 1), ("SETTLEMENT", 1)]

    answer = await operator.post("/settlementModels", FEES)

    assert (201, "") == (answer.status, answer.text)
    assert [*pair, ("INTERCHANGE_FEE", 0), ("INTERCHANGE_FEE_SETTLEMENT", 0)] == await kinds(operator)
    assert 4 == len((await operator.get("/participants/dfsp")).json["accounts"])
    assert [("POSITION", 0), ("SETTLEMENT", 0)] == await kinds(operator, "european")
    assert 4 == len(await kinds(operator, "Hub"))


async def test_a_back_fill_cut_short_is_finished(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp()
    failing = operator.ports.fails_from("open-accounts", CommandTimeoutError())
    assert (504, "2004", "Server timed out") == (await operator.post("/settlementModels", FEES)).error
    assert 2 == len(await kinds(operator))
    failing.clear()

    assert 201 == (await operator.post("/participants", {"name": "dfsp", "currency": "USD"})).status
    await operator.put("/settlementModels/INTERCHANGEFEE", {"isActive": True})

    assert 4 == len(await kinds(operator))


async def test_kinds_of_accounts(operator: Operator) -> None:
    listed = (await operator.get("/ledgerAccountTypes")).json
    assert {
        "name": "POSITION",
        "description": "What a DFSP owes the others or is owed",
        "isActive": True,
        "isSettleable": True,
    } == listed[0]

    savings = {"name": "SAVINGS", "description": "Savings", "isActive": True, "isSettleable": False}
    answer = await operator.post("/ledgerAccountTypes", savings)
    await operator.post("/ledgerAccountTypes", {**savings, "name": "DORMANT", "isActive": False})

    assert (201, "") == (answer.status, answer.text)
    assert [*listed, savings] == (await operator.get("/ledgerAccountTypes")).json
    assert (400, "3000", "Generic client error - This Ledger Account Type already exists") == (
        await operator.post("/ledgerAccountTypes", savings)
    ).error
    assert 201 == (await operator.post("/settlementModels", {**MODEL, "ledgerAccountType": "SAVINGS"})).status


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("3102", 'Missing mandatory element - "name" is required')),
        ({"name": "A-B"}, ("3101", 'Malformed syntax - "name" with value "A-B" fails to match the required pattern')),
        ({"name": "SAVINGS"}, ("3102", 'Missing mandatory element - "description" is required')),
        (
            {"name": "SAVINGS", "description": "d" * 513},
            ("3101", 'Malformed syntax - "description" length must be less than or equal to 512 characters long'),
        ),
    ],
)
async def test_kinds_of_accounts_that_are_refused(operator: Operator, body: Any, expected: tuple[str, str]) -> None:
    status, code, text = (await operator.post("/ledgerAccountTypes", body)).error

    assert (400, expected[0]) == (status, code)
    assert text.startswith(expected[1])


async def test_tables_of_names(operator: Operator) -> None:
    await operator.currency()

    tables = (await operator.get("/enums")).json

    assert {"IMMEDIATE": 1, "DEFERRED": 2} == tables["settlementDelay"]
    assert (1, 2, 3, 4) == tuple(
        tables["ledgerAccountType"][name]
        for name in ("POSITION", "SETTLEMENT", "HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT")
    )
    assert 10 == tables["ledgerEntryType"]["RECORD_FUNDS_OUT"]
    assert "RESERVED" == tables["transferStateEnum"]["RECEIVED_FULFIL"]
    assert "Hub" == tables["hubParticipant"]["name"]
    assert tables["ledgerEntryType"] == (await operator.get("/enums/ledgerEntryType")).json
    assert NO_SUCH == (await operator.get("/enums/none")).error


async def test_operations(operator: Operator) -> None:
    health = await operator.get("/health")
    metrics = await operator.get("/metrics")

    assert (200, "OK") == (health.status, health.json["status"])
    assert ["broker", "datastore"] == [one["name"] for one in health.json["services"]]
    assert 'route="/health"' in metrics.text


async def test_paths_that_are_not_there(operator: Operator) -> None:
    assert (404, "3002", "Unknown URI") == (await operator.get("/nothing")).error
    assert (405, "3000", "Generic client error - Method Not Allowed") == (
        await operator.send("DELETE", "/participants")
    ).error
