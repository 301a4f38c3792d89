"""Requests that every path of /parties and /participants refuses at once (protocol 1.2, 1.3)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tables.parties import PARTIES
from tests.web.fspiop_client import DATE, send_raw
from tests.web.party_world import (
    ERROR,
    ID,
    PARTY,
    PAYEE,
    PAYER,
    REQUEST_ID,
    SUB,
    PartyDfsps,
    media,
    party_dfsps,
)

BATCH = {"requestId": REQUEST_ID, "partyList": [{"partyIdType": "MSISDN", "partyIdentifier": "1", "fspId": PAYER}]}
RESULTS = {"partyList": [{"partyId": BATCH["partyList"][0]}]}
FSP = {"fspId": PAYER}
ROUTES: list[tuple[str, str, Any]] = [
    *(
        (method, f"/parties{path}{tail}", body)
        for path in (ID, SUB)
        for method, tail, body in (("GET", "", None), ("PUT", "", PARTY), ("PUT", "/error", ERROR))
    ),
    *(
        (method, f"/participants{path}{tail}", body)
        for path in (ID, SUB)
        for method, tail, body in (
            ("GET", "", None),
            ("POST", "", FSP),
            ("PUT", "", FSP),
            ("DELETE", "", None),
            ("PUT", "/error", ERROR),
        )
    ),
    ("POST", "/participants", BATCH),
    ("PUT", f"/participants/{REQUEST_ID}", RESULTS),
    ("PUT", f"/participants/{REQUEST_ID}/error", ERROR),
]
WITH_BODY = [(method, path) for method, path, body in ROUTES if body is not None]


@pytest.fixture
async def dfsps() -> AsyncIterator[PartyDfsps]:
    async with party_dfsps() as one:
        yield one


def nothing_was_kept(dfsps: PartyDfsps) -> bool:
    return not dfsps.exchange.dfsp.recorder.records


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_headers_that_are_missing_or_wrong(dfsps: PartyDfsps, method: str, path: str, body: Any) -> None:
    resource = path.split("/")[1]
    faults: list[tuple[dict[str, str | None], int, str]] = [
        ({"Content-Type": None}, 400, "3102"),
        ({"Content-Type": "application/json"}, 400, "3101"),
        ({"Content-Type": media("transfers")}, 400, "3101"),
        ({"Content-Type": media(resource, "9.0")}, 406, "3001"),
        ({"Date": None}, 400, "3102"),
        ({"Date": "today"}, 400, "3101"),
        ({"FSPIOP-Source": None}, 400, "3102"),
        ({"Accept": media("transfers", "1")}, 400, "3101"),
    ]
    if method != "PUT":
        faults += [({"Accept": None}, 400, "3102"), ({"Accept": media(resource, "9")}, 406, "3001")]
    for headers, status, code in faults:
        answer = await dfsps.send(method, path, PAYER, body, headers)
        assert (status, code) == answer.error[:2], headers
    assert nothing_was_kept(dfsps)


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_bodies_that_are_none(dfsps: PartyDfsps, method: str, path: str) -> None:
    required = {"error": "errorInformation", "participants": "partyList", "parties": "party"}
    for data, code in ((b"", "3101"), (b"{", "3101"), (b"[]", "3101"), (b'"text"', "3101"), (b"{}", "3102")):
        headers = {"Content-Type": media(path.split("/")[1]), "FSPIOP-Source": PAYER}
        headers |= {"Accept": media(path.split("/")[1], "1")}
        answer = await dfsps.exchange.dfsp.send(method, path, headers, data)
        if data == b"{}" and method == "PUT" and path in (f"/participants{ID}", f"/participants{SUB}"):
            assert 200 == answer.status  # nothing is required there
            continue
        assert (400, code) == answer.error[:2], data
        if data == b"{}" and path == "/participants":
            assert "requestId" in answer.error[2]
        elif data == b"{}" and "error" in path:
            assert required["error"] in answer.error[2]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"fspId": ""}, "3100"),
        ({"fspId": "x" * 33}, "3100"),
        ({"fspId": {}}, "3101"),
        ({"fspId": PAYER, "currency": "ZZZ"}, "3100"),
        ({"fspId": PAYER, "extensionList": {"extension": []}}, "3100"),
    ],
)
async def test_entries_that_are_wrong(dfsps: PartyDfsps, body: Any, fault: str) -> None:
    assert (400, fault) == (await dfsps.send("POST", f"/participants{ID}", PAYER, body)).error[:2]
    assert nothing_was_kept(dfsps)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"merchantClassificationCode": "12345"},
        {"personalInfo": {"complexName": {"firstName": "  "}}},
        {"personalInfo": {"complexName": {"lastName": "<b>"}}},
        {"personalInfo": {"dateOfBirth": "2023-02-29"}},
        {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "1 2"}},
    ],
)
async def test_parties_that_are_wrong(dfsps: PartyDfsps, change: dict[str, Any]) -> None:
    body = {"party": PARTY["party"] | change}

    assert (400, "3100") == (await dfsps.send("PUT", f"/parties{ID}", PAYEE, body)).error[:2]
    assert nothing_was_kept(dfsps)


@pytest.mark.parametrize(
    "path",
    ["/parties/MSISDN/%20", "/parties/MSISDN/%7B1%7D", f"/parties/MSISDN/{'1' * 129}"],
)
async def test_paths_that_are_wrong(dfsps: PartyDfsps, path: str) -> None:
    assert (400, "3100") == (await dfsps.send("GET", path)).error[:2]
    assert nothing_was_kept(dfsps)


UNWRITABLE = ("..", ".", "%2e%2e", "%2E", ".%2e", "%00", "a%0Ab", "a%7F", "%C2%85", "%E2%80%A8")


@pytest.mark.parametrize("segment", UNWRITABLE)
async def test_what_no_callback_can_name_is_refused_at_once(dfsps: PartyDfsps, segment: str) -> None:
    """Raw, for a client library would resolve the dots before it sends."""
    for method, path, body in (
        ("GET", f"/parties/MSISDN/{segment}", b""),
        ("GET", f"/parties/{segment}/1", b""),
        ("GET", f"/parties/MSISDN/1/{segment}", b""),
        ("PUT", f"/parties/MSISDN/{segment}", json.dumps(PARTY).encode()),
        ("PUT", f"/parties/MSISDN/{segment}/error", json.dumps(ERROR).encode()),
        ("GET", f"/participants/MSISDN/{segment}", b""),
        ("POST", f"/participants/MSISDN/{segment}", json.dumps(FSP).encode()),
        ("PUT", f"/participants/MSISDN/{segment}", json.dumps(FSP).encode()),
        ("DELETE", f"/participants/MSISDN/1/{segment}", b""),
    ):
        answer = await send_raw(dfsps.exchange.dfsp, raw_request(method, path, body))
        assert b" 400 " in answer.partition(b"\r\n")[0], (method, path, answer)
        assert b'"errorCode":"3100"' in answer, (method, path, answer)
    assert nothing_was_kept(dfsps)


@pytest.mark.parametrize("segment", ["..", ".", "a\n", "\x7f"])
async def test_nor_is_it_registered_by_a_batch(dfsps: PartyDfsps, segment: str) -> None:
    for party in (
        {"partyIdType": "ALIAS", "partyIdentifier": segment},
        {"partyIdType": "ALIAS", "partyIdentifier": "1", "partySubIdOrType": segment},
    ):
        body = {"requestId": REQUEST_ID, "partyList": [party | {"fspId": PAYER}]}
        answer = await dfsps.send("POST", "/participants", PAYER, body)
        refused = [one.body["partyList"][0] for one in dfsps.exchange.callbacks() if one.body]
        assert (answer.status == 202) == bool(refused)
        assert all("3101" == one["errorInformation"]["errorCode"] for one in refused)
    assert {} == dfsps.exchange.hub.rows(PARTIES)


def raw_request(method: str, path: str, body: bytes) -> bytes:
    resource = path.split("/")[1]
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: hub",
        "Connection: close",
        f"Content-Length: {len(body)}",
        f"Content-Type: {media(resource)}",
        f"Date: {DATE}",
        f"FSPIOP-Source: {PAYER}",
        *([f"Accept: {media(resource, '1')}"] if method != "PUT" else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("path", ["/parties/MSISDN/%FF", "/parties/%ED%A0%80/1", "/parties/MSISDN/1/%C3%28"])
async def test_paths_that_are_no_text(dfsps: PartyDfsps, path: str) -> None:
    answer = await dfsps.send("GET", path)

    assert answer.status in (202, 400), answer.body


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/parties"), ("GET", "/parties/MSISDN"), ("PUT", f"/parties{ID}/error/error")]
)
async def test_paths_that_are_unknown(dfsps: PartyDfsps, method: str, path: str) -> None:
    assert (404, "3002") == (await dfsps.send(method, path)).error[:2]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", f"/parties{ID}"), ("DELETE", f"/parties{ID}"), ("GET", f"/parties{ID}/error")]
)
async def test_methods_that_are_unknown(dfsps: PartyDfsps, method: str, path: str) -> None:
    assert (405, "3000") == (await dfsps.send(method, path)).error[:2]


async def test_what_the_hub_seems_to_send(dfsps: PartyDfsps) -> None:
    answer = await dfsps.send("GET", f"/parties{ID}", "Hub")
    assert (400, "3101", "Malformed syntax - invalid fspiop-source header") == answer.error
    answer = await dfsps.send("POST", f"/participants{ID}", "Hub", {"fspId": "Hub"})
    assert (400, "3200", "Generic ID not found - Requester FSP not found") == answer.error
    assert nothing_was_kept(dfsps)

    for method, path, body in ROUTES:
        if (method, path.split("/")[1]) in (("GET", "parties"), ("POST", "participants")) and path != "/participants":
            continue
        assert [] == await dfsps.callbacks_of(method, path, "Hub", body, FSPIOP_Destination=PAYEE), (method, path)
