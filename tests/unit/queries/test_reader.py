"""What the reader makes of rows that are gone by the time it asks for them."""

from __future__ import annotations

from clearinghub.config import Settings
from clearinghub.queries.reader import HttpLedgerReader
from tests.unit.domain.settlement.test_settlement import WINDOW


class EmptiedLedger(HttpLedgerReader):
    """Of a coordinator that has none of the rows any more."""

    async def _settlement_rows(self, path: str) -> list[bytes]:
        return []


async def test_a_window_may_be_gone_between_two_reads() -> None:
    reader = EmptiedLedger(Settings())

    assert await reader.sums(WINDOW) is None
    assert {} == await reader.sums(WINDOW.__class__(1, WINDOW.state, None, 1, 1))  # one that never had any
