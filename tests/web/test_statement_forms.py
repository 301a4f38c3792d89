"""An account's statement as CSV and as a page to print."""

from __future__ import annotations

import csv
import io
from uuid import uuid4

import pytest
from aiohttp import ClientPayloadError

from clearinghub.domain.time import timestamp_text
from clearinghub.ports import LedgerUnavailableError, StatementTooLongError
from tests.web.admin_world import NOW_MS, Operator
from tests.web.report_pages import Page
from web.admin.statement import ENTRIES_MAX, HTML_PAGES_MAX

PERIOD = f"from={timestamp_text(NOW_MS)}&to=2100-01-01T00:00:00Z"


@pytest.fixture
async def booked(operator: Operator) -> Operator:
    """+100, -30 a minute later."""
    await operator.currency()
    await operator.dfsp()
    for action, amount in (("recordFundsIn", 100), ("recordFundsOutPrepareReserve", "30.5")):
        operator.hub.now_ms += 60_000
        assert 202 == (await operator.funds(action, amount, str(uuid4()))).status
    return operator


def go_on(operator: Operator, count: int) -> None:
    """Book `count` more entries on the account."""
    rows = operator.ports.history.rows
    at_ms, row = next(one for one in rows if one[1]["accountType"] == "SETTLEMENT")
    for number in range(3, 3 + count):
        rows.append((at_ms + 120_000, row | {"changeNumber": number, "change": 1, "value": -695_000 + number - 2}))


async def path_of(operator: Operator, query: str = PERIOD) -> str:
    account_id = (await operator.account("SETTLEMENT"))["id"]
    return f"/participants/dfsp/accounts/{account_id}/statement?{query}"


async def rows_of(operator: Operator, query: str = PERIOD) -> list[dict[str, str]]:
    text = (await operator.get(await path_of(operator, f"{query}&format=csv"))).text
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_csv(booked: Operator) -> None:
    opening, first, second, closing = await rows_of(booked)

    assert [("OPENING_BALANCE", "", "0"), ("CLOSING_BALANCE", "", "-69.5")] == [
        (row["entryType"], row["change"], row["value"]) for row in (opening, closing)
    ]
    assert ["dfsp", "USD", "1", "RECORD_FUNDS_IN", "-100", "-100"] == [
        first[name] for name in ("participant", "currency", "changeNumber", "entryType", "change", "value")
    ]
    assert (timestamp_text(NOW_MS), "2100-01-01T00:00:00.000Z") == (opening["at"], closing["at"])
    assert ("30.5", "-69.5") == (second["change"], second["value"])
    nothing = await rows_of(booked, "to=1999-01-01T00:00:00Z")
    assert ["OPENING_BALANCE", "CLOSING_BALANCE"] == [row["entryType"] for row in nothing]


async def test_csv_is_whole_however_long(booked: Operator) -> None:
    go_on(booked, 2 * ENTRIES_MAX)
    rows = await rows_of(booked)

    assert list(range(1, 2 * ENTRIES_MAX + 3)) == [int(row["changeNumber"]) for row in rows[1:-1]]
    assert rows[-2]["value"] == rows[-1]["value"]


async def test_a_page(booked: Operator) -> None:
    booked.ports.history.kept_from_ms = NOW_MS
    async with booked.client.get(await path_of(booked), headers={"Accept": "text/html"}) as response:
        text, headers = await response.text(), response.headers
    rows = Page(text).rows

    assert ["opening balance", "RECORD_FUNDS_IN", "RECORD_FUNDS_OUT", "closing balance"] == [row[3] for row in rows[1:]]
    assert ["", "-100.00", "30.50", ""] == [row[4] for row in rows[1:]]
    assert ["0.00", "-100.00", "-69.50", "-69.50"] == [row[5] for row in rows[1:]]
    assert "is no longer kept" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_a_page_that_is_full_leads_to_the_rest(booked: Operator) -> None:
    go_on(booked, HTML_PAGES_MAX * ENTRIES_MAX)
    text = (await booked.get(await path_of(booked, f"{PERIOD}&format=html"))).text
    page = Page(text)
    (rest,) = (value for name, value in page.attributes if name == "href")
    assert rest is not None
    next_page = Page((await booked.get(rest)).text)

    assert "balance carried forward" == page.rows[-1][3]
    assert page.rows[-1][5] == next_page.rows[1][5]
    assert ["10,001", "10,002"] == [row[0] for row in next_page.rows[2:-1]]


@pytest.mark.parametrize("form", ["csv", "html"])
async def test_what_cannot_be_read(booked: Operator, form: str) -> None:
    path = await path_of(booked, f"{PERIOD}&format={form}")
    for error, expected in ((LedgerUnavailableError(), (503, "2003")), (StatementTooLongError(), (400, "3100"))):
        booked.ports.history.fails_with = error
        assert expected == (await booked.get(path)).error[:2]


async def test_a_truncated_statement_is_not_mistaken_for_the_whole(booked: Operator) -> None:
    go_on(booked, 2 * ENTRIES_MAX)
    history = booked.ports.history
    history.fails_from, history.fails_with = 2, StatementTooLongError()

    with pytest.raises(ClientPayloadError):
        await booked.get(await path_of(booked, f"{PERIOD}&format=csv"))
