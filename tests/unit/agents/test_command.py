"""The command agent on one partition in memory: what it stores, publishes, answers, and passes to other partitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.command import COMMANDS, on_command
from clearinghub.domain.participant import Participant, decode_participant, participant_of
from clearinghub.domain.position import Position
from clearinghub.domain.transfer import State
from clearinghub.messages import VERSION, encode
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS
from tables.transfers import TRANSFERS
from tests.fakes import MemoryView, Offsets

NOW_MS = 1_700_000_000_000
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
REGISTER: dict[str, Any] = {"currency": "USD", "account_types": ["POSITION", "SETTLEMENT"], "is_proxy": False}
LIMIT: dict[str, Any] = {"currency": "USD", "net_debit_cap": 10_000_000, "initial_position": 0}


class Ledger:
    """One partition that is sent commands."""

    def __init__(self, partition: int = 2, partitions: int = 4) -> None:
        self.view = MemoryView(partition, partitions)
        self._offsets = Offsets("command", partition)

    def reply_to(self, name: str, participant: str = "dfsp", /, **args: Any) -> dict[str, Any]:
        """Send a command; gives the reply's line. What was emitted before is forgotten."""
        self.view.take()
        line = {
            "v": VERSION,
            "kind": "command",
            "name": name,
            "participant": participant,
            "correlation_id": "c-1",
            "reply_to": "ingress-0",
            "args": {"hub_name": "Hub", **args},
            "trace": "00-trace",
        }
        on_command(self._offsets.record(encode(line), NOW_MS, participant), self.view)
        (reply,) = self.view.on("reply")
        assert "ingress-0" == reply.key
        return reply.line

    def done(self, name: str, participant: str = "dfsp", /, **args: Any) -> Any:
        reply = self.reply_to(name, participant, **args)
        assert reply["error"] is None
        return reply["result"]

    def refused(self, name: str, participant: str = "dfsp", /, **args: Any) -> dict[str, Any]:
        reply = self.reply_to(name, participant, **args)
        assert reply["result"] is None
        assert [] == [one.topic for one in self.view.emitted if one.topic != "reply"], "a refusal changes nothing"
        error: dict[str, Any] = reply["error"]
        return error

    def position(self, account_type: str, participant: str = "dfsp") -> Position:
        return self.view.rows(POSITIONS)[f"{participant}/USD/{account_type}"]

    def published(self) -> list[Participant]:
        return [decode_participant(one.value) for one in self.view.on("participants")]

    def movements(self) -> list[tuple[str, int, int, str, str]]:
        lines = [json.loads(one.value) for one in self.view.on("positions")]
        return [
            (line["accountType"], line["change"], line["value"], line["transferId"], line["entryType"])
            for line in lines
        ]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def funded() -> Ledger:
    """A DFSP with a limit and 100 units of funds."""
    ledger = Ledger()
    ledger.done("register-participant", **REGISTER)
    ledger.done("set-initial-limit", **LIMIT)
    ledger.done("record-funds-in", request=funds("in-1"))
    return ledger


def funds(transfer_id: str, amount: int = 1_000_000, **changes: Any) -> dict[str, Any]:
    # Ids of partition 2 of 4: 3, 7, 11; the participant's, the POSITION's, the SETTLEMENT's.
    request = {
        "transfer_id": transfer_id,
        "account_id": 11,
        "amount": amount,
        "currency": "USD",
        "hash": f"hash-{transfer_id}",
        "external_reference": "bank-7",
        "extensions": None,
    }
    return request | changes


def test_a_participant_is_stored_published_and_answered(ledger: Ledger) -> None:
    result = ledger.done("register-participant", **REGISTER)
    stored = ledger.view.rows(PARTICIPANTS)["dfsp"]

    assert stored == participant_of(result["participant"])
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
            row = participant_of(ledger.done("register-participant", name, **REGISTER)["participant"])
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
    ledger.done("add-ledger-account-type", "Hub", account_type={
        "name": "SAVINGS", "description": "Savings", "active": True, "settleable": False,
    })  # fmt: skip
    hub = participant_of(
        ledger.done("set-endpoint", "Hub", type="ALARM_NOTIFICATION_URL", value="http://a")["participant"]
    )

    assert (4, ["DEFERREDNETUSD"], ["HUB_RECONCILIATION"], ["SAVINGS"]) == (
        hub.version,
        [model.name for model in hub.models],
        [account.account_type for account in hub.accounts],
        [kind.name for kind in hub.account_types],
    )
    assert ledger.position("HUB_RECONCILIATION", "Hub").active


def test_a_model_is_switched_off(ledger: Ledger) -> None:
    ledger.done("add-settlement-model", "Hub", model=MODEL)
    ledger.done("set-settlement-model-active", "Hub", name="DEFERREDNETUSD", active=False)

    assert [False] == [model.active for model in ledger.view.rows(PARTICIPANTS)["Hub"].models]
    assert "2001" == ledger.refused("set-settlement-model-active", "Hub", name="NONE", active=True)["code"]
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
        ("set-endpoint", {"type": "FSPIOP_CALLBACK_URL_QUOTES", "value": "http://a"}),
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
    assert "fly" not in COMMANDS


def test_funds_in(funded: Ledger) -> None:
    assert [("SETTLEMENT", -1_000_000, -1_000_000, "in-1", "RECORD_FUNDS_IN")] == funded.movements()
    assert [
        {
            "v": 1,
            "kind": "credit",
            "id": "in-1",
            "participant": "Hub",
            "currency": "USD",
            "account_type": "HUB_RECONCILIATION",
            "change": 1_000_000,
            "entry": "RECORD_FUNDS_IN",
            "window": None,
            "trace": "00-trace",
        }
    ] == [one.line for one in funded.view.on("credit")]
    assert ["Hub"] == [one.key for one in funded.view.on("credit")]
    assert ["in-1"] == [one.key for one in funded.view.on("transfers")]
    assert State.COMMITTED is funded.view.rows(TRANSFERS)["in-1"].state


def test_funds_in_again_change_nothing(funded: Ledger) -> None:
    assert {"state": None, "reason": "repeated"} == funded.done("record-funds-in", request=funds("in-1"))
    assert ["reply"] == [one.topic for one in funded.view.emitted]
    assert -1_000_000 == funded.position("SETTLEMENT").value


def test_funds_out_reserved_and_committed(funded: Ledger) -> None:
    assert {"state": "RESERVED", "reason": None} == funded.done("reserve-funds-out", request=funds("out-1", 400_000))
    assert [("SETTLEMENT", 400_000, -600_000, "out-1", "RECORD_FUNDS_OUT")] == funded.movements()
    assert [] == funded.view.on("credit")

    done = funded.done("commit-funds-out", account_id=11, transfer_id="out-1")

    assert {"state": "COMMITTED", "reason": None} == done
    assert [] == funded.movements()
    assert [-400_000] == [one.line["change"] for one in funded.view.on("credit")]

    again = funded.done("commit-funds-out", account_id=11, transfer_id="out-1")

    assert {"state": None, "reason": "already COMMITTED"} == again
    assert ["reply"] == [one.topic for one in funded.view.emitted]


def test_funds_out_reserved_and_aborted(funded: Ledger) -> None:
    funded.done("reserve-funds-out", request=funds("out-1", 400_000))

    assert {"state": "ABORTED_REJECTED", "reason": None} == funded.done(
        "abort-funds-out", account_id=11, transfer_id="out-1"
    )
    assert [("SETTLEMENT", -400_000, -1_000_000, "out-1", "RECORD_FUNDS_OUT")] == funded.movements()
    assert [] == funded.view.on("credit")


def test_more_than_there_is(funded: Ledger) -> None:
    assert {
        "state": "ABORTED_REJECTED",
        "reason": "Payer FSP insufficient liquidity - Aborted due to insufficient funds",
    } == funded.done("reserve-funds-out", request=funds("out-1", 1_000_001))
    assert [] == funded.movements()
    assert State.ABORTED_REJECTED is funded.view.rows(TRANSFERS)["out-1"].state


@pytest.mark.parametrize("change", [{"account_id": 7}, {"account_id": 99}, {"currency": "EUR"}])
def test_accounts_that_take_no_funds(funded: Ledger, change: dict[str, Any]) -> None:
    for name in ("record-funds-in", "reserve-funds-out"):
        assert ("2001", 500) == (
            (error := funded.refused(name, request=funds("new", **change)))["code"],
            error["status"],
        )


def test_the_books_balance(funded: Ledger) -> None:
    """The hub's reconciliation account mirrors the funds, but for what is reserved to go out (fspiop 4.2)."""
    reconciliation = 1_000_000
    for name, args in (
        ("reserve-funds-out", {"request": funds("out-1", 300_000)}),
        ("reserve-funds-out", {"request": funds("out-2", 200_000)}),
        ("commit-funds-out", {"account_id": 11, "transfer_id": "out-1"}),
        ("abort-funds-out", {"account_id": 11, "transfer_id": "out-2"}),
        ("record-funds-in", {"request": funds("in-2", 5)}),
    ):
        funded.done(name, **args)
        reconciliation += sum(one.line["change"] for one in funded.view.on("credit"))

    assert 700_005 == reconciliation == -funded.position("SETTLEMENT").value
