"""Models side by side: immediate gross, netted by pairs, a default beside a currency's own, and fees."""

from __future__ import annotations

from typing import Any

from tests.web.admin_world import MODEL, Operator
from tests.web.settlement_steps import GROSS, NET, STEPS, UNIT, advance, close, creation, pay, positions, settlement

FEES = {"name": "FEES", "ledgerAccountType": "INTERCHANGE_FEE", "settlementAccountType": "INTERCHANGE_FEE_SETTLEMENT"}


async def a_scheme_of(operator: Operator, *models: dict[str, Any], currencies: tuple[str, ...] = ("USD",)) -> None:
    for currency in currencies:
        await operator.hub_accounts(currency)
    for one in models:
        body = {name: value for name, value in {**MODEL, **one}.items() if value is not None}
        answer = await operator.post("/settlementModels", body)
        assert 201 == answer.status, answer.text
    for name in NET:
        for currency in currencies:
            await operator.post("/participants", {"name": name, "currency": currency})


async def held(operator: Operator, kind: str, currency: str = "USD") -> dict[str, Any]:
    return {name: (await operator.account(kind, name, currency))["value"] for name in NET}


async def test_immediate_gross_moves_settlement_accounts_with_each_transfer(operator: Operator) -> None:
    await a_scheme_of(operator, {**GROSS, "name": "CGS", "autoPositionReset": False})
    operator.hub.commit("alpha", "beta", 100 * UNIT)
    assert {"alpha": 0, "beta": 0, "gamma": 0} == await positions(operator)
    assert {"alpha": 100, "beta": -100, "gamma": 0} == await held(operator, "SETTLEMENT")
    rows = [(row["participant"], row["accountType"], row["change"] // UNIT) for _at, row in operator.ports.history.rows]
    assert [
        ("alpha", "POSITION", 100),
        ("alpha", "POSITION", -100),
        ("alpha", "SETTLEMENT", 100),
        ("beta", "POSITION", -100),
        ("beta", "POSITION", 100),
        ("beta", "SETTLEMENT", -100),
    ] == sorted(rows, key=lambda row: row[0])

    await close(operator)
    window = (await operator.get("/v2/settlementWindows/1")).json
    assert ("SETTLED", ["SETTLED"]) == (window["state"], [one["state"] for one in window["content"]])
    assert "can not be created for GROSS" in (await operator.post("/v2/settlements", creation(1, model="CGS"))).text


async def test_pairs_are_netted_and_settled_each_for_itself(operator: Operator) -> None:
    await a_scheme_of(operator, {"settlementInterchange": "BILATERAL"})
    pay(operator)
    operator.hub.commit("beta", "alpha", 30 * UNIT)
    await close(operator)
    shown = await settlement(operator)

    pairs = {
        (one["netSettlementAmount"]["amount"], other["name"]): other["amount"]
        for participant in shown["participants"]
        for one in participant["accounts"]
        for other in one["counterparties"]
    }
    assert {
        (50, "beta"): 70,
        (50, "gamma"): -20,
        (-30, "alpha"): -70,
        (-30, "gamma"): 40,
        (-20, "alpha"): 20,
        (-20, "beta"): -40,
    } == pairs
    await advance(operator, shown, *STEPS[:2])  # each loses what it is owed, whatever it owes to others
    assert {"alpha": 70, "beta": 40, "gamma": 20} == await positions(operator)
    settled = await advance(operator, shown, *STEPS[2:])
    assert "SETTLED" == settled["state"]
    assert dict.fromkeys(NET, 0) == await positions(operator)
    assert 0 == (await operator.account("HUB_MULTILATERAL_SETTLEMENT", "Hub"))["value"]


async def test_what_was_netted_against_all_is_not_settled_by_pairs(operator: Operator) -> None:
    await a_scheme_of(operator, {})
    pay(operator)
    await operator.put(f"/settlementModels/{MODEL['name']}", {"isActive": False})
    await operator.post("/settlementModels", {**MODEL, "name": "PAIRS", "settlementInterchange": "BILATERAL"})
    pay(operator)
    await close(operator)

    assert "Inapplicable windows 1" in (await operator.post("/v2/settlements", creation(1, model="PAIRS"))).text
    shown = await settlement(operator)
    await advance(operator, shown, *STEPS)
    assert dict.fromkeys(NET, 0) == await positions(operator)


async def test_a_currencys_own_model_and_the_default_settle_one_window_each_its_part(operator: Operator) -> None:
    await a_scheme_of(operator, {}, {"name": "DEFAULT", "currency": None}, currencies=("USD", "XTS", "XXX"))
    for currency in ("USD", "XTS", "XXX"):
        pay(operator, currency)
    await close(operator)

    by_default = (await operator.post("/v2/settlements", creation(1, model="DEFAULT"))).json
    amounts = {a["netSettlementAmount"]["currency"] for one in by_default["participants"] for a in one["accounts"]}
    assert {"XTS", "XXX"} == amounts
    done = await advance(operator, by_default, *STEPS)
    assert "PENDING_SETTLEMENT" == done["settlementWindows"][0]["state"]  # its USD waits for a settlement of its own
    own = await settlement(operator)
    done = await advance(operator, own, *STEPS)
    assert "SETTLED" == done["settlementWindows"][0]["state"]
    for currency in ("USD", "XTS", "XXX"):
        assert dict.fromkeys(NET, 0) == await held(operator, "POSITION", currency)


async def test_what_was_netted_before_a_currency_went_gross_is_the_defaults(operator: Operator) -> None:
    await a_scheme_of(operator, {"name": "DEFAULT", "currency": None})
    pay(operator)
    await operator.post("/settlementModels", {**MODEL, **GROSS, "name": "CGS", "autoPositionReset": False})
    pay(operator)
    await close(operator)

    answer = await operator.post("/v2/settlements", creation(1, model="DEFAULT"))
    assert 200 == answer.status, answer.text
    assert "SETTLED" == (await advance(operator, answer.json, *STEPS))["settlementWindows"][0]["state"]
    assert dict.fromkeys(NET, 0) == await positions(operator)


async def test_what_a_currencys_pairs_cannot_settle_is_the_defaults(operator: Operator) -> None:
    await a_scheme_of(operator, {"name": "DEFAULT", "currency": None})
    pay(operator)
    await operator.post("/settlementModels", {**MODEL, "name": "PAIRS", "settlementInterchange": "BILATERAL"})
    pay(operator)
    await close(operator)
    pay(operator)
    await close(operator, 2)

    assert "Inapplicable windows 1" in (await operator.post("/v2/settlements", creation(1, model="PAIRS"))).text
    refused = await operator.post("/v2/settlements", creation(1, 2, model="DEFAULT"))
    assert "Inapplicable windows 2" in refused.text  # all of that one is in pairs
    mixed = (await operator.post("/v2/settlements", creation(1, model="DEFAULT"))).json
    pairs = (await operator.post("/v2/settlements", creation(2, model="PAIRS"))).json
    for shown in (mixed, pairs):
        assert "SETTLED" == (await advance(operator, shown, *STEPS))["settlementWindows"][0]["state"]
    assert dict.fromkeys(NET, 0) == await positions(operator)


async def test_a_default_by_pairs_leaves_what_it_cannot_settle_either(operator: Operator) -> None:
    pairs = {"settlementInterchange": "BILATERAL"}
    await a_scheme_of(operator, {"name": "ALL", "currency": None}, currencies=("USD", "XTS"))
    pay(operator)
    await operator.post("/settlementModels", {**MODEL, **pairs, "name": "PAIRS"})
    default = {name: value for name, value in {**MODEL, **pairs, "name": "DEFAULT"}.items() if name != "currency"}
    await operator.put("/settlementModels/ALL", {"isActive": False})
    assert 201 == (await operator.post("/settlementModels", default)).status
    pay(operator, "XTS")
    await close(operator)

    answer = await operator.post("/v2/settlements", creation(1, model="DEFAULT"))
    currencies = {a["netSettlementAmount"]["currency"] for one in answer.json["participants"] for a in one["accounts"]}
    assert {"XTS"} == currencies
    again = await operator.post("/v2/settlements", creation(1, model="ALL"))  # out of force, and able to
    assert "SETTLED" == (await advance(operator, again.json, *STEPS))["state"]


async def test_fees_are_settled_by_their_own_model(operator: Operator) -> None:
    await a_scheme_of(operator, {}, FEES)
    operator.hub.commit("alpha", "beta", 100 * UNIT, fee=2 * UNIT)
    operator.hub.commit("gamma", "beta", 10 * UNIT, fee=-UNIT)
    assert {"alpha": 2, "beta": -1, "gamma": -1} == await held(operator, "INTERCHANGE_FEE")
    assert {"alpha": 100, "beta": -110, "gamma": 10} == await positions(operator)

    await close(operator)
    kinds = {
        one["ledgerAccountType"]: one["state"]
        for one in (await operator.get("/v2/settlementWindows/1")).json["content"]
    }
    assert {"INTERCHANGE_FEE": "CLOSED", "POSITION": "CLOSED"} == kinds
    answer = await operator.post("/v2/settlements", creation(1, model="FEES"))
    await advance(operator, answer.json, *STEPS)
    assert dict.fromkeys(NET, 0) == await held(operator, "INTERCHANGE_FEE")
    assert {"alpha": 100, "beta": -110, "gamma": 10} == await positions(operator)


async def test_without_automatic_reset_positions_stay(operator: Operator) -> None:
    await a_scheme_of(operator, {"autoPositionReset": False})
    pay(operator)
    await close(operator)
    shown = await settlement(operator)

    assert "SETTLED" == (await advance(operator, shown, *STEPS))["state"]
    assert NET == await positions(operator)
