"""A partition of a hub that is sent commands, and a DFSP on it."""

from __future__ import annotations

import json
from typing import Any

from clearinghub.config import Settings
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.participants.position import Position
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS
from tests.fakes import Emitted
from tests.in_memory_hub import START_MS, InMemoryHub, WaitingRecord

NOW_MS = START_MS
REGISTER: dict[str, Any] = {"currency": "USD", "account_types": ["POSITION", "SETTLEMENT"], "is_proxy": False}
LIMIT: dict[str, Any] = {"currency": "USD", "net_debit_cap": 10_000_000, "initial_position": 0}


class Ledger:
    """A partition of a hub that is sent commands; what it writes to others waits, so that a test can look at it."""

    def __init__(self, partition: int = 2, partitions: int = 4) -> None:
        self.hub = InMemoryHub(Settings(partitions=partitions), delivers_at_once=False)
        self.hub.tick_ms = 0
        self.view = self.hub.views[partition]

    def reply_to(self, name: str, participant: str = "dfsp", /, **args: Any) -> dict[str, Any]:
        """Send a command and return its reply's header; `on` has what it wrote, and nothing from before."""
        self.clear()
        self.hub.command(name, participant, args, self.view.partition)
        self.hub.deliver(("command", self.view.partition))
        (reply,) = self.hub.written["reply"]
        assert "ingress-0" == reply.key
        return reply.header

    def clear(self) -> None:
        """Drop all that was written until now."""
        self.hub.written.clear()
        self.hub.waiting.clear()

    def on(self, topic: str) -> list[Emitted | WaitingRecord]:
        """Return what the last command wrote to a topic."""
        return [*self.hub.written[topic], *self.hub.waiting_on(topic)]

    def topics_written(self) -> set[str]:
        """Return the topics that the last command wrote to."""
        return {topic for topic, records in self.hub.written.items() if records} | {
            place[0] for place in self.hub.waiting
        }

    def done(self, name: str, participant: str = "dfsp", /, **args: Any) -> Any:
        reply = self.reply_to(name, participant, **args)
        assert reply["error"] is None
        return reply["result"]

    def refused(self, name: str, participant: str = "dfsp", /, **args: Any) -> dict[str, Any]:
        reply = self.reply_to(name, participant, **args)
        assert reply["result"] is None
        assert {"reply"} == self.topics_written(), "a refusal changes nothing"
        error: dict[str, Any] = reply["error"]
        return error

    def position(self, account_type: str, participant: str = "dfsp") -> Position:
        return self.view.rows(POSITIONS)[f"{participant}/USD/{account_type}"]

    def published(self) -> list[Participant]:
        return [PARTICIPANTS.decode(one.value) for one in self.on("participants")]

    def movements(self) -> list[tuple[str, int, int, str, str]]:
        names = ("accountType", "change", "value", "transferId", "entryType")
        rows = [json.loads(one.value) for one in self.on("positions")]
        return [(row[names[0]], row[names[1]], row[names[2]], row[names[3]], row[names[4]]) for row in rows]


def funds(transfer_id: str, amount: int = 1_000_000, **changes: Any) -> dict[str, Any]:
    # The ids on partition 2 of 4 are 3, 7, 11: the participant, its POSITION, its SETTLEMENT account.
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


def funded_ledger() -> Ledger:
    """Return a ledger with a DFSP that has a limit of 1000 and funds of 100."""
    ledger = Ledger()
    ledger.done("register-participant", **REGISTER)
    ledger.done("set-initial-limit", **LIMIT)
    ledger.done("record-funds-in", request=funds("in-1"))
    return ledger
