"""A hub of three partitions that settles; its records arrive in any order that Kafka allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from agents.settlement.windows import latest_window
from clearinghub.config import Settings
from clearinghub.domain.participants.participant import Account, Participant, SettlementModel
from clearinghub.domain.settlement.settlement import Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Window
from tables.counters import COUNTERS
from tables.positions import POSITIONS
from tables.settlements import (
    ACCOUNTS,
    LEGS,
    SETTLEMENT_WINDOWS,
    SETTLEMENTS,
    accounts_prefix,
    legs_prefix,
    settlement_key,
    window_key,
)
from tables.windows import open_window
from tests.fakes import MemoryView, fields_of
from tests.in_memory_hub import PARTITIONS, InMemoryHub, TopicPartition

HUB = "Hub"
ENTRIES_AT_ONCE = 2  # so that most steps need several records
DFSPS = ("alpha", "beta", "gamma", "sigma")  # on partitions 1, 2, 1 and the hub's own, 0
NET_MODELS = ("USDNET", "PAIRS", "DEFAULT")
CURRENCIES = ("USD", "EUR", "KES", "INR")  # netted against all, netted by pairs, by the default model, immediate gross


def model(name: str, currency: str | None, *settlement_method: str) -> SettlementModel:
    delay, granularity, interchange = settlement_method
    return SettlementModel(
        1,
        name,
        True,
        granularity,
        interchange,
        delay,
        currency,
        True,
        "POSITION",
        "SETTLEMENT",
        True,
    )


MODELS = (
    model("USDNET", "USD", "DEFERRED", "NET", "MULTILATERAL"),
    model("PAIRS", "EUR", "DEFERRED", "NET", "BILATERAL"),
    model("CGS", "INR", "IMMEDIATE", "GROSS", "BILATERAL"),
    model("DEFAULT", None, "DEFERRED", "NET", "MULTILATERAL"),
)


class SettlementWorld:
    """A hub whose participants have accounts in all currencies; nothing has been paid yet, and records wait.

    `expected` are the nets of each window by participant and currency, counted from the payments.
    """

    def __init__(
        self, make_view: Callable[..., MemoryView] = MemoryView, entries_at_once: int = ENTRIES_AT_ONCE
    ) -> None:
        settings = Settings(partitions=PARTITIONS, settlement_entries_at_once=entries_at_once)
        self.hub = InMemoryHub(settings, make_view=make_view, delivers_at_once=False)
        self.expected: dict[int, Counter[tuple[str, str]]] = {}
        for number, name in enumerate((HUB, *DFSPS), start=1):
            self._enroll(name, number)
        self.hub.punctuate()  # announces the models to all partitions
        self.hub.deliver_all()

    def _enroll(self, name: str, number: int) -> None:
        types = ("HUB_MULTILATERAL_SETTLEMENT",) if name == HUB else ("POSITION", "SETTLEMENT")
        kinds = [(currency, account_type) for currency in CURRENCIES for account_type in types]
        accounts = tuple(
            Account(100 * number + place, *kind, True, self.hub.now_ms) for place, kind in enumerate(kinds)
        )
        models = MODELS if name == HUB else ()
        participant = Participant(number, name, True, 1, accounts=accounts, models=models, version=1)
        self.hub.enroll(participant, net_debit_cap=100)

    def pay(self, payer: str, payee: str, amount: int, currency: str) -> None:
        """A transfer commits on its payer's partition."""
        row = self.hub.commit(payer, payee, amount, currency)
        assert row.window is not None
        nets = self.expected.setdefault(row.window, Counter())
        nets[payer, currency] += amount
        nets[payee, currency] -= amount

    def command(self, name: str, **args: Any) -> None:
        """Run a command of the settlement API; its reply may come at once or later."""
        self.hub.command(name, HUB, args)
        self.hub.deliver(("command", self.hub.coordinator.partition))

    def deliver(self, place: TopicPartition) -> None:
        """Decide the next record of a topic's partition; one that closes a window too early must raise."""
        _topic, partition = place
        first = self.hub.waiting[place][0]
        line, _body = fields_of(first.value)
        window_before_is_lost = line["kind"] == "close-window" and line["window"] > open_window(
            self.hub.views[partition]
        )
        if window_before_is_lost:
            with pytest.raises(AssertionError, match="is closed while"):
                self.hub.deliver(place)
        else:
            self.hub.deliver(place)

    def lose(self, place: TopicPartition) -> None:
        """Lose the next record there, as to the dead letter, if it is one by which windows close."""
        line, _body = fields_of(self.hub.waiting[place][0].value)
        if line["kind"] in ("close-window", "window-marker", "window-report"):
            self.hub.take(place)

    def deliver_all(self) -> None:
        """Decide all waiting records, and what follows from them, one topic's partition after the other."""
        while self.hub.waiting:
            self.deliver(next(iter(self.hub.waiting)))

    @property
    def replies(self) -> list[dict[str, Any]]:
        """The replies since they were last cleared."""
        return [one.header for one in self.hub.written["reply"]]

    def clear_replies(self) -> None:
        self.hub.written["reply"].clear()

    def settlements(self) -> list[Settlement]:
        count = self.hub.coordinator.get(COUNTERS, "settlement") or 0
        found = (self.hub.coordinator.get(SETTLEMENTS, settlement_key(number)) for number in range(1, count + 1))
        return [one for one in found if one is not None]

    def accounts(self, settlement_id: int) -> list[SettlementAccount]:
        rows = self.hub.coordinator.tables.get(ACCOUNTS.name, {})
        prefix = accounts_prefix(settlement_id)
        return [ACCOUNTS.decode(rows[key]) for key in sorted(rows) if key.startswith(prefix)]

    def legs(self, settlement_id: int, account_id: int) -> list[int]:
        rows = self.hub.coordinator.tables.get(LEGS.name, {})
        prefix = legs_prefix(settlement_id, account_id)
        return [LEGS.decode(row).net for key, row in rows.items() if key.startswith(prefix)]

    def windows(self) -> list[Window]:
        latest = latest_window(self.hub.coordinator)
        found = (self.hub.coordinator.get(SETTLEMENT_WINDOWS, window_key(number)) for number in range(1, latest + 1))
        return [one for one in found if one is not None]

    def total(self, currency: str) -> int:
        """All accounts of a currency, and what is on its way to one."""
        held = sum(row.value for row in self.hub.rows(POSITIONS).values() if row.currency == currency)
        messages = [fields_of(one.value)[0] for queue in self.hub.waiting.values() for one in queue]
        coming = sum(
            message["change"] for message in messages if message["kind"] == "credit" and message["currency"] == currency
        )
        owed = sum(
            move[1]
            for message in messages
            if message["kind"] == "settlement-moved" and message["currency"] == currency
            for move in message["moves"]
        )
        return int(held + coming - owed)
