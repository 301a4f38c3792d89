"""Hold the records of one input back until other inputs are decided past them (ADR 27).

Two topics have no order between them. A fetch may return a record of one, and only later what was written to the other
long before. For an input with `after`, the partition asks the broker where the other logs end, after it has read the
record. What was written before the record lies before those ends. So the record waits until they are decided.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from clearinghub.engine.batch import Batch

RETRY_S: Final = 0.5

log = structlog.get_logger(__name__)


class Logs(Protocol):
    """What a partition may know of its inputs' logs."""

    async def ends(self, number: int, topics: tuple[str, ...]) -> Mapping[str, int]:
        """Return where the logs of partition `number` end now, by topic: every record before has a smaller offset."""

    def is_read(self, number: int, topic: str, decided: int, offset: int) -> bool:
        """Return whether there is no record between `decided`, up to which the input is decided, and `offset`."""


class Holdback:
    """Says how many of an input's waiting records may be decided; requests the ends again for those that come later."""

    def __init__(
        self,
        number: int,
        after: tuple[str, ...],
        logs: Logs,
        decided: Callable[[str], int],
        wake: Callable[[], None],
    ) -> None:
        """`decided` returns up to which offset an input is decided; `wake` is called when more may be decided."""
        self._number = number
        self._after = after
        self._logs = logs
        self._decided = decided
        self._wake = wake
        self._ends: Mapping[str, int] | None = None  # which must be decided before the records below `_noted_below` are
        self._noted_below = 0
        self._free_below = 0
        self._request: asyncio.Task[None] | None = None

    def free(self, batches: deque[Batch]) -> int:
        """Return how many records of the first batch may be decided now; request the ends if some may not."""
        if self._ends is not None and all(self._is_past(topic, end) for topic, end in self._ends.items()):
            self._ends, self._free_below = None, self._noted_below
        if self._ends is None and self._request is None and batches[-1].end > self._free_below:
            self._request = asyncio.create_task(self._note_ends(batches[-1].end), name=f"ends-{self._number}")
        return bisect_left(batches[0].records, self._free_below, key=lambda record: record.offset)

    def close(self) -> None:
        if self._request is not None:
            self._request.cancel()

    def _is_past(self, topic: str, end: int) -> bool:
        decided = self._decided(topic)
        return decided >= end or self._logs.is_read(self._number, topic, decided, end)

    async def _note_ends(self, below: int) -> None:
        """Note where the other logs end, now that all records below `below` are read."""
        try:
            ends = await self._logs.ends(self._number, self._after)
        except Exception as error:  # noqa: BLE001 - whatever it is: until the broker answers, the records wait
            log.warning("log-ends-unknown", partition=self._number, topics=self._after, error=repr(error))
            await asyncio.sleep(RETRY_S)
        else:
            assert self._ends is None
            self._ends, self._noted_below = ends, below
        self._request = None
        self._wake()
