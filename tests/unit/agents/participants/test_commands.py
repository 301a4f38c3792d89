"""The command agent on one partition in memory: what it stores, publishes, answers, and passes to other partitions."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from agents.participants.commands import PARTICIPANT_COMMANDS
from agents.participants.credentials import CREDENTIAL_COMMANDS
from agents.settlement.commands import SETTLEMENT_COMMANDS
from clearinghub.domain.participants.participant import Participant
from clearinghub.messages import MalformedMessageError
from clearinghub.messages.commands import AnyCommand, DecideApproval
from tables.participants import PARTICIPANTS
from tests.unit.agents.commands import LIMIT, NOW_MS, REGISTER, Ledger, funded_ledger, funds

MODEL = {
    "name": "DEFERREDNETUSD",
    "granularity": "NET",
    "interchange": "MULTILATERAL",
    "delay": "DEFERRED",
    "currency": "USD",
    "require_liquidity_check": True,
    "ledger_account_type": "POSITION",
    "settlement_account_type": "SETTLEMENT",
    "auto_position_reset": True,
}


def participant_of(result: dict[str, Any]) -> Participant:
    return PARTICIPANTS.decode(json.dumps(result["participant"]).encode())


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def funded() -> Ledger:
    return funded_ledger()


def test_a_participant_is_stored_published_and_answered(ledger: Ledger) -> None:
    result = ledger.done("register-participant", **REGISTER)
    stored = ledger.view.rows(PARTICIPANTS)["dfsp"]

    assert stored == participant_of(result)
    assert [stored] == ledger.published()
    assert [3, 7, 11] == [stored.participant_id, *(account.account_id for account in stored.accounts)]
    assert NOW_MS == stored.created_at_ms
    assert [] == ledger.movements()
    assert not ledger.position("POSITION").active


def test_the_reply_names_its_command(ledger: Ledger) -> None:
    reply = ledger.reply_to("register-participant", **REGISTER)

    assert ("reply", "c-1", "ingress-0") == (reply["kind"], reply["correlation_id"], reply["reply_to"])


def test_ids_of_partitions_never_meet() -> None:
    given = []
    for partition in range(4):
        ledger = Ledger(partition)
        for name in ("one", "two"):
            row = participant_of(ledger.done("register-participant", name, **REGISTER))
            given += [row.participant_id, *(account.account_id for account in row.accounts)]

    assert sorted(given) == list(range(1, 25))


def test_a_refusal_is_an_answer(ledger: Ledger) -> None:
    ledger.done("register-participant", **REGISTER)

    assert {
        "code": "3000",
        "description": "Generic client error - Participant currency has already been registered",
        "status": 400,
    } == ledger.refused("register-participant", **REGISTER)


def test_the_hub_is_there_when_it_is_first_needed(ledger: Ledger) -> None:
    ledger.done("add-settlement-model", "Hub", model=MODEL)
    ledger.done("open-hub-account", "Hub", currency="USD", account_type="HUB_RECONCILIATION")
    ledger.done(
        "add-ledger-account-type",
        "Hub",
        account_type=("SAVINGS", "Savings", True, False),
    )
    hub = participant_of(ledger.done("set-endpoint", "Hub", endpoint_type="ALARM_NOTIFICATION_URL", value="http://a"))

    assert (4, ["DEFERREDNETUSD"], ["HUB_RECONCILIATION"], ["SAVINGS"]) == (
        hub.version,
        [model.name for model in hub.models],
        [account.account_type for account in hub.accounts],
        [kind.name for kind in hub.account_types],
    )
    assert ledger.position("HUB_RECONCILIATION", "Hub").active


def test_a_model_is_switched_off(ledger: Ledger) -> None:
    ledger.done("add-settlement-model", "Hub", model=MODEL)
    ledger.done("set-settlement-model-active", "Hub", model_name="DEFERREDNETUSD", active=False)

    assert [False] == [model.active for model in ledger.view.rows(PARTICIPANTS)["Hub"].models]
    assert "2001" == ledger.refused("set-settlement-model-active", "Hub", model_name="NONE", active=True)["code"]
    assert "3000" == ledger.refused("add-settlement-model", "Hub", model=MODEL)["code"]


def test_back_fill_opens_what_is_missing_and_nothing_else(ledger: Ledger) -> None:
    ledger.done("register-participant", **REGISTER)
    ledger.done("open-accounts", accounts=[["USD", "SETTLEMENT"], ["USD", "INTERCHANGE_FEE"]])
    once = ledger.view.rows(PARTICIPANTS)["dfsp"]
    ledger.done("open-accounts", accounts=[["USD", "SETTLEMENT"], ["USD", "INTERCHANGE_FEE"]])

    assert ["POSITION", "SETTLEMENT", "INTERCHANGE_FEE"] == [account.account_type for account in once.accounts]
    assert once == ledger.view.rows(PARTICIPANTS)["dfsp"]
    assert [] == ledger.published(), "nothing new, nothing published"


def test_the_first_limit_opens_the_accounts_in_both_places(ledger: Ledger) -> None:
    ledger.done("register-participant", **REGISTER)
    ledger.done("set-initial-limit", **LIMIT)

    assert [True, True] == [account.active for account in ledger.published()[0].accounts]
    assert (10_000_000, 10, True) == (
        ledger.position("POSITION").net_debit_cap,
        ledger.position("POSITION").alarm_percent,
        ledger.position("POSITION").active,
    )
    assert ledger.position("SETTLEMENT").active
    assert [] == ledger.movements()
    assert ("2001", 500) == (
        (error := ledger.refused("set-initial-limit", **LIMIT))["code"],
        error["status"],
    )


def test_an_initial_position_is_a_movement(ledger: Ledger) -> None:
    ledger.done("register-participant", **REGISTER)
    ledger.done("set-initial-limit", **(LIMIT | {"initial_position": 50_000}))

    assert [("POSITION", 50_000, 50_000, "command-2-1", "INITIAL_POSITION")] == ledger.movements()
    assert 50_000 == ledger.position("POSITION").value


def test_a_limit_is_adjusted(funded: Ledger) -> None:
    funded.done("adjust-limit", currency="USD", net_debit_cap=5, alarm_percent=80)

    assert (5, 80) == (funded.position("POSITION").net_debit_cap, funded.position("POSITION").alarm_percent)
    assert [] == funded.published(), "a limit is no part of what every process keeps"


def test_flags(funded: Ledger) -> None:
    funded.done("set-account-active", account_id=7, active=False)
    funded.done("set-active", active=False)
    stored = funded.view.rows(PARTICIPANTS)["dfsp"]

    assert (False, [False, True]) == (stored.active, [account.active for account in stored.accounts])
    assert not funded.position("POSITION").active
    assert 4 == stored.version


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("open-accounts", {"accounts": []}),
        ("set-active", {"active": True}),
        ("set-endpoint", {"endpoint_type": "FSPIOP_CALLBACK_URL_QUOTES", "value": "http://a"}),
        ("set-account-active", {"account_id": 1, "active": True}),
        ("set-initial-limit", LIMIT),
        ("adjust-limit", {"currency": "USD", "net_debit_cap": 1, "alarm_percent": 1}),
        ("record-funds-in", {"request": funds("x")}),
        ("reserve-funds-out", {"request": funds("x")}),
        ("commit-funds-out", {"account_id": 1, "transfer_id": "x"}),
        ("abort-funds-out", {"account_id": 1, "transfer_id": "x"}),
    ],
)
def test_nobody_is_there(ledger: Ledger, name: str, args: dict[str, Any]) -> None:
    assert {
        "code": "3200",
        "description": "Generic ID not found - Participant does not exist",
        "status": 400,
    } == ledger.refused(name, **args)


def test_a_command_of_a_newer_ingress(ledger: Ledger) -> None:
    assert {"code": "2002", "description": "Not implemented - fly", "status": 501} == ledger.refused("fly")


def test_a_command_that_is_not_of_its_form_is_a_poison_record(ledger: Ledger) -> None:
    with pytest.raises(MalformedMessageError, match="active"):
        ledger.reply_to("set-active", active="perhaps")


def test_every_command_has_a_handler() -> None:
    assert (
        set(get_args(AnyCommand)) - {DecideApproval}  # it runs another one: tests/web/test_approvals.py
        == PARTICIPANT_COMMANDS.keys() | CREDENTIAL_COMMANDS.keys() | SETTLEMENT_COMMANDS.keys()
    )
