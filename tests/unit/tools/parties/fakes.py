"""A fake hub that answers imports of parties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clearinghub.domain.parties.party import PartyEntry, PartyId
from clearinghub.engine.partitioner import Partitioner
from clearinghub.messages.parties import PartyImportItem, PartyImportMessage
from clearinghub.ports import CommandTimeoutError
from clearinghub.tools.parties.csv_file import Line


def line(number: int) -> Line:
    """The line with that number; its party has the number in its identifier."""
    return Line(number, PartyId("MSISDN", str(number)), PartyEntry("a"))


@dataclass
class FakeLedger:
    """Answers imports; the first `unanswered` requests get no answer."""

    partitions: int
    refuses: frozenset[str] = frozenset()
    unanswered: int = 0
    requests: int = 0
    batches: list[tuple[PartyImportItem, ...]] = field(default_factory=list)

    async def ask(self, topic: str, key: str, message: PartyImportMessage) -> Any:
        self.requests += 1
        if self.requests <= self.unanswered:
            raise CommandTimeoutError
        items = message.items
        partition_of = Partitioner({topic: self.partitions})
        assert {partition_of(topic, key)} == {partition_of(topic, item.party.key) for item in items}
        self.batches.append(items)
        refused = [[number, "taken"] for number, item in enumerate(items) if item.party.identifier in self.refuses]
        return {"added": len(items) - len(refused), "refused": refused}
