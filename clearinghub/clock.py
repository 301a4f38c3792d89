"""Clocks. What decides takes the time as an argument instead: a replay must decide the same."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

SAMPLES: Final = 6  # kept: clocks drift less than a millisecond in the time of so many


def system_now_ms() -> int:
    """Return the current time in whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class _Sample(NamedTuple):
    """Between which two values the lead of our clock was, in milliseconds, when the broker appended a record."""

    least_ms: int
    most_ms: int


class BrokerClock:
    """The broker's time: this machine's clock, less how far it is ahead of the broker's.

    The broker writes its time into a record between our sending it and its confirmation. So each confirmation sets two
    bounds of the lead; of the latest ones the smallest upper bound counts. `now_ms` is therefore never ahead of the
    broker's clock, and after it by no more than the quickest of these confirmations took.
    """

    def __init__(self, wall_ms: Callable[[], int] = system_now_ms) -> None:
        self._wall_ms = wall_ms
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)

    def wall_ms(self) -> int:
        return self._wall_ms()

    def note(self, sent_ms: int, appended_ms: int, confirmed_ms: int) -> None:
        """Note a record's way: sent and confirmed by our clock, appended by the broker's."""
        sample = _Sample(sent_ms - appended_ms, confirmed_ms - appended_ms)
        # One of the clocks was set since, if the bounds contradict earlier ones, or if ours was set in between.
        if sample.least_ms > sample.most_ms:
            return
        if any(sample.least_ms > other.most_ms or sample.most_ms < other.least_ms for other in self._samples):
            self._samples.clear()
        self._samples.append(sample)

    @property
    def lead_ms(self) -> int:
        """How far our clock is ahead of the broker's, at most; negative if it is slow; 0 while nothing is known."""
        return min((sample.most_ms for sample in self._samples), default=0)

    @property
    def surely_apart_ms(self) -> int:
        """How far the two clocks are apart at least, in milliseconds."""
        least_ms = max((sample.least_ms for sample in self._samples), default=0)
        return max(least_ms, -self.lead_ms, 0)

    def now_ms(self) -> int:
        """Return the broker's time, in milliseconds since 1970."""
        return self._wall_ms() - self.lead_ms
