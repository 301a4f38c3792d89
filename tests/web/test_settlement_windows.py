"""Settlement windows over real HTTP, on a hub in memory of three partitions."""

from __future__ import annotations

import pytest

from tests.web.admin_world import Operator
from tests.web.settlement_steps import (
    NET,
    a_scheme,
    a_settlement,
    close,
    creation,
    error_of,
    pay,
)


async def test_the_first_window_is_open_and_an_empty_one_stays_open(operator: Operator) -> None:
    (window,) = (await operator.get("/v2/settlementWindows?state=OPEN")).json
    assert (1, "OPEN", None, []) == (window["settlementWindowId"], window["state"], window["reason"], window["content"])

    for window_id, fault in ((1, "Window 1 is empty"), (2, "Window 2 does not exist")):
        body = {"state": "CLOSED", "reason": "r"}
        assert (400, "3100", f"Generic validation error - {fault}") == await error_of(
            operator, "POST", f"/settlementWindows/{window_id}", body
        )


async def test_closing_a_window_opens_the_next_and_holds_its_nets(operator: Operator) -> None:
    await a_scheme(operator)
    pay(operator)

    opened = await close(operator)
    assert (2, "OPEN") == (opened["settlementWindowId"], opened["state"])
    closed = (await operator.get("/v2/settlementWindows/1")).json
    assert ("CLOSED", "the day is over") == (closed["state"], closed["reason"])
    (content,) = closed["content"]
    assert ("CLOSED", "POSITION", "USD", 3) == tuple(
        content[name] for name in ("state", "ledgerAccountType", "currencyId", "transfers")
    )
    (held,) = (await operator.get("/v2/settlementWindows/1/nets")).json["content"]
    assert NET == {one["participant"]: one["netAmount"] for one in held["nets"]}
    assert (100, 20, 1, 1) == tuple(
        held["nets"][0][name] for name in ("debits", "credits", "debitCount", "creditCount")
    )
    assert (400, "3100", "Generic validation error - Window 1 is not open") == await error_of(
        operator, "POST", "/settlementWindows/1", {"state": "CLOSED", "reason": "again"}
    )


async def test_a_window_waits_for_all_partitions(operator: Operator) -> None:
    await a_scheme(operator)
    pay(operator)
    operator.hub.hold_back("settlement")

    await close(operator)
    assert "PROCESSING" == (await operator.get("/v2/settlementWindows/1")).json["state"]
    opened = await close(operator)  # once more
    assert (2, "OPEN") == (opened["settlementWindowId"], opened["state"])
    pay(operator)  # into window 1 still, wherever the word has not come yet
    assert "Inapplicable windows 1" in (await operator.post("/v2/settlements", creation(1))).text
    operator.hub.release()
    assert "CLOSED" == (await operator.get("/v2/settlementWindows/1")).json["state"]
    (held,) = (await operator.get("/v2/settlementWindows/1/nets")).json["content"]
    assert {name: 2 * net for name, net in NET.items()} == {
        one["participant"]: one["netAmount"] for one in held["nets"]
    }


async def test_filters(operator: Operator) -> None:
    shown = await a_settlement(operator)
    one = shown["participants"][0]
    account_id = one["accounts"][0]["id"]

    for query in (
        "currency=USD",
        f"participantId={one['id']}",
        "settlementWindowId=1",
        f"accountId={account_id}",
        "state=PENDING_SETTLEMENT",
        "fromDateTime=2020-01-01T00:00:00.000Z",
        "toDateTime=2030-01-01",
        "fromSettlementWindowDateTime=2020-01-01&toSettlementWindowDateTime=2030-01-01",
    ):
        assert [1] == [found["id"] for found in (await operator.get(f"/v2/settlements?{query}")).json], query
    for query in (
        "currency=XTS",
        "participantId=999",
        "settlementWindowId=2",
        "state=SETTLED",
        "toDateTime=2020-01-01",
        "fromSettlementWindowDateTime=2030-01-01",
    ):
        _status, code, description = await error_of(operator, "GET", f"/settlements?{query}")
        assert "3100" == code
        assert description.startswith(
            "Generic validation error - No settlements found matching the provided parameters"
        )
    for query, found in (
        ("state=PENDING_SETTLEMENT", [1]),
        ("currency=USD", [1]),
        (f"participantId={one['id']}", [1]),
        ("fromDateTime=2020-01-01", [2, 1]),
    ):
        windows = (await operator.get(f"/v2/settlementWindows?{query}")).json
        assert found == [window["settlementWindowId"] for window in windows], query
    _status, _code, description = await error_of(operator, "GET", "/settlementWindows?currency=XTS")
    assert 'Generic validation error - settlementWindow by filters: {"currency":"XTS"} not found' == description


@pytest.mark.parametrize(
    ("path", "code", "description"),
    [
        (
            "/settlementWindows",
            "3100",
            "Use at least one parameter: participantId, state, fromDateTime, toDateTime, currency",
        ),
        ("/settlementWindows?nothing=1", "3101", '"nothing" is not allowed'),
        ("/settlementWindows?toDateTime=2023-02-31", "3101", "There is no such day"),
        ("/settlementWindows?state=open", "3101", '"state" must be one of [OPEN'),
        ("/settlementWindows?participantId=0", "3101", '"participantId" must be a positive number'),
        ("/settlementWindows?participantId=x", "3101", '"participantId" must be a positive number'),
        ("/settlements?state=open", "3101", '"state" must be one of [PENDING_SETTLEMENT'),
        ("/settlements?settlementWindowId=1.5", "3101", '"settlementWindowId" must be a positive number'),
        ("/settlements?accountId=-1", "3101", '"accountId" must be a positive number'),
        ("/settlementWindows/7", "2001", "No record for settlementWindowId: 7 found"),
        ("/settlementWindows/x", "3101", "'id' URI path parameter"),
        ("/settlements", "3100", "Use at least one parameter: currency"),
        ("/settlements?x=1", "3101", '"x" is not allowed'),
        ("/settlements/x", "3101", "'id' URI path parameter"),
        ("/settlements/7/participants/x", "3101", "'pid' URI path parameter"),
        ("/settlements/7/participants/1/accounts/x", "3101", "'aid' URI path parameter"),
        ("/settlements/7", "3100", "Settlement with ID '7' not found"),
        ("/settlements/1/participants/999", "3100", "Participant with ID '999' is not part of settlement '1'"),
    ],
)
async def test_what_is_not_there(operator: Operator, path: str, code: str, description: str) -> None:
    await a_settlement(operator)

    status, found_code, found = await error_of(operator, "GET", path)
    assert (400, code) == (status, found_code)
    assert description in found


@pytest.mark.parametrize("again", [1, "1"])
async def test_a_window_is_named_once(operator: Operator, again: object) -> None:
    await a_scheme(operator)
    pay(operator)
    await close(operator)

    body = creation(1, 2)
    body["settlementWindows"].append({"id": again})
    refused = 'Generic validation error - "settlementWindows[2]" contains a duplicate value'
    assert (400, "3100", refused) == await error_of(operator, "POST", "/settlements", body)
    assert "create-settlement" not in operator.ports.commands
