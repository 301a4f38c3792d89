"""A settlement by pairs of hundreds of DFSPs: nothing that it writes grows with the number of pairs."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any, ClassVar, Final, TypeVar

import orjson
import pytest

from agents.settlement.settlements import find_settlement
from agents.settlement.windows import find_window
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.settlement.netting import NettingGroup, Party
from clearinghub.engine.record import TableSpec
from clearinghub.messages import encode
from clearinghub.messages.settlement import WindowUsedMessage
from tables.nets import NetKey, change_net
from tables.positions import POSITIONS
from tests.fakes import Emitted, MemoryView
from tests.in_memory_hub import InMemoryHub
from tests.property.settlement_world import model

Row = TypeVar("Row")

HUB: Final = "Hub"
GROUP: Final = NettingGroup("EUR", "POSITION", "NET")
STATES: Final = ("PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED", "SETTLED")
MANY: Final = int(os.environ.get("DFSPS", "300"))  # a row with all pairs of so many is too large
RECORD_BYTES_MAX: Final = 512 * 1024  # of any row and any record; the engine refuses more than 7 MiB
DECISION_BYTES_MAX: Final = 1024 * 1024  # of all that one record's decision writes


class BoundedView(MemoryView):
    """A partition that measures what is written to it."""

    largest: ClassVar[Counter[str]] = Counter()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.written = 0

    def put(self, table: TableSpec[Row], key: str, row: Row) -> None:
        super().put(table, key, row)
        self._measure(f"row {table.name}", len(self.tables[table.name][key]))

    def emit(self, topic: str, key: str, value: bytes) -> None:
        super().emit(topic, key, value)
        self._measure(f"record {topic}", len(value))

    def emit_to_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        super().emit_to_partition(topic, partition, key, value)
        self._measure(f"record {topic}", len(value))

    def take(self) -> list[Emitted]:
        assert self.written <= DECISION_BYTES_MAX, f"one decision wrote {self.written} bytes"
        self.largest["decision"] = max(self.largest["decision"], self.written)
        self.written = 0
        return super().take()

    def _measure(self, kind: str, size: int) -> None:
        assert size <= RECORD_BYTES_MAX, f"{kind} of {size} bytes"
        self.written += size
        self.largest[kind] = max(self.largest[kind], size)


class Pairs:
    """A hub in which each of many DFSPs has paid each other one."""

    def __init__(self, dfsps: int) -> None:
        BoundedView.largest.clear()
        self.hub = InMemoryHub(make_view=BoundedView)
        self.names = [f"dfsp{number:04d}" for number in range(dfsps)]
        self.nets: Counter[str] = Counter()
        self.moves: set[int] = set()  # of an account by a leg, as hashes: there may be millions
        self.repeated = 0
        self.hub.followers["positions"].append(self._note_move)
        models = (model("PAIRS", "EUR", "DEFERRED", "NET", "BILATERAL"),)
        contra = (Account(1, "EUR", "HUB_MULTILATERAL_SETTLEMENT", True, 1),)
        self.hub.enroll(Participant(1, HUB, True, 1, accounts=contra, models=models, version=1))
        for number, name in enumerate(self.names, start=2):
            accounts = (Account(number, "EUR", "POSITION", True, 1),)
            self.hub.enroll(Participant(number, name, True, 1, accounts=accounts, version=1), net_debit_cap=10**9)
        self.hub.punctuate()
        self._pay()

    def _pay(self) -> None:
        """Count what the commits of all payments have counted: the payer's leg here, the payee's leg there."""
        for place, one in enumerate(self.names):
            for other in self.names[place + 1 :]:
                payer, payee = (one, other) if (place + int(other[4:])) % 3 else (other, one)
                amount = 1 + place % 7
                self._count(payer, payee, amount)
                self._count(payee, payer, -amount)
        for view in self.hub.views:
            assert isinstance(view, BoundedView)
            view.written = 0
        self.hub.write("settlement", HUB, encode(WindowUsedMessage(window=1)))

    def _count(self, name: str, counterparty: str, owed: int) -> None:
        self.nets[name] += owed
        key = NetKey(1, GROUP, Party(name, counterparty))
        change_net(self.hub.view_of(name), key, lambda net: net.debited(owed) if owed > 0 else net.credited(-owed))

    def _note_move(self, one: Emitted) -> None:
        self.hub.written["positions"].clear()
        row = orjson.loads(one.value)
        move = hash((row["participant"], row["transferId"]))
        self.repeated += move in self.moves
        self.moves.add(move)

    def command(self, name: str, **args: Any) -> dict[str, Any]:
        """Run a command until its reply is there, and all that follows."""
        self.hub.command(name, HUB, args)
        (reply,) = self.hub.new_records("reply")
        assert reply.header["error"] is None, reply.header
        return reply.header

    def advance(self, state: str) -> None:
        accounts = [
            {"participant_id": number, "account_id": number, "state": state, "reason": "r", "external_reference": None}
            for number in range(2, len(self.names) + 2)
        ]
        self.command("advance-settlement", settlement=1, accounts=accounts)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("dfsps", [120, pytest.param(MANY, marks=pytest.mark.slow)])
def test_all_pairs_of_many_dfsps_are_settled(dfsps: int) -> None:
    began_s = time.monotonic()
    pairs = Pairs(dfsps)
    legs = dfsps * (dfsps - 1)

    pairs.command("close-window", window=1, reason="closed")
    window = find_window(pairs.hub.coordinator, 1)
    assert window is not None
    assert ("CLOSED", legs // 2) == (window.state.value, window.contents[0].transfers)
    published = [orjson.loads(one.value) for one in pairs.hub.new_records("settlement-windows")]
    nets = [
        (one["participant"], one["counterparty"]) for row in published if row["kind"] == "nets" for one in row["nets"]
    ]
    assert legs == len(nets) == len(set(nets))
    assert "CLOSED" == published[-1]["state"]

    pairs.command("create-settlement", model="PAIRS", reason="r", windows=[1])
    for state in STATES:
        pairs.advance(state)
        settlement = find_settlement(pairs.hub.coordinator, 1)
        assert settlement is not None
        assert state == settlement.state.value
    assert 2 * legs == len(pairs.moves), "each leg moves its account, and the hub's"
    assert not pairs.repeated, "and each of them once"
    values = {row.participant: row.value for row in pairs.hub.rows(POSITIONS).values()}
    assert {HUB: 0, **{name: -net for name, net in pairs.nets.items()}} == values
    took_s = time.monotonic() - began_s
    print(f"{dfsps} DFSPs, {legs // 2} pairs, {took_s:.0f} s; largest in bytes: {dict(BoundedView.largest)}")
