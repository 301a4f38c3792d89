"""Settlements over real HTTP, on a hub in memory of three partitions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.admin_world import MODEL, Operator
from tests.web.settlement_steps import (
    NET,
    STEPS,
    UNIT,
    a_scheme,
    a_settlement,
    advance,
    close,
    creation,
    error_of,
    pay,
    positions,
    settlement,
    states,
    step,
)


async def test_a_whole_settlement(operator: Operator) -> None:
    shown = await a_settlement(operator)
    assert ("PENDING_SETTLEMENT", MODEL["name"], 1) == (shown["state"], shown["settlementModel"], shown["id"])
    assert ["PENDING_SETTLEMENT"] == [one["state"] for one in shown["settlementWindows"]]
    accounts = [account for one in shown["participants"] for account in one["accounts"]]
    assert sorted(NET.values()) == sorted(one["netSettlementAmount"]["amount"] for one in accounts)
    assert NET == await positions(operator)

    recorded = await advance(operator, shown, "PS_TRANSFERS_RECORDED")
    assert ("PS_TRANSFERS_RECORDED", {"PS_TRANSFERS_RECORDED"}) == (recorded["state"], states(recorded))
    assert NET == await positions(operator)
    await advance(operator, shown, "PS_TRANSFERS_RESERVED")
    assert {"alpha": 80, "beta": 0, "gamma": 0} == await positions(operator)
    assert -80 == (await operator.account("HUB_MULTILATERAL_SETTLEMENT", "Hub"))["value"]
    await advance(operator, shown, "PS_TRANSFERS_COMMITTED")
    assert dict.fromkeys(NET, 0) == await positions(operator)
    assert 0 == (await operator.account("HUB_MULTILATERAL_SETTLEMENT", "Hub"))["value"]
    settled = await advance(operator, shown, "SETTLED")
    assert ("SETTLED", "SETTLED") == (settled["state"], settled["settlementWindows"][0]["state"])
    assert {"SETTLED"} == states((await operator.get("/v2/settlements/1")).json)
    assert "SETTLED" == (await operator.get("/v2/settlementWindows/1")).json["state"]


async def test_every_change_is_in_the_accounts_history_and_the_dfsp_is_notified(operator: Operator) -> None:
    shown = await a_settlement(operator)
    body = {"type": "SETTLEMENT_TRANSFER_POSITION_CHANGE_EMAIL", "value": "ops@beta.example"}
    await operator.post("/participants/beta/endpoints", body)
    await advance(operator, shown, "PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED")

    rows = [row for _at, row in operator.ports.history.rows if row["entryType"].startswith("SETTLEMENT_NET")]
    moved = {(row["participant"], row["entryType"], row["change"] // UNIT) for row in rows}
    assert {
        ("beta", "SETTLEMENT_NET_RECIPIENT", 60),
        ("gamma", "SETTLEMENT_NET_RECIPIENT", 20),
        ("alpha", "SETTLEMENT_NET_SENDER", -80),
        ("Hub", "SETTLEMENT_NET_RECIPIENT", -60),
        ("Hub", "SETTLEMENT_NET_RECIPIENT", -20),
        ("Hub", "SETTLEMENT_NET_SENDER", 80),
    } == moved
    notified = [row for row in operator.events() if "changedDate" in row]
    assert ["ops@beta.example"] == [row["email"] for row in notified if row["participant"] == "beta"]
    assert 3 == len(notified)


async def test_accounts_go_on_one_by_one_and_the_last_takes_the_settlement_with_it(operator: Operator) -> None:
    shown = await a_settlement(operator)
    lines = [(one["id"], account["id"]) for one in shown["participants"] for account in one["accounts"]]

    for state in ("PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED", "SETTLED"):
        before = (await operator.get("/v2/settlements/1")).json["state"]
        for index, (participant_id, account_id) in enumerate(lines):
            path = f"/v2/settlements/1/participants/{participant_id}"
            if index % 2:
                answer = await operator.put(f"{path}/accounts/{account_id}", {"state": state, "reason": "r"})
            else:
                body = {"accounts": [{"id": account_id, "state": state, "reason": "r", "externalReference": "bank 7"}]}
                answer = await operator.put(path, body)
            between = "SETTLING" if state == "SETTLED" else before
            assert (state if index == len(lines) - 1 else between) == answer.json["state"]
            assert [participant_id] == [one["id"] for one in answer.json["participants"]]
        (account,) = (await operator.get(f"/v2/settlements/1/participants/{lines[0][0]}")).json["participants"][0][
            "accounts"
        ]
        assert (state, "bank 7") == (account["state"], account["externalReference"])


async def test_wrong_accounts_are_reported_and_the_others_proceed(operator: Operator) -> None:
    shown = await a_settlement(operator)
    body = step(shown, "PS_TRANSFERS_RECORDED")
    first, second, third = body["participants"]
    second["accounts"][0]["state"] = "PS_TRANSFERS_RESERVED"
    third["accounts"][0]["id"] = 999
    body["participants"] += [first, {"id": first["id"], "accounts": second["accounts"]}]

    answer = await operator.put("/v2/settlements/1", body)
    assert 200 == answer.status
    assert "PENDING_SETTLEMENT" == answer.json["state"]
    notified = {
        account["errorInformation"]["errorDescription"]
        for one in answer.json["participants"]
        for account in one["accounts"]
        if "errorInformation" in account
    }
    assert {
        f"Generic client error - {fault}"
        for fault in (
            "State change not allowed",
            "Account not found",
            "Account already processed once",
            "Participant and account mismatch",
        )
    } == notified
    once = (await operator.get(f"/v2/settlements/1/participants/{first['id']}")).json
    assert {"PS_TRANSFERS_RECORDED"} == states(once)


async def test_a_request_names_so_many_accounts_whoever_has_them(operator: Operator) -> None:
    shown = await a_settlement(operator)
    (first, second, *_) = step(shown, "PS_TRANSFERS_RECORDED")["participants"]
    accounts = first["accounts"] * 1_000

    body = {"participants": [{**first, "accounts": accounts}, {**second, "accounts": accounts}]}
    assert 200 == (await operator.put("/v2/settlements/1", body)).status
    del operator.ports.commands["advance-settlement"]
    body["participants"].append(second)
    refused = "Generic validation error - All participants together must have less than or equal to 2000 accounts"
    assert (400, "3100", refused) == await error_of(operator, "PUT", "/settlements/1", body)
    assert "advance-settlement" not in operator.ports.commands


async def test_the_cap_of_a_recipient_grows_where_it_has_no_room(operator: Operator) -> None:
    shown = await a_settlement(operator)
    body = {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": -30, "alarmPercentage": 10}}
    await operator.put("/participants/beta/limits", body)
    await advance(operator, shown, "PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED")

    limits = {one["name"]: one["limit"]["value"] for one in (await operator.get("/participants/limits")).json}
    assert {"alpha": 1000, "beta": 30, "gamma": 1000} == limits
    adjusted = [row for row in operator.events() if "before" in row]
    assert (30 * UNIT, -30 * UNIT) == (adjusted[-1]["limit"], adjusted[-1]["before"])


async def test_an_abort_moves_back_what_was_moved_and_releases_the_windows(operator: Operator) -> None:
    shown = await a_settlement(operator)
    await advance(operator, shown, "PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED")

    answer = await operator.put("/v2/settlements/1", {"state": "ABORTED", "reason": "the bank is closed"})
    assert {"id": 1, "state": "ABORTED", "reason": "the bank is closed"} == answer.json
    assert NET == await positions(operator)
    assert 0 == (await operator.account("HUB_MULTILATERAL_SETTLEMENT", "Hub"))["value"]
    aborted = (await operator.get("/v2/settlements/1")).json
    assert ("ABORTED", {"ABORTED"}) == (aborted["state"], states(aborted))
    assert "ABORTED" == aborted["settlementWindows"][0]["state"]
    again = await operator.put("/v2/settlements/1", {"state": "ABORTED", "reason": "still"})
    assert "still" == again.json["reason"]
    assert "State change not allowed" in (await operator.put("/v2/settlements/1", step(shown, "SETTLED"))).text

    second = await settlement(operator)
    await advance(operator, second, *STEPS)
    assert dict.fromkeys(NET, 0) == await positions(operator)


async def test_an_abort_overtakes_changes_that_are_under_way(operator: Operator) -> None:
    shown = await a_settlement(operator)
    await advance(operator, shown, "PS_TRANSFERS_RECORDED")
    operator.hub.hold_back("settlement")

    answer = await operator.put("/v2/settlements/1", step(shown, "PS_TRANSFERS_RESERVED"))
    assert 504 == answer.status
    assert "PS_TRANSFERS_RECORDED" == (await operator.get("/v2/settlements/1")).json["state"]
    assert 504 == (await operator.put("/v2/settlements/1", {"state": "ABORTED", "reason": "no"})).status
    operator.hub.release()
    assert NET == await positions(operator)
    assert 0 == (await operator.account("HUB_MULTILATERAL_SETTLEMENT", "Hub"))["value"]


async def test_committed_money_is_not_given_back(operator: Operator) -> None:
    shown = await a_settlement(operator)
    await advance(operator, shown, "PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED")
    one = step(shown, "PS_TRANSFERS_COMMITTED")["participants"][0]
    await operator.put("/v2/settlements/1", {"participants": [one]})

    abort = {"state": "ABORTED", "reason": "no"}
    _status, code, description = await error_of(operator, "PUT", "/settlements/1", abort)
    assert "3100" == code
    assert description.startswith(
        "Generic validation error - At least one settlement transfer is committed for settlement '1'."
    )
    await advance(operator, shown, "PS_TRANSFERS_COMMITTED")
    _status, _code, description = await error_of(operator, "PUT", "/settlements/1", abort)
    assert "State change is not allowed for settlement '1' in state 'PS_TRANSFERS_COMMITTED'" in description


@pytest.mark.parametrize(
    ("body", "code", "description"),
    [
        (
            {"participants": [{"id": 1, "accounts": [{"id": 1, "state": "SETTLED", "reason": "r"}]}], "reason": "r"},
            "3100",
            "Generic validation error - No other properties are allowed when participants is provided",
        ),
        ({"state": "ABORTED"}, "3102", "Missing mandatory element - State and reason are mandatory"),
        ({"reason": "r"}, "3102", "Missing mandatory element - State and reason are mandatory"),
        ({"state": "SETTLED", "reason": "r"}, "3100", "Generic validation error - Invalid request payload input"),
        ({}, "3100", "Generic validation error - Invalid request payload input"),
        ({"state": "ABORTED", "reason": "r"}, "3100", "Generic validation error - Settlement not found"),
    ],
)
async def test_what_is_no_change_of_a_settlement(operator: Operator, body: Any, code: str, description: str) -> None:
    assert (400, code, description) == await error_of(operator, "PUT", "/settlements/7", body)


async def test_what_cannot_be_settled(operator: Operator) -> None:
    await a_scheme(operator)
    pay(operator)
    await operator.post(
        "/settlementModels",
        {
            **MODEL,
            "name": "CGS",
            "currency": "XTS",
            "settlementGranularity": "GROSS",
            "settlementInterchange": "BILATERAL",
            "settlementDelay": "IMMEDIATE",
        },
    )
    for body, description in (
        (creation(1, model="NONE"), "Settlement model not found: NONE"),
        (creation(1, model="CGS"), "Settlement can not be created for GROSS or IMMEDIATE models"),
        (creation(1, 7), "Inapplicable windows 1, 7"),
    ):
        assert (400, "3100", f"Generic validation error - {description}") == await error_of(
            operator, "POST", "/settlements", body
        )
    await close(operator)
    await settlement(operator)
    assert (400, "3100", "Generic validation error - Inapplicable windows 1") == await error_of(
        operator, "POST", "/settlements", creation(1)
    )


async def test_accounts_of_others(operator: Operator) -> None:
    shown = await a_settlement(operator)
    first, second = shown["participants"][:2]
    path = f"/settlements/1/participants/{first['id']}/accounts"

    _status, _code, description = await error_of(operator, "GET", f"{path}/{second['accounts'][0]['id']}")
    assert f"does not match any position account for participant '{first['id']}'" in description
    _status, _code, description = await error_of(operator, "PUT", f"{path}/998", {"state": "SETTLED", "reason": "r"})
    assert "Account ID '998' is not part of settlement '1'" in description


async def test_no_answer_changes_nothing_about_the_change(operator: Operator) -> None:
    shown = await a_settlement(operator)
    operator.ports.loses_answer_to = "advance-settlement"
    assert 504 == (await operator.put("/v2/settlements/1", step(shown, "PS_TRANSFERS_RECORDED"))).status
    operator.ports.loses_answer_to = None

    again = await operator.put("/v2/settlements/1", step(shown, "PS_TRANSFERS_RECORDED"))
    assert (200, "PS_TRANSFERS_RECORDED") == (again.status, again.json["state"])
