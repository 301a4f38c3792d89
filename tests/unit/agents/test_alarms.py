"""Alarms as the agents raise them: on topic `events`, and to who has registered a URL for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.alarms import ADJUSTMENT, BREACH
from clearinghub.callbacks.notification import Notification
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.messages import encode
from clearinghub.messages.callbacks import ALARM_RESOURCE
from clearinghub.messages.transfers import PrepareMessage
from tests.unit.agents.commands import NOW_MS, Ledger, funded_ledger
from tests.unit.domain.samples import CONDITION

UNIT = 10_000
ALARM_URL = "http://alarms.example/dfsp"
PAYEE = Participant(9, "payee", active=True, created_at_ms=0, accounts=(Account(90, "USD", "POSITION", True, 0),))


class Payer:
    """A DFSP with a cap of 1000 and funds of 100, its alarm at 5 per cent of the cap."""

    def __init__(self) -> None:
        self.ledger: Ledger = funded_ledger()
        self.ledger.done("adjust-limit", currency="USD", net_debit_cap=1_000 * UNIT, alarm_percent=5)
        self.ledger.hub.participants.by_name["payee"] = PAYEE

    def pays(self, units: int, transfer_id: str = "t-1") -> None:
        message = PrepareMessage(
            id=transfer_id,
            source="dfsp",
            payer="dfsp",
            payee="payee",
            amount=units * UNIT,
            currency="USD",
            condition=CONDITION,
            expires_at_ms=NOW_MS + 60_000,
            hash=transfer_id,
            headers={},
            trace="00-trace",
        )
        self.ledger.clear()
        partition = self.ledger.view.partition
        self.ledger.hub.write("prepare", "dfsp", encode(message, b"{}"), partition)
        self.ledger.hub.deliver(("prepare", partition))

    def events(self) -> list[dict[str, Any]]:
        emitted = self.ledger.on("events")
        assert {"dfsp"} >= {one.key for one in emitted}
        return [json.loads(one.value) for one in emitted]

    def alarm_calls(self) -> list[Notification]:
        sent = [Notification.parse(one.value) for one in self.ledger.on("notification")]
        return [one for one in sent if one.message.resource == ALARM_RESOURCE]


@pytest.fixture
def payer() -> Payer:
    return Payer()


def test_a_reservation_that_reaches_the_threshold(payer: Payer) -> None:
    payer.pays(49, "t-1")
    assert [] == payer.events()

    payer.pays(2, "t-2")
    assert [
        {
            "v": 1,
            "event": BREACH,
            "participant": "dfsp",
            "currency": "USD",
            "position": 51 * UNIT,
            "limit": 1_000 * UNIT,
            "percent": 5,
            "at": "2023-11-14T22:13:20.000Z",
            "transferId": "t-2",
        }
    ] == payer.events()
    assert [] == payer.alarm_calls()

    payer.pays(1, "t-3")
    assert [] == payer.events(), "once"


def test_who_has_a_url_is_called(payer: Payer) -> None:
    payer.ledger.done("set-endpoint", endpoint_type="ALARM_NOTIFICATION_URL", value=ALARM_URL)
    payer.pays(50)

    (call,) = payer.alarm_calls()
    assert ("POST", "dfsp", "Hub", "ALARM_NOTIFICATION_URL") == (
        call.message.method,
        call.message.receiver,
        call.message.source,
        call.message.endpoint,
    )
    assert call.message.id != "t-1", "the payment's callbacks do not wait for it"
    assert {
        "event": BREACH,
        "participant": "dfsp",
        "currency": "USD",
        "position": 50,
        "limit": 1000,
        "percent": 5,
        "at": "2023-11-14T22:13:20.000Z",
        "transferId": "t-1",
    } == json.loads(call.body)


def test_addresses_are_in_the_events(payer: Payer) -> None:
    payer.ledger.done("set-endpoint", endpoint_type="NET_DEBIT_CAP_THRESHOLD_BREACH_EMAIL", value="risk@dfsp.example")
    payer.ledger.done("set-endpoint", endpoint_type="NET_DEBIT_CAP_ADJUSTMENT_EMAIL", value="limits@dfsp.example")
    payer.pays(50)
    assert ["risk@dfsp.example"] == [event["email"] for event in payer.events()]

    payer.ledger.done("adjust-limit", currency="USD", net_debit_cap=900 * UNIT, alarm_percent=5)
    assert [(ADJUSTMENT, "limits@dfsp.example")] == [(event["event"], event["email"]) for event in payer.events()]


def test_limits_that_are_set_and_adjusted_are_events(payer: Payer) -> None:
    ledger = Ledger()
    ledger.done("register-participant", currency="USD", account_types=["POSITION", "SETTLEMENT"], is_proxy=False)
    ledger.done("set-initial-limit", currency="USD", net_debit_cap=100 * UNIT, initial_position=0)
    first = [json.loads(one.value) for one in ledger.on("events")]
    payer.ledger.done("adjust-limit", currency="USD", net_debit_cap=2_000 * UNIT, alarm_percent=7)

    common = {"v": 1, "event": ADJUSTMENT, "participant": "dfsp", "currency": "USD", "at": "2023-11-14T22:13:20.000Z"}
    assert [common | {"limit": 100 * UNIT, "percent": 10, "before": None}] == first
    assert [common | {"limit": 2_000 * UNIT, "percent": 7, "before": 1_000 * UNIT}] == payer.events()


def test_a_cap_that_is_lowered_onto_the_position(payer: Payer) -> None:
    payer.pays(40)
    payer.ledger.done("adjust-limit", currency="USD", net_debit_cap=100 * UNIT, alarm_percent=5)

    assert [(ADJUSTMENT, 100 * UNIT, None), (BREACH, 100 * UNIT, None)] == [
        (event["event"], event["limit"], event.get("transferId")) for event in payer.events()
    ]


def test_flags_say_nothing_of_limits(payer: Payer) -> None:
    payer.ledger.done("set-account-active", account_id=7, active=False)

    assert [] == payer.events()


def test_without_an_alarm_there_is_no_event(payer: Payer) -> None:
    payer.ledger.done("adjust-limit", currency="USD", net_debit_cap=1_000 * UNIT, alarm_percent=0)
    payer.pays(90)

    assert [] == payer.events()
