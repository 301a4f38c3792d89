"""Reports of settlement over real HTTP, on windows that the ledger's own agents have filled and closed."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.web.admin_world import MODEL, Operator, an_operator
from tests.web.report_pages import Page, rows_of, text_of
from tests.web.settlement_steps import STEPS, UNIT, a_scheme, a_settlement, advance, close, pay, settlement

WINDOW = "/v2/settlementWindows/1"
ALPHA = {"debits": "100", "debitCount": 1, "credits": "20", "creditCount": 1, "netAmount": "80"}
TOTAL = {"debits": "160", "debitCount": 3, "credits": "160", "creditCount": 3, "netAmount": "0"}


@pytest.fixture
async def closed(operator: Operator) -> Operator:
    """Window 1 with nets of 80, -60 and -20, closed."""
    await a_scheme(operator)
    pay(operator)
    await close(operator)
    return operator


async def test_a_window(closed: Operator) -> None:
    report = (await closed.get(f"{WINDOW}/report")).json
    assert (1, "CLOSED", "the day is over", []) == (
        report["settlementWindowId"],
        report["state"],
        report["reason"],
        report["faults"],
    )
    (section,) = report["sections"]
    assert ("USD", "POSITION", "NET", TOTAL) == (
        section["currency"],
        section["ledgerAccountType"],
        section["granularity"],
        section["total"],
    )
    alpha = section["participants"][0]
    account = await closed.account("POSITION", "alpha")
    assert {"participant": "alpha", "accountId": account["id"], "counterparty": None, **ALPHA} == {
        key: value for key, value in alpha.items() if key != "participantId"
    }
    assert ["alpha", "beta", "gamma"] == [one["participant"] for one in section["participants"]]


async def test_a_window_as_csv(closed: Operator) -> None:
    rows = await rows_of(closed, f"{WINDOW}/report")

    assert ["80", "-60", "-20"] == [row["netAmount"] for row in rows]
    assert {"1"} == {row["settlementWindowId"] for row in rows}
    assert ["USD", "POSITION", "NET", "alpha", ""] == [
        rows[0][name] for name in ("currency", "ledgerAccountType", "granularity", "participant", "counterparty")
    ]
    assert {key: str(value) for key, value in ALPHA.items()}.items() <= rows[0].items()


async def test_a_window_as_a_page(closed: Operator) -> None:
    text, _headers = await text_of(closed, f"{WINDOW}/report", "html")
    page = Page(text)

    assert ["alpha", "100.00", "1", "20.00", "1", "80.00"] == page.rows[1]
    assert ["all", "160.00", "3", "160.00", "3", "0.00"] == page.rows[-1]
    assert {"script", "img", "iframe", "form", "link"}.isdisjoint(page.tags)
    assert "does not add up" not in text


async def test_amounts_of_a_column_have_decimals_alike(operator: Operator) -> None:
    await a_scheme(operator)
    pay(operator)
    operator.hub.commit("alpha", "beta", 12_345_678_905)
    await close(operator)
    rows = Page((await text_of(operator, f"{WINDOW}/report", "html"))[0]).rows

    assert ["1,234,667.8905", "40.0000", "20.0000", "1,234,727.8905"] == [row[1] for row in rows[1:]]


async def test_nothing_in_a_page_can_run_or_be_fetched(closed: Operator) -> None:
    text, headers = await text_of(closed, f"{WINDOW}/report", "html")
    policy = headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    style = base64.b64encode(hashlib.sha256(text.partition("<style>")[2].partition("</style>")[0].encode()).digest())
    assert f"'sha256-{style.decode()}'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert ("content", policy.removesuffix("; frame-ancestors 'none'")) in Page(text).attributes
    assert not any(name.startswith(("on", "style", "src")) for name, _value in Page(text).attributes)
    assert ("nosniff", "no-store", "no-referrer", "Accept") == tuple(
        headers[name] for name in ("X-Content-Type-Options", "Cache-Control", "Referrer-Policy", "Vary")
    )


async def test_text_from_outside_is_text(operator: Operator) -> None:
    await a_scheme(operator)
    pay(operator)
    evil = "</title><script>alert(1)</script>\u202e\x00 &amp; \"'"
    await operator.post(WINDOW, {"state": "CLOSED", "reason": evil})
    text, _headers = await text_of(operator, f"{WINDOW}/report", "html")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;   &amp;amp; &quot;&#x27;" in text

    shown = await settlement(operator)
    for one, reference in zip(shown["participants"], ("=HYPERLINK(1)", "  +1", "\uff20SUM(A1)\r\n=2"), strict=True):
        body = {"state": "PS_TRANSFERS_RECORDED", "reason": "r", "externalReference": reference}
        account = one["accounts"][0]["id"]
        await operator.put(f"/v2/settlements/1/participants/{one['id']}/accounts/{account}", body)
    rows = await rows_of(operator, "/v2/settlements/1/report")
    assert ["'=HYPERLINK(1)", "'  +1", "'\uff20SUM(A1)  =2"] == [row["externalReference"] for row in rows]
    assert "-60" == rows[1]["netAmount"]  # a number, not a formula


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("TEXT/HTML;q=0.3, text/csv;level=1;q=0.4", "text/csv"),
        ("text/*, application/json;q=0.9", "text/csv"),
        ("text/*;q=0.5, text/csv;q=0", "text/html"),
        ("application/json;q=0, */*", "text/csv"),
        ("application/pdf", "application/json"),
        (";;q=2,,text/html;q=nonsense", "text/html"),
    ],
)
async def test_accept(closed: Operator, accept: str, media_type: str) -> None:
    _text, headers = await text_of(closed, f"{WINDOW}/report", "", Accept=accept)
    assert media_type == headers["Content-Type"].partition(";")[0]

    _text, headers = await text_of(closed, f"{WINDOW}/report", "csv", Accept=accept)
    assert 'inline; filename="window-1-report.csv"' == headers["Content-Disposition"]


async def test_a_settlement(operator: Operator) -> None:
    await a_settlement(operator)
    pay(operator)
    await close(operator, 2)
    shown = await settlement(operator, 2)
    await advance(operator, shown, *STEPS[:2])

    report = (await operator.get("/v2/settlements/2/report")).json
    assert (2, MODEL["name"], "PS_TRANSFERS_RESERVED", [2], []) == tuple(
        report[name] for name in ("settlementId", "settlementModel", "state", "settlementWindows", "faults")
    )
    (section,) = report["sections"]
    assert {"PS_TRANSFERS_RESERVED"} == {one["accountState"] for one in section["participants"]}
    assert ALPHA.items() <= section["participants"][0].items()
    text, _headers = await text_of(operator, "/v2/settlements/2/report", "html")
    assert ["alpha", "100.00", "1", "20.00", "1", "80.00", "PS_TRANSFERS_RESERVED"] in Page(text).rows


async def test_a_settlement_of_several_windows_and_fees(operator: Operator) -> None:
    """Gross amounts add up over the windows; what other models settle is not in it."""
    await a_scheme(operator)
    fees = {**MODEL, "name": "FEES", "ledgerAccountType": "INTERCHANGE_FEE", "requireLiquidityCheck": False}
    await operator.post("/settlementModels", fees)
    pay(operator)
    await close(operator)
    operator.hub.commit("alpha", "beta", 5 * UNIT, fee=3)
    operator.hub.commit("gamma", "gamma", 7)
    operator.hub.commit("gamma", "alpha", 0, fee=-2)
    await close(operator, 2)
    await settlement(operator, 1, 2)

    (section,) = (await operator.get("/v2/settlements/1/report")).json["sections"]
    nets = {one["participant"]: (one["debits"], one["credits"], one["debitCount"]) for one in section["participants"]}
    assert {
        "alpha": ("105", "20", 2),
        "beta": ("40", "105", 1),
        "gamma": ("20.0007", "40.0007", 3),
    } == nets
    window = (await operator.get("/v2/settlementWindows/2/report")).json
    assert ["INTERCHANGE_FEE", "POSITION"] == [one["ledgerAccountType"] for one in window["sections"]]
    assert [] == (await operator.get("/v2/settlementWindows/2/transfers")).json["faults"]


async def test_by_pairs(operator: Operator) -> None:
    async with an_operator() as other:
        await other.hub_accounts()
        await other.post("/settlementModels", {**MODEL, "settlementInterchange": "BILATERAL"})
        for name in ("alpha", "beta", "gamma"):
            await other.dfsp(name)
        pay(other)
        await close(other)
        await settlement(other)

        for path in (f"{WINDOW}/report", "/v2/settlements/1/report"):
            rows = await rows_of(other, path)
            assert [("alpha", "beta", "100"), ("alpha", "gamma", "-20"), ("beta", "alpha", "-100")] == [
                (row["participant"], row["counterparty"], row["netAmount"]) for row in rows[:3]
            ]
            assert [] == (await other.get(path)).json["faults"]
            text, _headers = await text_of(other, path, "html")
            assert ["participant", "against"] == Page(text).rows[0][:2]
        assert [] == (await other.get(f"{WINDOW}/transfers")).json["faults"]


async def test_gross_transfers_are_reported_too(operator: Operator) -> None:
    gross = {"settlementGranularity": "GROSS", "settlementInterchange": "BILATERAL", "settlementDelay": "IMMEDIATE"}
    await operator.hub_accounts()
    await operator.post("/settlementModels", {**MODEL, **gross, "requireLiquidityCheck": False})
    for name in ("alpha", "beta", "gamma"):
        await operator.dfsp(name)
    pay(operator)
    await close(operator)

    report = (await operator.get(f"{WINDOW}/report")).json
    assert (["GROSS"], []) == ([one["granularity"] for one in report["sections"]], report["faults"])
    text, _headers = await text_of(operator, f"{WINDOW}/report", "html")
    assert "USD, POSITION, settled one by one" in text
    listed = (await operator.get(f"{WINDOW}/transfers")).json
    assert ({"SETTLED"}, []) == ({one["state"] for one in listed["transfers"]}, listed["faults"])


async def test_windows_that_are_no_longer_kept(operator: Operator) -> None:
    await a_scheme(operator)
    for number in (1, 2):
        pay(operator)
        await close(operator, number)
    await settlement(operator, 1, 2)
    rows = operator.hub.coordinator.tables["settlement"]
    for key in [key for key in rows if key == "window/000000000001" or key.startswith(("sums/1/", "entry/1/"))]:
        del rows[key]

    report = (await operator.get("/v2/settlements/1/report")).json
    assert ["no longer kept, and so not in here: windows 1"] == report["faults"]
    assert ALPHA.items() <= report["sections"][0]["participants"][0].items()
    for key in [key for key in rows if key.startswith(("window/", "sums/", "entry/"))]:
        del rows[key]
    assert [[]] == [one["participants"] for one in (await operator.get("/v2/settlements/1/report")).json["sections"]]
    await text_of(operator, "/v2/settlements/1/report", "html")


async def test_a_report_that_does_not_add_up_says_so(closed: Operator) -> None:
    """Rows that were changed by somebody other than the ledger."""
    await settlement(closed)
    coordinator = closed.hub.coordinator
    rows = coordinator.tables["settlement"]
    (key,) = (key for key in rows if key.startswith("entry/") and b"[1000000," in rows[key])
    rows[key] = rows[key].replace(b"[1000000,", b"[1000007,")

    window = (await closed.get(f"{WINDOW}/report")).json["faults"]
    assert ["USD POSITION NET: 3 debits, 3 credits, together 0.0007"] == window
    faults = (await closed.get("/v2/settlements/1/report")).json["faults"]
    assert "USD of alpha: its windows say 80.0007, settled is 80" in faults
    text, _headers = await text_of(closed, "/v2/settlements/1/report", "html")
    assert "This report does not add up." in text


@pytest.mark.parametrize(
    ("path", "code", "description"),
    [
        ("/settlementWindows/2/report", "3100", "Window 2 is OPEN; its report is there once it is closed"),
        ("/settlementWindows/7/report", "2001", "No record for settlementWindowId: 7 found"),
        ("/settlementWindows/7/transfers", "2001", "No record for settlementWindowId: 7 found"),
        ("/settlementWindows/x/report", "3101", "'id' URI path parameter"),
        ("/settlementWindows/1/report?format=pdf", "3101", '"format" must be one of [json, csv, html]'),
        ("/settlementWindows/1/report?limit=1", "3101", '"limit" is not allowed'),
        ("/settlementWindows/1/transfers?limit=0", "3101", '"limit" with value "0"'),
        ("/settlementWindows/1/transfers?limit=10001", "3101", '"limit" with value "10001"'),
        ("/settlementWindows/1/transfers?after=1", "3101", '"after" with value "1"'),
        ("/settlements/7/report", "3100", "Settlement with ID '7' not found"),
        ("/settlements/1/report?nothing=1", "3101", '"nothing" is not allowed'),
    ],
)
async def test_what_is_not_there(closed: Operator, path: str, code: str, description: str) -> None:
    status, found_code, found = (await closed.get(f"/v2{path}")).error

    assert (400, code) == (status, found_code)
    assert description in found


async def test_a_window_that_retention_removes_while_it_is_read(closed: Operator) -> None:
    shown = await settlement(closed)
    for view in closed.hub.views:
        rows = view.tables.get("settlement", {})
        for key in [key for key in rows if key.startswith("sums/")]:
            del rows[key]  # what the second read finds; the first was before

    for path in (f"{WINDOW}/report", f"{WINDOW}/nets"):
        unknown = (400, "2001", "Internal server error - No record for settlementWindowId: 1 found")
        assert unknown == (await closed.get(path)).error, path
    of_participant = f"/v2/settlementWindows?participantId={shown['participants'][0]['id']}"
    assert (400, "3100") == (await closed.get(of_participant)).error[:2]
    assert "no longer kept, and so not in here: windows 1" in (await closed.get("/v2/settlements/1/report")).text
    for query in ("", "?limit=100"):
        listed = (await closed.get(f"{WINDOW}/transfers{query}")).json
        assert (3, ["window 1 is no longer kept: what is missing here cannot be told"]) == (
            len(listed["transfers"]),
            listed["faults"],
        )
