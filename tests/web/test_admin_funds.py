"""Funds in and out over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from clearinghub.domain.transfers.transfer import State, Transfer
from tables.transfers import TRANSFERS
from tests.web.admin_world import FUNDS_ID, Operator, funds

NOT_THERE = (400, "3200", "Generic ID not found - Participant does not exist")
OTHER_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
COMMIT = {"action": "recordFundsOutCommit", "reason": "paid"}
ABORT = {"action": "recordFundsOutAbort", "reason": "not paid"}


@pytest.fixture
async def ready(operator: Operator) -> Operator:
    await operator.currency()
    await operator.dfsp()
    return operator


def transfer(operator: Operator, transfer_id: str = FUNDS_ID) -> Transfer:
    (found,) = (rows[transfer_id] for view in operator.hub.views if transfer_id in (rows := view.rows(TRANSFERS)))
    return found


async def complete(operator: Operator, body: dict[str, str], transfer_id: str = FUNDS_ID) -> tuple[int, str]:
    account_id = (await operator.account("SETTLEMENT"))["id"]
    answer = await operator.put(f"/participants/dfsp/accounts/{account_id}/transfers/{transfer_id}", body)
    return answer.status, answer.text


@pytest.mark.parametrize("amount", ["100.25", "100.2500", 100.25])
async def test_funds_in(ready: Operator, amount: Any) -> None:
    answer = await ready.funds("recordFundsIn", amount)

    assert (202, "") == (answer.status, answer.text)
    assert (Decimal("-100.25"), Decimal("100.25")) == await ready.balances()
    assert (State.COMMITTED, 1_002_500, "funds-in") == (
        (row := transfer(ready)).state,
        row.amount,
        row.kind,
    )
    assert {
        "extension": [{"key": "k", "value": "v"}, {"key": "externalReference", "value": "bank-7"}]
    } == row.extensions


async def test_funds_in_are_recorded_once(ready: Operator) -> None:
    for amount in (100, 100, 200):
        assert 202 == (await ready.funds("recordFundsIn", amount)).status

    assert (-100, 100) == await ready.balances()


async def test_a_uuid_is_found_in_whatever_case_it_came(ready: Operator) -> None:
    await ready.funds("recordFundsIn", 100)
    await ready.funds("recordFundsIn", 100, FUNDS_ID.upper())

    assert (-100, 100) == await ready.balances()
    assert FUNDS_ID == transfer(ready).transfer_id


async def test_funds_out_in_two_phases(ready: Operator) -> None:
    await ready.funds("recordFundsIn", 100)

    answer = await ready.funds("recordFundsOutPrepareReserve", 60, OTHER_ID)
    assert (202, "") == (answer.status, answer.text)
    assert (-40, 100) == await ready.balances()
    assert State.RESERVED is transfer(ready, OTHER_ID).state

    assert (202, "") == await complete(ready, COMMIT, OTHER_ID)
    assert (-40, 40) == await ready.balances()
    assert State.COMMITTED is transfer(ready, OTHER_ID).state

    for body in (COMMIT, ABORT):
        assert (202, "") == await complete(ready, body, OTHER_ID), "ignored"
    assert (-40, 40) == await ready.balances()


async def test_funds_out_that_come_back(ready: Operator) -> None:
    await ready.funds("recordFundsIn", 100)
    await ready.funds("recordFundsOutPrepareReserve", 60, OTHER_ID)

    assert (202, "") == await complete(ready, ABORT, OTHER_ID)

    assert (-100, 100) == await ready.balances()
    assert State.ABORTED_REJECTED is transfer(ready, OTHER_ID).state


async def test_more_than_there_is_is_accepted_and_aborted(ready: Operator) -> None:
    await ready.funds("recordFundsIn", 100)

    assert 202 == (await ready.funds("recordFundsOutPrepareReserve", "100.0001", OTHER_ID)).status

    assert (-100, 100) == await ready.balances()
    assert State.ABORTED_REJECTED is transfer(ready, OTHER_ID).state
    assert 202 == (await ready.funds("recordFundsOutPrepareReserve", 100, FUNDS_ID.replace("b", "a"))).status
    assert (0, 100) == await ready.balances()


async def test_completing_what_is_not_there(ready: Operator) -> None:
    assert (202, "") == await complete(ready, COMMIT)
    assert (0, 0) == await ready.balances()


async def test_accounts_that_take_no_funds(ready: Operator) -> None:
    await ready.dfsp("closed", limit=False)
    body = funds("recordFundsIn", 1)

    async def fault(name: str, account: dict[str, Any], **changes: Any) -> tuple[int, str, str]:
        return (await ready.post(f"/participants/{name}/accounts/{account['id']}", body | changes)).error

    settlement, position = await ready.account("SETTLEMENT"), await ready.account("POSITION")
    mismatch = (500, "2001", "Internal server error - The account does not match participant or currency specified")
    assert mismatch == await fault("closed", settlement)
    assert mismatch == await fault("dfsp", settlement, amount={"amount": 1, "currency": "EUR"})
    assert (500, "2001", "Internal server error - Account is currently set inactive") == await fault(
        "closed", await ready.account("SETTLEMENT", "closed")
    )
    assert (500, "2001", "Internal server error - Account is not SETTLEMENT type") == await fault("dfsp", position)
    assert NOT_THERE == await fault("nobody", settlement)
    await ready.put("/participants/dfsp", {"isActive": False})
    assert (500, "2001", "Internal server error - Participant is currently set inactive") == await fault(
        "dfsp", settlement
    )
    commit = await ready.put(f"/participants/dfsp/accounts/{settlement['id']}/transfers/{FUNDS_ID}", COMMIT)
    assert (500, "2001", "Internal server error - Participant is currently set inactive") == commit.error


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"transferId": "x"}, ("3101", 'Malformed syntax - "transferId" must be a valid GUID')),
        ({"transferId": 1}, ("3101", 'Malformed syntax - "transferId" must be a string')),
        ({"externalReference": ""}, ("3101", 'Malformed syntax - "externalReference" is not allowed to be empty')),
        (
            {"action": "recordFundsOutCommit"},
            ("3101", 'Malformed syntax - "action is missing or not supported" must be one of [recordFundsIn, '),
        ),
        ({"reason": 1}, ("3101", 'Malformed syntax - "reason" must be a string')),
        ({"amount": 1}, ("3100", 'Generic validation error - "No amount provided" must be of type object')),
        (
            {"amount": {"amount": 0, "currency": "USD"}},
            ("3100", 'Generic validation error - "amount.amount" must be a positive number'),
        ),
        (
            {"amount": {"amount": "-1", "currency": "USD"}},
            ("3100", 'Generic validation error - "amount.amount" must be a positive number'),
        ),
        (
            {"amount": {"amount": "1.00001", "currency": "USD"}},
            ("3100", 'Generic validation error - "amount.amount" must have no more than 4 decimal places'),
        ),
        (
            {"amount": {"amount": 1}},
            ("3102", 'Missing mandatory element - "amount.currency" is required'),
        ),
        (
            {"extensionList": {"extension": []}},
            ("3100", 'Generic validation error - "extensionList.extension" must contain at least 1 items'),
        ),
        (
            {"extensionList": {"extension": [{"key": "k", "value": "v"}] * 17}},
            (
                "3100",
                'Generic validation error - "extensionList.extension" must contain less than or equal to 16 items',
            ),
        ),
        (
            {"extensionList": {"extension": [{"key": "k"}]}},
            ("3102", 'Missing mandatory element - "extensionList.extension[0].value" is required'),
        ),
        (
            {"extensionList": {"extension": "k"}},
            ("3100", 'Generic validation error - "extensionList.extension" must be an array'),
        ),
        ({"note": 1}, ("3100", 'Generic validation error - "note" is not allowed')),
    ],
)
async def test_funds_that_are_refused(ready: Operator, change: Any, expected: tuple[str, str]) -> None:
    status, code, text = (await ready.funds("recordFundsIn", 1, changes=change)).error

    assert (400, expected[0]) == (status, code)
    assert text.startswith(expected[1])
    assert (0, 0) == await ready.balances()


async def test_completions_that_are_refused(ready: Operator) -> None:
    path = f"/participants/dfsp/accounts/{(await ready.account('SETTLEMENT'))['id']}/transfers"

    assert (400, "3101", "Malformed syntax - 'transferId' URI path parameter") == (
        await ready.put(f"{path}/x", COMMIT)
    ).error
    assert (400, "3102", 'Missing mandatory element - "action is missing or not supported" is required') == (
        await ready.put(f"{path}/{FUNDS_ID}", {"reason": "r"})
    ).error
    assert (400, "3101") == (await ready.put(f"{path}/{FUNDS_ID}", {"action": "recordFundsIn", "reason": "r"})).error[
        :2
    ]
    assert (400, "3102", 'Missing mandatory element - "reason" is required') == (
        await ready.put(f"{path}/{FUNDS_ID}", {"action": "recordFundsOutCommit"})
    ).error
