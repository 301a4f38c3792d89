"""How far the archive has come, read from the compacted topic `archived`; and what still waits for it."""

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
VALID_S: Final = 30.0  # an older report is dropped: the partition may have moved to another worker


class ArchivedView(CompactedView[Archived]):
    """Implements `clearinghub.ports.Archive`, and shows what waits for the archive as a metric."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "archived", decode_archived)
        self._overdue: dict[tuple[int, str], tuple[int, float]] = {}
        OVERDUE.set_function(self._longest_overdue_s)

    def sequence(self, partition: int) -> int:
        """Return the number up to which all final states of the partition are archived; 0 if none is."""
        archived = self.values.get(archived_key("transfers", partition))
        return 0 if archived is None or archived.sequence is None else archived.sequence

    def overdue(self, partition: int, table: str, overdue_ms: int) -> None:
        """Report how long, in milliseconds, the oldest expired row of `table` has been waiting for the archive."""
        self._overdue[partition, table] = (overdue_ms, time.monotonic())

    def _longest_overdue_s(self) -> float:
        now_s = time.monotonic()
        reports = [overdue_ms for overdue_ms, at_s in self._overdue.values() if now_s - at_s <= VALID_S]
        return max(reports, default=0) / 1000
