"""Topic `parked`: index what is parked, and go on with it when its receiver has room (ADR 25)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from clearinghub.callbacks.parking import Parking
from clearinghub.engine.record import Record

RECORDS_AT_ONCE = 64
"""Records indexed before other tasks may run."""


class ParkedAgent:
    """Feeds the index of what is parked. It never waits for a receiver, nor for room."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Take a fetched batch of one partition, in order; `next_offset` is where the reading continues after it."""
        home = self._parking.home(records[0].partition)
        for index, record in enumerate(records):
            if index % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1:
                await asyncio.sleep(0)
            if not home.is_open:
                return
            home.take(record)
        home.reach(next_offset)

    def revoke(self) -> None:
        """End the assignment."""
        self._parking.revoke()

    async def close(self) -> None:
        """Stop; what is not settled is read again."""
        await self._parking.close()
