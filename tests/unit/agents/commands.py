"""One partition of the ledger that is sent commands, and a DFSP on it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from agents.context import LedgerContext
from agents.handlers import make_handlers
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.participants.position import Position
from clearinghub.messages import encode
from clearinghub.messages.commands import CommandMessage
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS
from tests.fakes import FakeParticipants, MemoryView, Offsets

NOW_MS = 1_700_000_000_000
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
        command = msgspec.Raw(msgspec.json.encode({"name": name, **args}))
        message = CommandMessage(
            participant=participant, correlation_id="c-1", reply_to="ingress-0", command=command, trace="00-trace"
        )
        handle = make_handlers(LedgerContext("Hub", FakeParticipants()))["command"]
        handle(self._offsets.record(encode(message), NOW_MS, participant), self.view)
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
        return [PARTICIPANTS.decode(one.value) for one in self.view.on("participants")]

    def movements(self) -> list[tuple[str, int, int, str, str]]:
        lines = [json.loads(one.value) for one in self.view.on("positions")]
        return [
            (line["accountType"], line["change"], line["value"], line["transferId"], line["entryType"])
            for line in lines
        ]


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


def funded_ledger() -> Ledger:
    """A DFSP with a limit and 100 units of funds."""
    ledger = Ledger()
    ledger.done("register-participant", **REGISTER)
    ledger.done("set-initial-limit", **LIMIT)
    ledger.done("record-funds-in", request=funds("in-1"))
    return ledger
