"""A ledger of three partitions with the real agents of settlement; records arrive in any order that Kafka allows."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from agents.context import LedgerContext
from agents.handlers import make_handlers
from agents.posting import move_account
from agents.settlement.netting import book_commit
from agents.settlement.scheme import publish_scheme
from agents.settlement.windows import latest_window, make_window_punctuator
from clearinghub.domain.participants.participant import Account, Participant, SettlementModel
from clearinghub.domain.participants.position import Position
from clearinghub.domain.settlement.settlement import Settlement
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.transfers.transfer import State
from clearinghub.messages import CommandMessage, decode_fields, encode
from tables.counters import COUNTERS
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.settlements import SETTLEMENT_WINDOWS, SETTLEMENTS, settlement_key, window_key
from tables.windows import open_window
from tests.fakes import FakeParticipants, MemoryView, Offsets
from tests.unit.domain.samples import transfer

PARTITIONS = 3
HUB = "Hub"
HOME = {HUB: 0, "alpha": 0, "beta": 1, "gamma": 2, "delta": 1}
DFSPS = tuple(name for name in HOME if name != HUB)
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


@dataclass
class SettlementWorld:
    """Everybody has accounts in all currencies; nothing has been paid yet."""

    views: list[MemoryView] = field(default_factory=lambda: [MemoryView(n, PARTITIONS) for n in range(PARTITIONS)])
    waiting: dict[tuple[str, int], deque[tuple[str, bytes]]] = field(default_factory=dict)
    replies: list[dict[str, Any]] = field(default_factory=list)
    expected: dict[int, Counter[tuple[str, str]]] = field(default_factory=dict)
    now_ms: int = 1_700_000_000_000
    sent: int = 0

    def __post_init__(self) -> None:
        context = LedgerContext(HUB, FakeParticipants())
        self.handlers = make_handlers(context)
        for number, name in enumerate(HOME, start=1):
            self._join(name, number)
        hub = self.views[0].get(PARTICIPANTS, HUB)
        assert hub is not None
        publish_scheme(self.views[0], hub)
        make_window_punctuator(0, None)(self.views[0], self.now_ms)
        self._route(self.views[0])
        self.drain()

    def _join(self, name: str, number: int) -> None:
        types = ("HUB_MULTILATERAL_SETTLEMENT",) if name == HUB else ("POSITION", "SETTLEMENT")
        kinds = [(currency, account_type) for currency in CURRENCIES for account_type in types]
        accounts = tuple(Account(100 * number + place, *kind, True, self.now_ms) for place, kind in enumerate(kinds))
        view = self.views[HOME[name]]
        models = MODELS if name == HUB else ()
        view.put(PARTICIPANTS, name, Participant(number, name, True, 1, accounts=accounts, models=models, version=1))
        for account in accounts:
            key = position_key(name, account.currency, account.account_type)
            row = Position(name, account.currency, account.account_type, account.account_id, net_debit_cap=100)
            view.put(POSITIONS, key, row)

    def pay(self, payer: str, payee: str, amount: int, currency: str) -> None:
        """A transfer commits on its payer's partition."""
        self.sent += 1
        view = self.views[HOME[payer]]
        transfer_id = f"t-{self.sent}"
        key = position_key(payer, currency, "POSITION")
        move_account(view, key, amount, transfer_id, "PRINCIPLE_VALUE", self.now_ms)
        row = transfer(
            State.COMMITTED,
            transfer_id=transfer_id,
            payer=payer,
            payee=payee,
            amount=amount,
            currency=currency,
            window=open_window(view),
        )
        nets = self.expected.setdefault(open_window(view), Counter())
        nets[payer, currency] += amount
        nets[payee, currency] -= amount
        book_commit(view, HUB, row, None)
        self._route(view)

    def command(self, name: str, **args: Any) -> None:
        """A command of the settlement API; its reply may come at once or later."""
        self.now_ms += 1
        command = msgspec.Raw(msgspec.json.encode({"name": name, **args}))
        message = CommandMessage(participant=HUB, correlation_id=str(self.now_ms), reply_to="0", command=command)
        self.handlers["command"](Offsets("command").record(encode(message), self.now_ms, HUB), self.views[0])
        self._route(self.views[0])

    def deliver(self, place: tuple[str, int]) -> None:
        """The next record of a topic's partition arrives."""
        self.now_ms += 1
        topic, partition = place
        key, value = self._pop(place)
        view = self.views[partition]
        line, _body = decode_fields(value)
        if line["kind"] == "close-window" and line["window"] > open_window(view):  # the one before was set aside
            with pytest.raises(AssertionError, match="is closed while"):
                self.handlers[topic](Offsets(topic, partition).record(value, self.now_ms, key), view)
            return
        self.handlers[topic](Offsets(topic, partition).record(value, self.now_ms, key), view)
        self._route(view)

    def set_aside(self, place: tuple[str, int]) -> None:
        """The next record there goes to the dead letter, if it is one by which windows close."""
        line, _body = decode_fields(self.waiting[place][0][1])
        if line["kind"] in ("close-window", "window-marker", "window-report"):
            self._pop(place)

    def _pop(self, place: tuple[str, int]) -> tuple[str, bytes]:
        first = self.waiting[place].popleft()
        if not self.waiting[place]:
            del self.waiting[place]
        return first

    def drain(self) -> None:
        """All that is on its way arrives."""
        while self.waiting:
            self.deliver(next(iter(self.waiting)))

    def _route(self, view: MemoryView) -> None:
        for one in view.take():
            if one.topic in self.handlers:
                partition = HOME[one.key] if one.partition is None else one.partition
                self.waiting.setdefault((one.topic, partition), deque()).append((one.key, one.value))
            elif one.topic == "reply":
                self.replies.append(one.line)

    # What is to be seen.

    def settlements(self) -> list[Settlement]:
        count = self.views[0].get(COUNTERS, "settlement") or 0
        found = (self.views[0].get(SETTLEMENTS, settlement_key(number)) for number in range(1, count + 1))
        return [one for one in found if one is not None]

    def windows(self) -> list[Window]:
        latest = latest_window(self.views[0])
        found = (self.views[0].get(SETTLEMENT_WINDOWS, window_key(number)) for number in range(1, latest + 1))
        return [one for one in found if one is not None]

    def total(self, currency: str) -> int:
        """All accounts of a currency, and what is on its way to one."""
        held = sum(
            row.value for view in self.views for row in view.rows(POSITIONS).values() if row.currency == currency
        )
        lines = [decode_fields(value)[0] for queue in self.waiting.values() for _key, value in queue]
        coming = sum(line["change"] for line in lines if line["kind"] == "credit" and line["currency"] == currency)
        owed = sum(
            move[1]
            for line in lines
            if line["kind"] == "settlement-moved" and line["currency"] == currency
            for move in line["moves"]
        )
        return int(held + coming - owed)
