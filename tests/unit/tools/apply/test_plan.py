"""The plan: which steps lie between a declared scheme and a hub's state."""

from __future__ import annotations

from dataclasses import replace

from clearinghub.tools.apply.live import LiveHolding, LiveParticipant, LiveState
from clearinghub.tools.apply.plan import make_plan
from clearinghub.tools.apply.steps import (
    SetAccountActive,
    SetEndpoint,
    SetLimit,
    SetModelActive,
    SetParticipantActive,
    TopUpFunds,
)
from clearinghub.tools.client.responses import LimitValue
from clearinghub.yaml_file import Fault
from tests.unit.tools.apply.declarations import after, declared

POST = "FSPIOP_CALLBACK_URL_TRANSFER_POST"
BASE = "currencies:\n  USD:\n    settlementModels:\n      DEFERREDNETUSD:\n"
FULL = (
    BASE
    + """\
participants:
  bank:
    currencies:
      USD: {netDebitCap: 100, fundsAtLeast: 500}
    endpoints: {TRANSFER_POST: http://bank/transfers}
"""
)
LIMIT = LimitValue.model_construct(value_units=1_000_000, alarm_percent=10)
THERE = LiveParticipant(
    holdings={"USD": LiveHolding(position_active=True, limit=LIMIT, funds_units=5_000_000)},
    endpoints={POST: "http://bank/transfers"},
)


def a_hub(bank: LiveParticipant | None = THERE) -> LiveState:
    """A hub that has USD as in BASE."""
    live = after(LiveState(), make_plan(declared(BASE), LiveState()).steps)
    return replace(live, participants={} if bank is None else {"bank": bank})


def test_an_empty_hub_gets_all_in_order() -> None:
    plan = make_plan(declared(FULL), LiveState())

    assert () == plan.conflicts
    assert [
        ("hub-account", "USD HUB_RECONCILIATION", None, "open"),
        ("hub-account", "USD HUB_MULTILATERAL_SETTLEMENT", None, "open"),
        ("settlement-model", "DEFERREDNETUSD", None, "DEFERRED NET MULTILATERAL, USD"),
        ("participant", "bank USD", None, "registered"),
        ("net-debit-cap", "bank USD", None, "100"),
        ("endpoint", "bank TRANSFER_POST", None, "http://bank/transfers"),
        ("funds", "bank USD", "0", "500"),
    ] == [(one.kind, one.subject, one.before, one.after) for one in (step.shown() for step in plan.steps)]


def test_a_hub_that_is_as_declared_gets_nothing() -> None:
    assert () == make_plan(declared(FULL), a_hub()).steps


def test_what_the_file_does_not_mention_is_left_alone() -> None:
    live = a_hub(replace(THERE, active=False, endpoints={POST: "http://bank/transfers", "OTHER": "x"}))
    live = replace(live, other_names=frozenset({"somebody"}), hub_accounts=live.hub_accounts | {("EUR", "HUB_FEE")})

    assert () == make_plan(declared(FULL.replace(", fundsAtLeast: 500", "")), live).steps


def test_only_differences_are_steps() -> None:
    text = FULL.replace("netDebitCap: 100", "alarmPercentage: 0, netDebitCap: 100").replace("http://bank", "http://new")

    assert (
        SetLimit("bank", "USD", LIMIT, 1_000_000, 0),
        SetEndpoint("bank", POST, "http://bank/transfers", "http://new/transfers"),
    ) == make_plan(declared(text), a_hub()).steps


def test_funds_are_topped_up_and_never_reduced() -> None:
    steps = make_plan(declared(FULL.replace("500", "500.0001")), a_hub()).steps

    assert (TopUpFunds("bank", "USD", 5_000_000, 5_000_001),) == steps
    assert () == make_plan(declared(FULL.replace("500", "499")), a_hub()).steps


def test_who_is_off_is_topped_up_when_it_is_on() -> None:
    poor = replace(THERE, active=False, holdings={"USD": replace(THERE.holdings["USD"], funds_units=0)})
    off, on = (FULL.replace("  bank:\n", f"  bank:\n    isActive: {flag}\n") for flag in ("false", "true"))

    assert () == make_plan(declared(off), a_hub(poor)).steps
    assert (
        SetParticipantActive("bank", active=True),
        TopUpFunds("bank", "USD", 0, 5_000_000),
    ) == make_plan(declared(on), a_hub(poor)).steps
    assert (SetParticipantActive("bank", active=False),) == make_plan(declared(off), a_hub()).steps


def test_the_first_cap_opens_the_account_so_it_is_switched_off_afterwards() -> None:
    text = FULL.replace("{netDebitCap", "{isActive: false, netDebitCap")
    steps = make_plan(declared(text), a_hub(None)).steps

    kinds = [type(step) for step in steps]
    assert kinds.index(SetLimit) < kinds.index(SetAccountActive)
    assert () == make_plan(declared(text), after(a_hub(None), steps)).steps


def test_a_model_can_be_switched() -> None:
    off = BASE.replace("USD:\n", "USD: {isActive: false}\n").replace("  USD: {isActive: false}\n", "  USD:\n", 1)

    assert (SetModelActive("DEFERREDNETUSD", active=False),) == make_plan(declared(off), a_hub()).steps


def test_what_cannot_be_changed_is_a_conflict() -> None:
    text = FULL.replace(
        "DEFERREDNETUSD:", "DEFERREDNETUSD: {settlementInterchange: BILATERAL, autoPositionReset: false}"
    )
    text = text.replace("  bank:\n", "  bank:\n    isProxy: true\n") + "  Other:\n    currencies: {USD: }\n"
    live = replace(a_hub(), other_names=frozenset({"other"}))
    model = ("currencies", "USD", "settlementModels", "DEFERREDNETUSD")

    assert (
        Fault(
            (*model, "settlementInterchange"),
            "is MULTILATERAL at the hub, not BILATERAL; a model can only be switched off",
        ),
        Fault((*model, "autoPositionReset"), "is true at the hub, not false; a model can only be switched off"),
        Fault(("participants", "bank", "isProxy"), "is false at the hub, and cannot be changed"),
        Fault(("participants", "Other"), "the hub knows other, which differs only in case"),
    ) == make_plan(declared(text), live).conflicts


def test_a_currency_needs_a_model() -> None:
    text = "currencies: {USD: }\nparticipants: {bank: {currencies: {USD: }}}\n"
    lacking = "neither the file nor the hub has an active settlement model for this currency"

    assert [Fault(("participants", "bank", "currencies", "USD"), lacking)] == list(
        make_plan(declared(text), LiveState()).conflicts
    )
    assert () == make_plan(declared(text), a_hub(None)).conflicts
    assert () == make_plan(declared(text + "settlementModels: {DEFAULT: }\n"), LiveState()).conflicts
    off = text + "settlementModels: {DEFAULT: {isActive: false}}\n"
    assert 1 == len(make_plan(declared(off), LiveState()).conflicts)
