"""Participants and endpoints over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.admin_world import MODEL, Operator, an_operator

NOT_THERE = (400, "3200", "Generic ID not found - Participant does not exist")


async def test_a_participant_as_it_is_shown() -> None:
    async with an_operator(admin_hosts=("hub.example",)) as operator:
        await operator.currency()

        answer = await operator.send(
            "POST", "/participants", {"name": "dfsp", "currency": "USD"}, headers={"Host": "hub.example:4001"}
        )

        ids = [account["id"] for account in answer.json["accounts"]]
        assert 201 == answer.status
        assert {
            "name": "dfsp",
            "id": "http://hub.example:4001/participants/dfsp",
            "created": "2023-11-14T22:13:20.007Z",
            "isActive": 1,
            "links": {"self": "http://hub.example:4001/participants/dfsp"},
            "accounts": [
                {
                    "id": ids[0],
                    "ledgerAccountType": "POSITION",
                    "currency": "USD",
                    "isActive": 0,
                    "createdDate": "2023-11-14T22:13:20.007Z",
                    "createdBy": "unknown",
                },
                {
                    "id": ids[1],
                    "ledgerAccountType": "SETTLEMENT",
                    "currency": "USD",
                    "isActive": 0,
                    "createdDate": "2023-11-14T22:13:20.007Z",
                    "createdBy": "unknown",
                },
            ],
            "isProxy": 0,
        } == answer.json
        shown = await operator.send("GET", "/participants/dfsp", headers={"Host": "hub.example:4001"})
        assert (200, answer.json) == (shown.status, shown.json)


async def test_who_has_changed_something_waits_to_see_it(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp(limit=False)

    assert [("Hub", 1), ("Hub", 2), ("Hub", 3), ("dfsp", 1)] == operator.hub.participants.reached


async def test_all_participants(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp()
    await operator.post("/participants", {"name": "proxy", "currency": "USD", "isProxy": True})

    async def names(query: str) -> list[str]:
        return [one["name"] for one in (await operator.get(f"/participants{query}")).json]

    assert ["Hub", "dfsp", "proxy"] == await names("")
    assert ["proxy"] == await names("?isProxy=true")
    assert ["Hub", "dfsp"] == await names("?isProxy=0")


async def test_nobody_yet(operator: Operator) -> None:
    assert [] == (await operator.get("/participants")).json
    assert (400, "3200", "Generic ID not found - The requested resource could not be found.") == (
        await operator.get("/participants/dfsp")
    ).error


async def test_setting_up_in_the_wrong_order(operator: Operator) -> None:
    body = {"name": "dfsp", "currency": "USD"}
    hub_account = "account for the specified currency does not exist"

    assert (400, "3003", f"Add Party information error - Hub reconciliation {hub_account}") == (
        await operator.post("/participants", body)
    ).error
    await operator.post("/participants/Hub/accounts", {"currency": "USD", "type": "HUB_RECONCILIATION"})
    assert (400, "3003", f"Add Party information error - Hub multilateral net settlement {hub_account}") == (
        await operator.post("/participants", body)
    ).error
    await operator.post("/participants/Hub/accounts", {"currency": "USD", "type": "HUB_MULTILATERAL_SETTLEMENT"})
    assert (400, "6000", "Generic Settlement Error - Unable to find a matching or default, Settlement Model") == (
        await operator.post("/participants", body)
    ).error
    assert (400, "3200") == (await operator.get("/participants/dfsp")).error[:2], "whole, or not at all"


async def test_a_currency_is_registered_once(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp()

    assert (400, "3000", "Generic client error - Participant currency has already been registered") == (
        await operator.post("/participants", {"name": "dfsp", "currency": "USD"})
    ).error


async def test_a_second_currency(operator: Operator) -> None:
    await operator.currency()
    await operator.hub_accounts("EUR")
    await operator.post("/settlementModels", {**MODEL, "name": "DEFERREDNETEUR", "currency": "EUR"})
    await operator.dfsp()

    answer = await operator.post("/participants", {"name": "dfsp", "currency": "EUR"})

    assert 201 == answer.status
    assert [("USD", 1), ("USD", 1), ("EUR", 0), ("EUR", 0)] == [
        (account["currency"], account["isActive"]) for account in answer.json["accounts"]
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [("hub", "The name is the hub's own"), ("DFSP", "The name differs from a participant's only in case")],
)
async def test_names_that_would_be_mistaken(operator: Operator, name: str, text: str) -> None:
    await operator.currency()
    await operator.dfsp()

    assert (400, "3000", f"Generic client error - {text}") == (
        await operator.post("/participants", {"name": name, "currency": "USD"})
    ).error


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({}, "3102", 'Missing mandatory element - "name" is required'),
        ({"name": "dfsp"}, "3102", 'Missing mandatory element - "currency" is required'),
        ({"name": 7, "currency": "USD"}, "3101", 'Malformed syntax - "name" must be a string'),
        ({"name": "", "currency": "USD"}, "3101", 'Malformed syntax - "name" is not allowed to be empty'),
        (
            {"name": "d", "currency": "USD"},
            "3101",
            'Malformed syntax - "name" length must be at least 2 characters long',
        ),
        (
            {"name": "d" * 31, "currency": "USD"},
            "3101",
            'Malformed syntax - "name" length must be less than or equal to 30 characters long',
        ),
        ({"name": "a/b", "currency": "USD"}, "3101", 'Malformed syntax - "name" with value "a/b" fails to match'),
        ({"name": "..", "currency": "USD"}, "3101", 'Malformed syntax - "name" with value ".." fails to match'),
        ({"name": "limits", "currency": "USD"}, "3101", 'Malformed syntax - "name" with value "limits" fails'),
        ({"name": "d\nd", "currency": "USD"}, "3101", 'Malformed syntax - "name" with value "d\nd" fails'),
        ({"name": "dfsp", "currency": "ZZZ"}, "3101", 'Malformed syntax - "currency" must be one of [AED, AFN, ALL'),
        ({"name": "dfsp", "currency": ["USD"]}, "3101", 'Malformed syntax - "currency" must be one of [AED'),
        ({"name": "dfsp", "currency": "USD", "a": 1}, "3100", 'Generic validation error - "a" is not allowed'),
        (
            {"name": "dfsp", "currency": "USD", "isProxy": "maybe"},
            "3100",
            'Generic validation error - "isProxy" must be a boolean',
        ),
        (
            {"name": "dfsp", "currency": "USD", "isProxy": [1]},
            "3100",
            'Generic validation error - "isProxy" must be a boolean',
        ),
    ],
)
async def test_bodies_that_are_refused(operator: Operator, body: Any, code: str, text: str) -> None:
    status, found, description = (await operator.post("/participants", body)).error

    assert (400, code) == (status, found)
    assert description.startswith(text)
    assert len(description) <= 128


@pytest.mark.parametrize(
    ("data", "content_type", "text"),
    [
        (b"{", "application/json", "Malformed syntax - Invalid request payload JSON format"),
        (b"[]", "application/json", "Malformed syntax - /requestBody must be object"),
        (b"\xff", "application/json", "Malformed syntax - Invalid request payload JSON format"),
        (b'{"name":"\\ud800"}', "application/json", "Malformed syntax - Invalid request payload JSON format"),
        (b"{}", "text/plain", "Malformed syntax - Unsupported Media Type"),
        (b"name=dfsp", "application/x-www-form-urlencoded", "Malformed syntax - Unsupported Media Type"),
    ],
)
async def test_no_json(operator: Operator, data: bytes, content_type: str, text: str) -> None:
    answer = await operator.send("POST", "/participants", data=data, headers={"Content-Type": content_type})

    assert (400, "3101", text) == answer.error


@pytest.mark.parametrize("flag", [True, 1, "1", "true"])
async def test_proxies(operator: Operator, flag: Any) -> None:
    await operator.currency()

    answer = await operator.post("/participants", {"name": "proxy", "currency": "USD", "isProxy": flag})

    assert 1 == answer.json["isProxy"]


@pytest.mark.parametrize("flag", [False, 0, "0", "", None])
async def test_no_proxies(operator: Operator, flag: Any) -> None:
    await operator.currency()

    answer = await operator.post("/participants", {"name": "dfsp", "currency": "USD", "isProxy": flag})

    assert 0 == answer.json["isProxy"]


async def test_a_participant_is_switched_off_and_on(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp()

    off = await operator.put("/participants/dfsp", {"isActive": False})

    assert (200, 0) == (off.status, off.json["isActive"])
    assert 0 == (await operator.get("/participants/dfsp")).json["isActive"]
    assert 1 == (await operator.put("/participants/dfsp", {"isActive": "true"})).json["isActive"]


async def test_switching_needs_a_participant_and_a_flag(operator: Operator) -> None:
    assert NOT_THERE == (await operator.put("/participants/dfsp", {"isActive": False})).error
    assert (400, "3102", 'Missing mandatory element - "isActive" is required') == (
        await operator.put("/participants/dfsp", {})
    ).error
    assert (400, "3100", 'Generic validation error - "isActive" must be a boolean') == (
        await operator.put("/participants/dfsp", {"isActive": 1})
    ).error


@pytest.mark.parametrize("name", ["d", "d" * 31])
async def test_names_in_the_path(operator: Operator, name: str) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("GET", "/endpoints"), ("GET", "/limits"), ("GET", "/accounts")):
        answer = await operator.send(method, f"/participants/{name}{path}")
        assert (400, "3101", "Malformed syntax - 'name' URI path parameter") == answer.error


async def test_endpoints(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp()
    url = "http://dfsp.example/transfers/{{transferId}}"

    assert [] == (await operator.get("/participants/dfsp/endpoints")).json
    for value in ("http://old.example/{{transferId}}", url):
        answer = await operator.post(
            "/participants/dfsp/endpoints", {"type": "FSPIOP_CALLBACK_URL_TRANSFER_PUT", "value": value}
        )
        assert (201, "") == (answer.status, answer.text)
    await operator.post(
        "/participants/dfsp/endpoints", {"type": "FSPIOP_CALLBACK_URL_FX_QUOTES", "value": "http://dfsp.example"}
    )

    put = {"type": "FSPIOP_CALLBACK_URL_TRANSFER_PUT", "value": url}
    quotes = {"type": "FSPIOP_CALLBACK_URL_FX_QUOTES", "value": "http://dfsp.example"}
    assert [put, quotes] == (await operator.get("/participants/dfsp/endpoints")).json
    assert put == (await operator.get("/participants/dfsp/endpoints?type=FSPIOP_CALLBACK_URL_TRANSFER_PUT")).json
    assert {} == (await operator.get("/participants/dfsp/endpoints?type=FSPIOP_CALLBACK_URL_QUOTES")).json


async def test_the_hubs_endpoints_may_be_the_first_thing(operator: Operator) -> None:
    body = {"type": "NET_DEBIT_CAP_ADJUSTMENT_EMAIL", "value": "some.email@example.com"}

    assert 201 == (await operator.post("/participants/Hub/endpoints", body)).status
    assert [body] == (await operator.get("/participants/Hub/endpoints")).json


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "FSPIOP_CALLBACK_URL_TELEX", "value": "http://a"}, (400, "3100")),
        ({"type": "FSPIOP_CALLBACK_URL_QUOTES", "value": "file:///etc/passwd"}, (400, "3100")),
        ({"type": "FSPIOP_CALLBACK_URL_QUOTES", "value": ""}, (400, "3101")),
        ({"type": "FSPIOP_CALLBACK_URL_QUOTES"}, (400, "3102")),
        ({"value": "http://a"}, (400, "3102")),
    ],
)
async def test_endpoints_that_are_refused(operator: Operator, body: Any, expected: tuple[int, str]) -> None:
    await operator.currency()
    await operator.dfsp()

    assert expected == (await operator.post("/participants/dfsp/endpoints", body)).error[:2]


async def test_endpoints_of_nobody(operator: Operator) -> None:
    body = {"type": "FSPIOP_CALLBACK_URL_QUOTES", "value": "http://a"}

    assert NOT_THERE == (await operator.get("/participants/dfsp/endpoints")).error
    assert NOT_THERE == (await operator.post("/participants/dfsp/endpoints", body)).error
