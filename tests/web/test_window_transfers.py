"""The transfers of a window over real HTTP: whole, page by page, and what they lack."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import ClientPayloadError
from yarl import URL

from clearinghub.ports import LedgerUnavailableError
from tests.web.admin_world import Operator
from tests.web.report_pages import Page, rows_of, text_of
from tests.web.settlement_steps import a_scheme, close, pay

WINDOW = "/v2/settlementWindows/1"


@pytest.fixture
async def closed(operator: Operator) -> Operator:
    """Window 1 with nets of 80, -60 and -20, closed."""
    await a_scheme(operator)
    pay(operator)
    await close(operator)
    return operator


async def test_the_transfers_of_a_window(closed: Operator) -> None:
    closed.hub.commit("alpha", "beta", 9)  # in window 2
    listed = (await closed.get(f"{WINDOW}/transfers")).json

    assert ({"100", "40", "20"}, [{"currency": "USD", "count": 3, "amount": "160"}], []) == (
        {one["amount"] for one in listed["transfers"]},
        listed["totals"],
        listed["faults"],
    )
    assert 1 == listed["settlementWindowId"]
    assert "next" not in listed
    rows = await rows_of(closed, f"{WINDOW}/transfers")
    for row, one in zip(rows, listed["transfers"], strict=True):
        assert ("1", *one.values()) == tuple(row.values())
    text, _headers = await text_of(closed, f"{WINDOW}/transfers", "html")
    assert ["USD", "3", "160.00"] in Page(text).rows
    now_open = (await closed.get("/v2/settlementWindows/2/transfers")).json
    assert ("OPEN", ["0.0009"], []) == (
        now_open["state"],
        [one["amount"] for one in now_open["transfers"]],
        now_open["faults"],
    )


@pytest.mark.parametrize("form", ["json", "csv", "html"])
async def test_page_by_page(closed: Operator, form: str) -> None:
    whole = (await closed.get(f"{WINDOW}/transfers")).json["transfers"]
    path: str | None = f"{WINDOW}/transfers?format={form}&limit=1"
    found = []
    while path is not None:
        async with closed.client.get(path) as response:
            text, links = await response.text(), response.links
        found += re.findall(r"t-[0-9]+", text)
        path = str(URL(links["next"]["url"]).relative()) if links else None
        if path is not None and form == "json":
            assert path == json.loads(text)["next"]
        if path is not None and form == "html":
            assert path in [value for name, value in Page(text).attributes if name == "href"]

    assert [one["transferId"] for one in whole] == found
    assert (await closed.get(f"{WINDOW}/transfers?limit=3")).json.keys() == {
        "settlementWindowId",
        "state",
        "reason",
        "createdDate",
        "changedDate",
        "transfers",
        "totals",
        "faults",
    }


@pytest.mark.parametrize("query", ["", "?limit=100", "?format=html"])
async def test_a_surplus_transfer_is_reported(closed: Operator, query: str) -> None:
    """A record that somebody has written, and one that somebody has changed."""
    rows = next(iter(closed.ports.window_transfers.rows.values()))
    rows.append({**rows[0], "transferId": "forged", "amount": 7})

    text = (await closed.send("GET", f"{WINDOW}/transfers{query}")).text
    payer = rows[0]["payer"]
    assert f"USD POSITION of {payer}: the window holds" in text
    assert ("does not add up" in text) == ("html" in query)


async def test_a_deleted_transfer_is_reported(closed: Operator) -> None:
    del next(iter(closed.ports.window_transfers.rows.values()))[0]

    faults = (await closed.get(f"{WINDOW}/transfers")).json["faults"]
    assert 2 == len(faults)
    assert [] == (await closed.get(f"{WINDOW}/transfers?after=0-0")).json["faults"]  # a part


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_a_truncated_list_is_not_mistaken_for_the_whole(closed: Operator, form: str) -> None:
    transfers = closed.ports.window_transfers
    transfers.error = LedgerUnavailableError("gone")
    transfers.fails_after = 2
    with pytest.raises(ClientPayloadError):
        await closed.get(f"{WINDOW}/transfers?format={form}")

    transfers.fails_after = 0
    assert (503, "2003") == (await closed.get(f"{WINDOW}/transfers?format={form}")).error[:2]
    assert 2 == transfers.closed
    transfers.fails_after = 2
    assert (503, "2003") == (await closed.get(f"{WINDOW}/transfers?format={form}&limit=100")).error[:2]
