"""How far the archive is, as the ledger knows it: its copy of the compacted topic `archived`."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import Gauge

from clearinghub.config import Settings
from clearinghub.kafka.view import CompactedView
from clearinghub.messages.archived import Archived, archived_key, decode_archived

OVERDUE = Gauge(
    "clearinghub_retention_overdue_seconds",
    "How long finished transfers have been due to leave the ledger and are not archived, the longest",
)
VALID_S: Final = 30.0  # what a partition has told since; it may be another worker's by now


class ArchivedView(CompactedView[Archived]):
    """See `clearinghub.ports.Archive`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "archived", decode_archived)
        self._overdue: dict[tuple[int, str], tuple[int, float]] = {}
        OVERDUE.set_function(self._longest_overdue_s)

    def sequence(self, partition: int) -> int:
        """All final states of the partition up to this one are archived."""
        told = self.values.get(archived_key("transfers", partition))
        return 0 if told is None or told.sequence is None else told.sequence

    def overdue(self, partition: int, table: str, overdue_ms: int) -> None:
        """The partition keeps rows of that table so long beyond their time."""
        self._overdue[partition, table] = (overdue_ms, time.monotonic())

    def _longest_overdue_s(self) -> float:
        now_s = time.monotonic()
        told = [overdue_ms for overdue_ms, told_s in self._overdue.values() if now_s - told_s <= VALID_S]
        return max(told, default=0) / 1000
