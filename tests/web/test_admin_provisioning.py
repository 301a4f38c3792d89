"""Setting up a scheme as its tools do: over and over, and with all that can be wrong in what they send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from clearinghub.domain.participants.endpoints import ENDPOINT_TYPES, check_endpoint
from tests.web.admin_world import FUNDS_ID, LIMIT, MODEL, Operator, an_operator, funds

BENCH_DFSPS = ("payerfsp1", "payeefsp1")
ENDPOINTS = {
    "FSPIOP_CALLBACK_URL_TRANSFER_POST": "transfers",
    "FSPIOP_CALLBACK_URL_TRANSFER_PUT": "transfers/{{transferId}}",
    "FSPIOP_CALLBACK_URL_TRANSFER_ERROR": "transfers/{{transferId}}/error",
}
BILLION = 1_000_000_000


async def provision(operator: Operator) -> list[int]:
    """What a load generator does before its run, whether it has been done or not; returns the statuses."""
    statuses = []

    async def call(path: str, body: Any) -> None:
        statuses.append((await operator.post(path, body)).status)

    for kind in ("HUB_MULTILATERAL_SETTLEMENT", "HUB_RECONCILIATION"):
        await call("/participants/Hub/accounts", {"currency": "USD", "type": kind})
    await call("/settlementModels", MODEL)
    for name in BENCH_DFSPS:
        await call("/participants", {"name": name, "currency": "USD"})
        limit = {"type": "NET_DEBIT_CAP", "value": BILLION}
        await call(
            f"/participants/{name}/initialPositionAndLimits", {"currency": "USD", "limit": limit, "initialPosition": 0}
        )
        for kind, path in ENDPOINTS.items():
            value = f"http://127.0.0.1:14040/{name}/{path}"
            await call(f"/participants/{name}/endpoints", {"type": kind, "value": value})
        account = await operator.account("SETTLEMENT", name)
        if -account["value"] < BILLION:
            body = funds("recordFundsIn", str(BILLION), str(uuid4()))
            del body["extensionList"]
            await call(f"/participants/{name}/accounts/{account['id']}", body)
    return statuses


async def test_provisioning_twice(operator: Operator) -> None:
    assert [201, 201, 201, *[201, 201, 201, 201, 201, 202] * 2] == await provision(operator)
    assert [400, 400, 400, *[400, 500, 201, 201, 201] * 2] == await provision(operator)

    for name in BENCH_DFSPS:
        accounts = (await operator.get(f"/participants/{name}/accounts")).json
        assert [("POSITION", 0, 1), ("SETTLEMENT", -BILLION, 1)] == [
            (one["ledgerAccountType"], one["value"], one["isActive"]) for one in accounts
        ]
    assert 2 * BILLION == (await operator.account("HUB_RECONCILIATION", "Hub"))["value"]


async def test_a_scheme_of_several_currencies() -> None:
    """The reference's own set-up: a model for all currencies, one for its own, and two for continuous gross."""
    async with an_operator(hub_name="switch") as operator:
        for currency in ("USD", "BGN", "INR"):
            for kind in ("HUB_MULTILATERAL_SETTLEMENT", "HUB_RECONCILIATION"):
                body = {"type": kind, "currency": currency}
                assert 201 == (await operator.post("/participants/switch/accounts", body)).status
        net = {name: value for name, value in MODEL.items() if name != "currency"}
        gross = {"settlementGranularity": "GROSS", "settlementInterchange": "BILATERAL", "settlementDelay": "IMMEDIATE"}
        fees = {"ledgerAccountType": "INTERCHANGE_FEE", "settlementAccountType": "INTERCHANGE_FEE_SETTLEMENT"}
        for model in (
            {**net, "name": "DEFERREDNETXXX", "currency": "XXX"},
            {**net, "name": "DEFAULTDEFERREDNET"},
            {**net, **gross, "name": "CGS", "currency": "INR", "autoPositionReset": False},
            {**net, **fees, "name": "INTERCHANGEFEE", "currency": "INR"},
        ):
            assert 201 == (await operator.post("/settlementModels", model)).status
        for currency in ("USD", "BGN", "INR"):
            assert 201 == (await operator.post("/participants", {"name": "payerfsp", "currency": currency})).status
            limit = {"currency": currency, "limit": {"type": "NET_DEBIT_CAP", "value": 1000000}, "initialPosition": 0}
            assert 201 == (await operator.post("/participants/payerfsp/initialPositionAndLimits", limit)).status

        pair = ["POSITION", "SETTLEMENT"]
        accounts = (await operator.get("/participants/payerfsp")).json["accounts"]
        assert [*pair, *pair, *pair, "INTERCHANGE_FEE", "INTERCHANGE_FEE_SETTLEMENT"] == [
            one["ledgerAccountType"] for one in accounts
        ]
        assert 3 == len((await operator.get("/participants/payerfsp/limits")).json)


@pytest.mark.parametrize("kind", sorted(ENDPOINT_TYPES))
async def test_every_type_of_endpoint_is_accepted(operator: Operator, kind: str) -> None:
    value = {"ALARM_NOTIFICATION_TOPIC": "alarms"}.get(
        kind, "some.email@example.com" if "EMAIL" in kind else "http://a"
    )
    assert check_endpoint(kind, value) is None

    assert 201 == (await operator.post("/participants/Hub/endpoints", {"type": kind, "value": value})).status


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    1e300,
    "",
    " ",
    "x" * 10_000,
    "\x00",
    "\u202e",
    "é",
    "ZZZ",
    "1e9999",
    "NaN",
    "-",
    [],
    [[]],
    [None],
    {},
    {"a": {"a": {}}},
    {"": ""},
)
ACCOUNTS = "/participants/dfsp/accounts"  # and below it `POSITION` or `SETTLEMENT`, for its id
BODIES: list[tuple[str, str, Any]] = [
    ("POST", "/participants", {"name": "new", "currency": "USD", "isProxy": False}),
    ("PUT", "/participants/dfsp", {"isActive": True}),
    ("POST", "/participants/dfsp/endpoints", {"type": "FSPIOP_CALLBACK_URL_QUOTES", "value": "http://a"}),
    ("POST", "/participants/dfsp/initialPositionAndLimits", LIMIT),
    (
        "PUT",
        "/participants/dfsp/limits",
        {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 1, "alarmPercentage": 10}},
    ),
    ("POST", "/participants/Hub/accounts", {"currency": "USD", "type": "HUB_FEE"}),
    ("PUT", f"{ACCOUNTS}/POSITION", {"isActive": True}),
    ("POST", f"{ACCOUNTS}/SETTLEMENT", funds("recordFundsIn", 1)),
    ("PUT", f"{ACCOUNTS}/SETTLEMENT/transfers/{FUNDS_ID}", {"action": "recordFundsOutCommit", "reason": "r"}),
    ("POST", "/settlementModels", {**MODEL, "name": "X1"}),
    ("PUT", "/settlementModels/DEFERREDNETUSD", {"isActive": True}),
    ("POST", "/ledgerAccountTypes", {"name": "X1", "description": "d", "isActive": True, "isSettleable": True}),
]


def spoilt(body: Any) -> Iterator[Any]:
    """The body with each of its parts replaced by each of the hostile values."""
    if isinstance(body, dict):
        for key in body:
            for value in (*HOSTILE, *spoilt(body[key])):
                yield {**body, key: value}
    elif isinstance(body, list):
        for value in spoilt(body[0]):
            yield [value]


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{method} {path}" for method, path, _ in BODIES])
async def test_nothing_from_outside_is_a_bug_inside(operator: Operator, method: str, path: str, body: Any) -> None:
    await operator.currency()
    await operator.dfsp()

    for kind in ("POSITION", "SETTLEMENT"):
        path = path.replace(kind, str((await operator.account(kind))["id"]))

    for sent in (body, *spoilt(body)):
        answer = await operator.send(method, path, data=json.dumps(sent), headers={"Content-Type": "application/json"})
        if answer.status >= 400:
            status, code, text = answer.error
            assert "Internal server error" != text, f"{sent} is answered {status} {code} {text}"


@pytest.mark.parametrize(
    "path",
    [
        "/participants/%FF%FE",
        "/participants/..%2F",
        "/participants/%00%00/accounts",
        "/participants/dfsp/endpoints?type=%FF",
        "/participants/dfsp/limits?currency=%00",
        "/participants/dfsp/limits?type=",
        "/participants/%F0%9F%92%B8/limits",
        "/settlementModels/%FF",
        "/enums/%FF",
        "/participants?isProxy=%FF",
    ],
)
async def test_paths_from_outside(operator: Operator, path: str) -> None:
    await operator.currency()
    await operator.dfsp()

    assert (await operator.get(path)).status in (200, 400, 404)


async def test_a_host_from_outside_is_not_repeated() -> None:
    """By a hub that takes any name of a host."""
    async with an_operator(bind_host="0.0.0.0", open_on_network=True) as operator:
        await operator.currency()
        await operator.dfsp()

        answer = await operator.send("GET", "/participants/dfsp", headers={"Host": 'evil"><script>'})

        assert answer.status in (200, 400)
        assert "script" not in answer.text


async def test_amounts_keep_every_digit(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp()

    await operator.funds("recordFundsIn", "12345678901234.5678")

    text = (await operator.get("/participants/dfsp/accounts")).text
    assert '"value":-12345678901234.5678,"reservedValue":0,' in text
    assert Decimal("-12345678901234.5678") == (await operator.account("SETTLEMENT"))["value"]
