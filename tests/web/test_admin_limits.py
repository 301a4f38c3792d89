"""Limits and positions over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.web.admin_world import LIMIT, MODEL, Operator

NOT_THERE = (400, "3200", "Generic ID not found - Participant does not exist")
INITIAL = "/participants/dfsp/initialPositionAndLimits"
CAP = {"type": "NET_DEBIT_CAP", "value": 1000, "alarmPercentage": 10}


def changed(**limit: Any) -> dict[str, Any]:
    return {"currency": "USD", "limit": {**CAP, **limit}}


@pytest.fixture
async def ready(operator: Operator) -> Operator:
    await operator.currency()
    await operator.dfsp()
    return operator


async def test_the_first_limit_opens_the_accounts(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp(limit=False)
    assert [] == (await operator.get("/participants/dfsp/limits")).json
    assert [] == (await operator.get("/participants/dfsp/positions")).json

    answer = await operator.post(INITIAL, LIMIT)

    assert (201, "") == (answer.status, answer.text)
    assert [{"currency": "USD", "limit": CAP}] == (await operator.get("/participants/dfsp/limits")).json
    assert [{"currency": "USD", "value": 0, "changedDate": "2023-11-14T22:13:20.007Z"}] == (
        await operator.get("/participants/dfsp/positions")
    ).json
    assert [1, 1] == [one["isActive"] for one in (await operator.get("/participants/dfsp")).json["accounts"]]
    assert [1, 1] == [one["isActive"] for one in (await operator.get("/participants/dfsp/accounts")).json]


async def test_the_first_limit_is_set_once(ready: Operator) -> None:
    text = "Internal server error - Participant Limit or Initial Position already set"

    assert (500, "2001", text) == (await ready.post(INITIAL, LIMIT)).error


async def test_an_initial_position(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp(limit=False)

    await operator.post(INITIAL, {**LIMIT, "initialPosition": "-12.34"})

    assert {"currency": "USD", "value": Decimal("-12.34"), "changedDate": "2023-11-14T22:13:20.008Z"} == (
        await operator.get("/participants/dfsp/positions?currency=USD")
    ).json


async def test_no_initial_position_is_none(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp(limit=False)

    assert 201 == (await operator.post(INITIAL, {"currency": "USD", "limit": LIMIT["limit"]})).status
    assert 0 == (await operator.get("/participants/dfsp/positions")).json[0]["value"]


async def test_a_limit_needs_an_account(ready: Operator) -> None:
    assert (500, "2001", "Internal server error - Account not found") == (
        await ready.post(INITIAL, {**LIMIT, "currency": "EUR"})
    ).error
    assert NOT_THERE == (await ready.post("/participants/nobody/initialPositionAndLimits", LIMIT)).error


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "3102", 'Missing mandatory element - "currency" is required')),
        ({"currency": "USD"}, (400, "3102", 'Missing mandatory element - "limit" is required')),
        (
            {"currency": "USD", "limit": 7},
            (400, "3100", 'Generic validation error - "limit" must be of type object'),
        ),
        (
            {"currency": "USD", "limit": {"value": 1}},
            (400, "3102", 'Missing mandatory element - "limit.type" is required'),
        ),
        (
            {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP"}},
            (400, "3102", 'Missing mandatory element - "limit.value" is required'),
        ),
        (
            {"currency": "USD", "limit": {"type": "CEILING", "value": 1}},
            (400, "3101", 'Malformed syntax - "limit.type" must be [NET_DEBIT_CAP]'),
        ),
        (
            {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": -1}},
            (400, "3100", 'Generic validation error - "limit.value" must be a positive number'),
        ),
        (
            {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 1}, "initialPosition": "a"},
            (400, "3100", 'Generic validation error - "initialPosition" must be a number'),
        ),
        (
            {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 1, "alarmPercentage": 1}},
            (400, "3100", 'Generic validation error - "limit.alarmPercentage" is not allowed'),
        ),
    ],
)
async def test_first_limits_that_are_refused(ready: Operator, body: Any, expected: tuple[int, str, str]) -> None:
    assert expected == (await ready.post(INITIAL, body)).error


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"true", "must be a number"),
        (b"null", "must be a number"),
        (b"[1]", "must be a number"),
        (b'"0x10"', "must be a number"),
        (b'"1 "', "must be a number"),
        (b"1e-99999999999999999999", "must be a number"),
        (b"1e300", "must be a safe number"),
        (b"100000000000000", "must be a safe number"),
        (b"9" * 300, "must be a safe number"),
        (b"0." + b"1" * 300, "must be a safe number"),
        (b"0.00001", "must have no more than 4 decimal places"),
    ],
)
async def test_numbers_that_no_ledger_holds(ready: Operator, value: bytes, text: str) -> None:
    data = b'{"currency":"USD","limit":{"type":"NET_DEBIT_CAP","value":%s,"alarmPercentage":10}}' % value

    answer = await ready.send(
        "PUT", "/participants/dfsp/limits", data=data, headers={"Content-Type": "application/json"}
    )

    assert (400, "3100", f'Generic validation error - "limit.value" {text}') == answer.error


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1000000", "1000000"),
        ("0.1", "0.1"),
        ("99999999999999.9999", "99999999999999.9999"),
        ('"4999000.00"', "4999000"),
        ("-1000", "-1000"),
        ("1.50", "1.5"),
        ("1E+3", "1000"),
        ("0", "0"),
    ],
)
async def test_limits_are_exact_numbers(ready: Operator, value: str, shown: str) -> None:
    data = '{"currency":"USD","limit":{"type":"NET_DEBIT_CAP","value":%s,"alarmPercentage":20}}' % value  # noqa: UP031

    answer = await ready.send(
        "PUT", "/participants/dfsp/limits", data=data, headers={"Content-Type": "application/json"}
    )

    limit = '{"currency":"USD","limit":{"type":"NET_DEBIT_CAP","value":%s,"alarmPercentage":20}}' % shown  # noqa: UP031
    assert (200, limit) == (answer.status, answer.text)
    assert f"[{limit}]" == (await ready.get("/participants/dfsp/limits")).text


@pytest.mark.parametrize(
    ("percentage", "expected"),
    [
        ("12.5", ("3101", 'Malformed syntax - "limit.alarmPercentage" must be an integer')),
        (101, ("3100", 'Generic validation error - "limit.alarmPercentage" must be less than or equal to 100')),
        (-1, ("3100", 'Generic validation error - "limit.alarmPercentage" must be greater than or equal to 0')),
        ("x", ("3100", 'Generic validation error - "limit.alarmPercentage" must be a number')),
    ],
)
async def test_alarm_percentages(ready: Operator, percentage: Any, expected: tuple[str, str]) -> None:
    answer = await ready.put("/participants/dfsp/limits", changed(alarmPercentage=percentage))

    assert (400, *expected) == answer.error


async def test_a_limit_that_does_not_exist(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp(limit=False)

    assert (500, "2001", "Internal server error - Participant Limit does not exist") == (
        await operator.put("/participants/dfsp/limits", changed())
    ).error
    assert NOT_THERE == (await operator.put("/participants/nobody/limits", changed())).error
    assert (400, "3102", 'Missing mandatory element - "limit.alarmPercentage" is required') == (
        await operator.put("/participants/dfsp/limits", LIMIT)
    ).error


async def test_filters(ready: Operator) -> None:
    async def limits(query: str) -> Any:
        return (await ready.get(f"/participants/dfsp/limits{query}")).json

    assert [{"currency": "USD", "limit": CAP}] == await limits("?currency=USD&type=NET_DEBIT_CAP")
    assert [] == await limits("?currency=EUR")
    assert [] == await limits("?type=CEILING")
    assert {} == (await ready.get("/participants/dfsp/positions?currency=EUR")).json


async def test_limits_of_all(ready: Operator) -> None:
    await ready.dfsp("other")
    await ready.dfsp("third", limit=False)

    assert [{"name": name, "currency": "USD", "limit": CAP} for name in ("dfsp", "other")] == (
        await ready.get("/participants/limits")
    ).json
    assert [] == (await ready.get("/participants/limits?currency=EUR")).json


@pytest.mark.parametrize("path", ["/participants/limits", "/participants/dfsp/limits", "/participants/dfsp/positions"])
async def test_queries_that_are_refused(ready: Operator, path: str) -> None:
    status, code, text = (await ready.get(f"{path}?currency=ZZZ")).error

    assert (400, "3101") == (status, code)
    assert text.startswith('Malformed syntax - "currency" must be one of [')
    assert (400, "3100", 'Generic validation error - "page" is not allowed') == (
        await ready.get(f"{path}?page=2")
    ).error


async def test_only_what_is_active_has_a_position(ready: Operator) -> None:
    position = await ready.account("POSITION")

    await ready.put(f"/participants/dfsp/accounts/{position['id']}", {"isActive": False})
    assert [] == (await ready.get("/participants/dfsp/positions")).json
    assert {} == (await ready.get("/participants/dfsp/positions?currency=USD")).json

    await ready.put(f"/participants/dfsp/accounts/{position['id']}", {"isActive": True})
    await ready.put("/participants/dfsp", {"isActive": False})
    assert [] == (await ready.get("/participants/dfsp/positions")).json


async def test_limits_and_positions_of_nobody(operator: Operator) -> None:
    assert NOT_THERE == (await operator.get("/participants/nobody/limits")).error
    assert NOT_THERE == (await operator.get("/participants/nobody/positions")).error


async def test_fee_accounts_have_neither(ready: Operator) -> None:
    fees = {"ledgerAccountType": "INTERCHANGE_FEE", "settlementAccountType": "INTERCHANGE_FEE_SETTLEMENT"}
    await ready.post("/settlementModels", {**MODEL, "name": "FEES", **fees})

    assert 1 == len((await ready.get("/participants/dfsp/limits")).json)
    assert 1 == len((await ready.get("/participants/dfsp/positions")).json)
