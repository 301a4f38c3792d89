"""`Reminders`: which reminders of due transfers and bulks are written and not decided yet, by this process's memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

REMIND_AGAIN_AFTER_MS: Final = 30_000


class Reminders:
    """Says of which due rows a reminder is to be written now. No decision depends on it, so it may forget.

    A reminder that waits in its topic is not repeated. One that was decided and left its row due came too early, by a
    clock that is ahead of the broker's: the next run repeats it. One that is lost, with a round that was not committed,
    is repeated after a while.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, int], dict[str, int]] = {}

    def to_write(self, topic: str, partition: int, due: Iterable[str], now_ms: int) -> Iterator[str]:
        """Yield the keys of due rows of which a reminder is to be written now; forget all rows that are not due."""
        before = self._written.get((topic, partition), {})
        now = self._written[topic, partition] = {}
        for key in due:
            last_ms = before.get(key)
            # A last reminder in the future was written by a clock that was ahead; no handler acted on it.
            if last_ms is not None and 0 <= now_ms - last_ms < REMIND_AGAIN_AFTER_MS:
                now[key] = last_ms
                continue
            now[key] = now_ms
            yield key

    def decided(self, topic: str, partition: int, key: str) -> None:
        """Note that a reminder was decided: if its row is still due, it came too early."""
        self._written.get((topic, partition), {}).pop(key, None)
