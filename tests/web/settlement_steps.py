"""Short cuts for tests of the settlement API."""

from __future__ import annotations

from typing import Any

from tests.web.admin_world import Operator

UNIT = 10_000
GROSS = {"settlementGranularity": "GROSS", "settlementInterchange": "BILATERAL", "settlementDelay": "IMMEDIATE"}
NET = {"alpha": 80, "beta": -60, "gamma": -20}


async def a_scheme(operator: Operator, *names: str) -> None:
    await operator.currency()
    for name in names or tuple(NET):
        await operator.dfsp(name)


def pay(operator: Operator, currency: str = "USD") -> None:
    """Make payments with nets of 80, -60 and -20."""
    for payer, payee, amount in (("alpha", "beta", 100), ("beta", "gamma", 40), ("gamma", "alpha", 20)):
        operator.hub.commit(payer, payee, amount * UNIT, currency)


async def close(operator: Operator, window_id: int = 1) -> Any:
    answer = await operator.post(f"/v2/settlementWindows/{window_id}", {"state": "CLOSED", "reason": "the day is over"})
    assert 200 == answer.status, answer.text
    return answer.json


def creation(*window_ids: int, model: str = "DEFERREDNETUSD") -> dict[str, Any]:
    return {"settlementModel": model, "reason": "day 1", "settlementWindows": [{"id": one} for one in window_ids]}


async def settlement(operator: Operator, *window_ids: int) -> Any:
    answer = await operator.post("/v2/settlements", creation(*(window_ids or (1,))))
    assert 200 == answer.status, answer.text
    return answer.json


async def a_settlement(operator: Operator) -> Any:
    await a_scheme(operator)
    pay(operator)
    await close(operator)
    return await settlement(operator)


def step(shown: Any, state: str, **changes: Any) -> dict[str, Any]:
    """Return the body that moves all accounts of a settlement to a state."""
    return {
        "participants": [
            {"id": one["id"], "accounts": [{"id": account["id"], "state": state, "reason": state.lower()} | changes]}
            for one in shown["participants"]
            for account in one["accounts"]
        ]
    }


async def advance(operator: Operator, shown: Any, *states: str) -> Any:
    for state in states:
        answer = await operator.put(f"/v2/settlements/{shown['id']}", step(shown, state))
        assert 200 == answer.status, answer.text
    return answer.json


async def positions(operator: Operator) -> dict[str, Any]:
    return {name: (await operator.account("POSITION", name))["value"] for name in NET}


def states(shown: Any) -> set[str]:
    return {account["state"] for one in shown["participants"] for account in one["accounts"]}


async def error_of(operator: Operator, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
    return (await operator.send(method, f"/v2{path}", body)).error


STEPS = ("PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED", "SETTLED")
