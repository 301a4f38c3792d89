"""External oracles: their registry over HTTP, what the hub asks, and what the answers mean (protocol 6.1, 6.2)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clearinghub.callbacks.oracles.http_client import NO_ANSWER, OracleAnswer, sent_headers
from tests.web.admin_world import Operator
from tests.web.exchange import Callback
from tests.web.party_world import (
    ID,
    NO_PROXY,
    NOT_FOUND,
    PAYEE,
    PAYER,
    REQUEST_ID,
    STRANGER,
    SUB,
    PartyDfsps,
    error_of,
    hub_put,
    media,
    party_dfsps,
)

URL = "http://oracle:80"
ORACLE = {
    "oracleIdType": "MSISDN",
    "endpoint": {"value": URL, "endpointType": "URL"},
    "currency": "USD",
    "isDefault": True,
}
UNREACHABLE = ("1001", "Destination communication error - The oracle did not answer")
EXISTS = "Active oracle with matching partyIdTypeId, endpointTypeId, currencyId already exists"


@pytest.fixture
async def dfsps() -> AsyncIterator[PartyDfsps]:
    async with party_dfsps() as one:
        yield one


def answers(dfsps: PartyDfsps, *given: OracleAnswer) -> None:
    dfsps.exchange.hub.oracle_answers = list(given)
    dfsps.exchange.hub.questions.clear()


def questions_of(dfsps: PartyDfsps) -> list[tuple[str, str, Any]]:
    return [
        (one.message.method, one.message.url, json.loads(one.body) if one.body else None)
        for one in dfsps.exchange.hub.questions
    ]


def listing(*entries: dict[str, Any], status: int = 200) -> OracleAnswer:
    return OracleAnswer(status, json.dumps({"partyList": list(entries)}).encode())


async def test_an_oracles_life(operator: Operator) -> None:
    assert [] == (await operator.get("/oracles")).json
    assert (201, "") == ((answer := await operator.post("/oracles", ORACLE)).status, answer.text)

    (shown,) = (await operator.get("/oracles?type=MSISDN&currency=USD")).json
    oracle_id = shown.pop("oracleId")
    assert isinstance(oracle_id, int)
    assert {**ORACLE, "isDefault": 1} == shown
    again = await operator.post("/oracles", ORACLE)
    assert (500, "2001", f"Internal server error - {EXISTS}") == again.error
    assert 204 == (await operator.put(f"/oracles/{oracle_id}", {"currency": "EUR", "isDefault": False})).status
    assert 204 == (await operator.put(f"/oracles/{oracle_id}", {})).status
    (changed,) = (await operator.get("/oracles")).json
    assert ("EUR", 0, ORACLE["endpoint"]) == (changed["currency"], changed["isDefault"], changed["endpoint"])
    assert 201 == (await operator.post("/oracles", ORACLE)).status
    assert 500 == (await operator.put(f"/oracles/{oracle_id}", {"currency": "USD"})).status
    assert 204 == (await operator.send("DELETE", f"/oracles/{oracle_id}")).status
    assert [oracle_id] != [one["oracleId"] for one in (await operator.get("/oracles")).json]
    missing = (400, "3003", "Add Party information error - Oracle not found")
    assert missing == (await operator.send("DELETE", f"/oracles/{oracle_id}")).error
    assert missing == (await operator.put(f"/oracles/{oracle_id}", {})).error
    for query in ("?currency=INVALID", "?type=INVALID", "?type=INVALID&currency=INVALID"):
        assert [] == (await operator.get(f"/oracles{query}")).json


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"endpoint": None}, "3102", "endpoint"),
        ({"oracleIdType": None}, "3102", "oracleIdType"),
        ({"oracleIdType": "SHOE_SIZE"}, "3100", "oracleIdType"),
        ({"currency": "ZZZ"}, "3100", "currency"),
        ({"isDefault": "yes"}, "3101", "isDefault must be boolean"),
        ({"endpoint": {"value": URL, "endpointType": "FAX"}}, "3100", "endpointType"),
        ({"endpoint": {"value": URL}}, "3102", "endpointType"),
        *(
            ({"endpoint": {"value": value, "endpointType": "URL"}}, "3100", "")
            for value in (
                "",
                "oracle",
                "ftp://oracle",
                "http://me@oracle",
                "http://oracle/?a=b",
                "http://oracle/{{type}}",
                "http://oracle/#",
                "http://ora cle",
                f"http://{'o' * 512}",
            )
        ),
    ],
)
async def test_oracles_that_are_wrong(operator: Operator, change: dict[str, Any], code: str, text: str) -> None:
    body = {name: value for name, value in (ORACLE | change).items() if value is not None}

    status, notified, description = (await operator.post("/oracles", body)).error

    assert (400, code) == (status, notified)
    assert text in description
    assert [] == (await operator.get("/oracles")).json


async def test_how_an_oracle_must_be_sent(operator: Operator) -> None:
    data = json.dumps(ORACLE)
    headers = {"Content-Type": "application/json"}
    refused = await operator.send("POST", "/oracles", data=data, headers=headers, skip_auto_headers=("Accept",))
    assert (400, "3102", "Missing mandatory element - /header must have required property 'accept'") == refused.error
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        refused = await operator.send("POST", "/oracles", data=data, headers={"Content-Type": content_type})
        assert (400, "3101") == refused.error[:2]
    for bad in ("x", "0", "1.5"):
        assert (400, "3100") == (await operator.send("DELETE", f"/oracles/{bad}")).error[:2]
    headers = {"Content-Type": media("participants", "1.0"), "Accept": media("participants", "1")}
    assert 201 == (await operator.send("POST", "/oracles", data=data, headers=headers)).status


async def test_a_lookup(dfsps: PartyDfsps) -> None:
    await dfsps.oracle()
    entries = {"fspId": PAYEE, "currency": "USD"}, {"fspId": STRANGER}, {"fspId": "gone"}, {"fspId": PAYEE}
    answers(dfsps, listing(*entries))

    received = await dfsps.callbacks_of("GET", f"/parties{ID}")

    assert [("GET", f"{URL}/participants{ID}", None)] == questions_of(dfsps)
    assert [Callback(fsp, PAYER, "GET", f"/parties{ID}", None) for fsp in (PAYEE, STRANGER)] == received
    headers = sent_headers(dfsps.exchange.hub.questions[0].message.headers)
    assert (PAYER, media("participants")) == (headers["fspiop-source"], headers["content-type"])
    assert media("participants", "1") == headers["accept"]


async def test_a_lookup_of_a_sub_id_and_a_currency(dfsps: PartyDfsps) -> None:
    await dfsps.oracle()
    answers(dfsps, listing({"fspId": STRANGER}, {"fspId": PAYEE, "partySubIdOrType": "100"}))

    assert hub_put(f"/participants{SUB}", {"fspId": PAYEE}) == await dfsps.callbacks_of(
        "GET", f"/participants{SUB}?currency=USD"
    )
    assert [("GET", f"{URL}/participants{ID}?currency=USD&partySubIdOrType=100", None)] == questions_of(dfsps)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (NO_ANSWER, UNREACHABLE),
        (OracleAnswer(500), UNREACHABLE),
        (OracleAnswer(503, b'{"errorInformation":{"errorCode":"3204","errorDescription":"x"}}'), UNREACHABLE),
        (OracleAnswer(400), None),
        (OracleAnswer(404, b"not found"), None),
        (listing(), None),
        (OracleAnswer(403), ("3000", "Generic client error")),
        (OracleAnswer(302), ("3000", "Generic client error")),
        (OracleAnswer(409, b'{"errorInformation":{"errorCode":"3105","errorDescription":"Who?"}}'), ("3105", "Who?")),
        (
            OracleAnswer(409, b'{"errorInformation":{"errorCode":"9999","errorDescription":"Who?"}}'),
            ("3000", "Generic client error"),
        ),
        *(
            (OracleAnswer(200, body), ("1001", "Destination communication error - The oracle's answer cannot be read"))
            for body in (b"", b"{", b"[]", b"{}", b'{"partyList":[1]}', b'{"partyList":[{"fspId":7}]}', b"[" * 100_000)
        ),
    ],
)
async def test_a_lookups_answers(dfsps: PartyDfsps, answer: OracleAnswer, error: tuple[str, str] | None) -> None:
    await dfsps.oracle()
    answers(dfsps, answer, answer)

    assert error_of(f"/parties{ID}", *(error or NO_PROXY)) == await dfsps.callbacks_of("GET", f"/parties{ID}")
    assert error_of(f"/participants{ID}", *(error or NOT_FOUND)) == await dfsps.callbacks_of(
        "GET", f"/participants{ID}"
    )


async def test_changes(dfsps: PartyDfsps) -> None:
    await dfsps.oracle()
    path, body = f"/participants{SUB}", {"fspId": PAYEE, "currency": "USD"}
    own = {"fspId": PAYEE, "partySubIdOrType": "100"}
    done = hub_put(path, {"fspId": PAYEE}, PAYEE)
    sent = {**body, "partySubIdOrType": "100"}
    answers(dfsps, OracleAnswer(201), OracleAnswer(200, b""), listing(own), OracleAnswer(204))

    assert done == await dfsps.callbacks_of("POST", path, PAYEE, body)
    assert done == await dfsps.callbacks_of("PUT", path, PAYEE, body)
    assert done == await dfsps.callbacks_of("DELETE", path, PAYEE)

    url = f"{URL}/participants{ID}"
    assert [
        ("POST", url, sent),
        ("PUT", url, sent),
        ("GET", f"{url}?partySubIdOrType=100", None),
        ("DELETE", url, {"partySubIdOrType": "100"}),
    ] == questions_of(dfsps)


@pytest.mark.parametrize(
    ("method", "given", "error"),
    [
        ("POST", [OracleAnswer(200)], ("3003", "Add Party information error - The oracle refused")),
        (
            "POST",
            [OracleAnswer(409, b'{"errorInformation":{"errorCode":"3003","errorDescription":"There"}}')],
            ("3003", "There"),
        ),
        (
            "POST",
            [OracleAnswer(400, b'{"errorInformation":{"errorCode":"3101","errorDescription":"?"}}')],
            ("3003", "Add Party information error - The oracle refused"),
        ),
        ("POST", [NO_ANSWER], UNREACHABLE),
        ("PUT", [OracleAnswer(404)], ("3003", "Add Party information error - The oracle refused")),
        ("DELETE", [NO_ANSWER], UNREACHABLE),
        ("DELETE", [listing()], ("3040", "Delete Party information error - Party not found")),
        (
            "DELETE",
            [listing({"fspId": STRANGER})],
            ("3040", "Delete Party information error - The party's FSP is another one"),
        ),
        (
            "DELETE",
            [listing({"fspId": PAYEE}), OracleAnswer(400)],
            ("3040", "Delete Party information error - The oracle refused"),
        ),
        ("DELETE", [listing({"fspId": PAYEE}), OracleAnswer(502)], UNREACHABLE),
    ],
)
async def test_changes_that_come_to_nothing(
    dfsps: PartyDfsps, method: str, given: list[OracleAnswer], error: tuple[str, str]
) -> None:
    await dfsps.oracle()
    answers(dfsps, *given)
    body = None if method == "DELETE" else {"fspId": PAYEE}

    received = await dfsps.callbacks_of(method, f"/participants{ID}", PAYEE, body)

    assert error_of(f"/participants{ID}", *error, PAYEE) == received


async def test_a_batch_asks_each_oracle_once_for_a_type(dfsps: PartyDfsps) -> None:
    await dfsps.oracle("MSISDN")
    await dfsps.oracle("ALIAS")
    names = ("MSISDN", "1"), ("ALIAS", "a"), ("MSISDN", "2"), ("IBAN", "DE44500105175407324931"), ("MSISDN", "3")
    items = [{"partyIdType": kind, "partyIdentifier": name, "fspId": PAYEE} for kind, name in names]
    error = {"errorCode": "3003", "errorDescription": "There already"}
    results = [{"partyId": items[0]}, {"partyId": items[2], "errorInformation": error}, "nonsense"]
    answers(dfsps, OracleAnswer(201, json.dumps({"partyList": results}).encode()), OracleAnswer(500))

    body = {"requestId": REQUEST_ID, "partyList": items, "currency": "USD"}
    (callback,) = await dfsps.callbacks_of("POST", "/participants", PAYEE, body)

    assert ["POST", "POST"] == [method for method, _url, _body in questions_of(dfsps)]
    assert {**body, "partyList": [items[0], items[2], items[4]]} == questions_of(dfsps)[0][2]
    notified = [one.get("errorInformation", {}).get("errorCode") for one in callback.body["partyList"]]
    assert [None, "1001", "3003", None, "3003"] == notified


async def test_which_oracle_gets_the_question(dfsps: PartyDfsps) -> None:
    await dfsps.oracle("MSISDN", "USD")
    await dfsps.oracle("MSISDN", "EUR", is_default=True)
    answers(dfsps, *[listing({"fspId": PAYEE})] * 3)

    path = f"/participants{ID}"
    for query in ("", "?currency=USD"):
        assert hub_put(path, {"fspId": PAYEE}) == await dfsps.callbacks_of("GET", f"{path}{query}")
    description = "Add Party information error - Oracle type: MSISDN not found, currency: XTS"
    assert error_of(path, "3003", description) == await dfsps.callbacks_of("GET", f"{path}?currency=XTS")
    oracle_of = {one["currency"]: one["oracleId"] for one in (await dfsps.exchange.operator.get("/oracles")).json}
    questions = dfsps.exchange.hub.questions
    assert [oracle_of["EUR"], oracle_of["USD"]] == [one.message.oracle for one in questions]


async def test_types_that_the_built_in_oracle_does_not_serve() -> None:
    async with party_dfsps(built_in_oracle_types=["ALIAS"]) as dfsps:
        description = "Add Party information error - Oracle type: MSISDN not found"
        assert error_of(f"/parties{ID}", "3003", description) == await dfsps.callbacks_of("GET", f"/parties{ID}")
        assert hub_put("/participants/ALIAS/a", {"fspId": PAYEE}, PAYEE) == await dfsps.register("/ALIAS/a")


async def test_an_oracle_that_is_removed_between_two_questions(dfsps: PartyDfsps) -> None:
    await dfsps.register()
    await dfsps.oracle()
    answers(dfsps, listing())
    await dfsps.callbacks_of("DELETE", f"/participants{ID}", PAYEE)
    (question,) = dfsps.exchange.hub.questions
    (oracle,) = (await dfsps.exchange.operator.get("/oracles")).json
    assert 204 == (await dfsps.exchange.operator.send("DELETE", f"/oracles/{oracle['oracleId']}")).status

    dfsps.exchange.hub.write("party", question.message.reply_key, question.answered(listing({"fspId": PAYEE})))

    assert hub_put(f"/participants{ID}", {"fspId": PAYEE}, PAYEE) == dfsps.exchange.callbacks()
    assert error_of(f"/parties{ID}", *NO_PROXY) == await dfsps.callbacks_of("GET", f"/parties{ID}")
