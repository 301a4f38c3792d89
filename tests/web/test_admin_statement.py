"""An account's statement over HTTP, on a history that the ledger's own agents have written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from clearinghub.domain.time import timestamp_text
from clearinghub.ports import LedgerUnavailableError, StatementTooLongError
from tests.web.admin_world import NOW_MS, Operator
from web.admin.statement import ENTRIES_MAX


@pytest.fixture
async def booked(operator: Operator) -> Operator:
    """A DFSP whose funds were moved three times, a minute apart: +100, -30, +5.5."""
    await operator.currency()
    await operator.dfsp()
    for action, amount in (
        ("recordFundsIn", 100),
        ("recordFundsOutPrepareReserve", 30),
        ("recordFundsIn", "5.5"),
    ):
        operator.hub.now_ms += 60_000
        answer = await operator.funds(action, amount, str(uuid4()))
        assert 202 == answer.status, answer.text
    return operator


async def statement(operator: Operator, query: str = "", kind: str = "SETTLEMENT") -> Any:
    account_id = (await operator.account(kind))["id"]
    return await operator.get(f"/participants/dfsp/accounts/{account_id}/statement{query}")


def moments(operator: Operator) -> list[str]:
    return [timestamp_text(at_ms) for at_ms, row in operator.ports.history.rows if row["accountType"] == "SETTLEMENT"]


async def test_a_period(booked: Operator) -> None:
    first, second, third = moments(booked)
    whole = (await statement(booked, f"?from={first}&to=2100-01-01T00:00:00Z")).json

    account = await booked.account("SETTLEMENT")
    assert ("dfsp", account["id"], "SETTLEMENT", "USD", 0, account["value"]) == (
        whole["participant"],
        whole["accountId"],
        whole["ledgerAccountType"],
        whole["currency"],
        whole["openingBalance"],
        whole["closingBalance"],
    )
    assert (first, "2100-01-01T00:00:00.000Z") == (whole["from"], whole["to"])
    assert [(1, first, -100, -100), (2, second, 30, -70), (3, third, Decimal("-5.5"), Decimal("-75.5"))] == [
        (line["changeNumber"], line["at"], line["change"], line["value"]) for line in whole["lines"]
    ]
    assert ["RECORD_FUNDS_IN", "RECORD_FUNDS_OUT", "RECORD_FUNDS_IN"] == [line["entryType"] for line in whole["lines"]]
    assert {"keptFrom", "next"}.isdisjoint(whole)


async def test_its_begin_belongs_to_it_and_its_end_does_not(booked: Operator) -> None:
    first, second, third = moments(booked)

    for begin, end, opening, numbers, closing in (
        (first, second, 0, [1], -100),
        (second, third, -100, [2], -70),
        (second, second, -100, [], -100),
        ("1999-01-01T00:00:00%2B01:00", first, 0, [], 0),
    ):
        part = (await statement(booked, f"?from={begin}&to={end}")).json
        assert (opening, numbers, closing) == (
            part["openingBalance"],
            [line["changeNumber"] for line in part["lines"]],
            part["closingBalance"],
        )


async def test_without_a_period_it_is_the_last_day(booked: Operator) -> None:
    """The history's clock is in 2023, so nothing was booked; the balance is the account's."""
    latest = (await statement(booked)).json

    account = await booked.account("SETTLEMENT")
    assert ([], account["value"], account["value"]) == (
        latest["lines"],
        latest["openingBalance"],
        latest["closingBalance"],
    )
    day = (await statement(booked, f"?to={timestamp_text(NOW_MS + 86_400_000)}")).json
    assert timestamp_text(NOW_MS) == day["from"]
    assert 3 == len(day["lines"])


async def test_the_rest_is_on_a_linked_page(booked: Operator) -> None:
    history = booked.ports.history
    (at_ms, row), *_ = (one for one in history.rows if one[1]["accountType"] == "SETTLEMENT")
    number, value = 3, -755_000
    for _count in range(ENTRIES_MAX):
        number, value = number + 1, value + 1
        history.rows.append((at_ms + 300_000, row | {"changeNumber": number, "change": 1, "value": value}))

    first = (await statement(booked, f"?from={timestamp_text(at_ms)}&to=2100-01-01T00:00:00Z")).json
    rest = (await booked.get(first["next"])).json
    numbers = [line["changeNumber"] for page in (first, rest) for line in page["lines"]]
    assert list(range(1, ENTRIES_MAX + 4)) == numbers
    assert first["closingBalance"] == rest["openingBalance"]
    assert "next" not in rest


async def test_what_is_no_longer_kept(booked: Operator) -> None:
    booked.ports.history.kept_from_ms = NOW_MS

    assert timestamp_text(NOW_MS) == (await statement(booked)).json["keptFrom"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?from=yesterday", '"from" with value "yesterday" fails to match the required pattern'),
        ("?to=2023-11-14T22:13:20", '"to" with value'),
        ("?from=2023-02-30T00:00:00Z", "There is no such day"),
        ("?from=0000-01-01T00:00:00Z", "There is no such day"),
        ("?from=2023-02-02T00:00:00Z&to=2023-02-01T00:00:00Z", "The period ends before it begins"),
        ("?after=-1", '"after" with value'),
        ("?until=2023-02-02T00:00:00Z", '"until" is not allowed'),
    ],
)
async def test_periods_that_are_none(booked: Operator, query: str, text: str) -> None:
    status, code, description = (await statement(booked, query)).error

    assert 400 == status
    assert code in ("3100", "3101")
    assert text in description


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59.999-14:00"])
async def test_the_ends_of_time(booked: Operator, moment: str) -> None:
    assert 200 == (await statement(booked, f"?from={moment}&to={moment}")).status


async def test_accounts_that_are_none(booked: Operator) -> None:
    hubs = (await booked.account("HUB_RECONCILIATION", "Hub"))["id"]

    for path, expected in (
        ("nobody/accounts/1", (400, "3200", "Generic ID not found - Participant does not exist")),
        ("dfsp/accounts/999999", (500, "2001", "Internal server error - Account not found")),
        (f"dfsp/accounts/{hubs}", (500, "2001", "Internal server error - Participant/account mismatch")),
        ("dfsp/accounts/0", (400, "3100", "Generic validation error - 'id' URI path parameter")),
    ):
        assert expected == (await booked.get(f"/participants/{path}/statement")).error


async def test_a_history_that_cannot_be_read(booked: Operator) -> None:
    history = booked.ports.history
    history.fails_with = LedgerUnavailableError()
    assert (503, "2003") == (await statement(booked)).error[:2]
    history.fails_with = StatementTooLongError()
    assert (400, "3100") == (await statement(booked)).error[:2]


async def test_it_has_the_described_keys(booked: Operator) -> None:
    shown = (await statement(booked, "?from=2023-01-01T00:00:00Z")).json

    assert {
        "participant",
        "accountId",
        "ledgerAccountType",
        "currency",
        "from",
        "to",
        "openingBalance",
        "lines",
        "closingBalance",
    } == shown.keys()
    assert {"changeNumber", "at", "transferId", "entryType", "change", "value"} == shown["lines"][0].keys()
