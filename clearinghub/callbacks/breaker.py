"""A receiver's circuit breaker: after failures in a row nobody calls for a while, then one call finds out."""

from __future__ import annotations

from enum import IntEnum


class BreakerState(IntEnum):
    """The numbers are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Pure bookkeeping; the time is an argument. Every `allow` that answers True is followed by one verdict."""

    def __init__(self, failures_max: int, open_ms: int) -> None:
        """Opens after `failures_max` failures without a success between them, for `open_ms` at a time."""
        self.state = BreakerState.CLOSED
        self.retry_at_ms = 0  # while open: when one call may find out
        self._failures_max = failures_max
        self._open_ms = open_ms
        self._failures = 0

    def ready(self, now_ms: int) -> bool:
        """Whether `allow` would answer True; changes nothing."""
        if self.state is BreakerState.OPEN:
            return now_ms >= self.retry_at_ms
        return self.state is BreakerState.CLOSED

    def allow(self, now_ms: int) -> bool:
        """Whether a call may go out now. When the time is over, exactly one may."""
        if not self.ready(now_ms):
            return False
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
        return True

    def succeeded(self) -> None:
        """The receiver answered. Calls that went out before the opening count too: they prove the same."""
        self.state = BreakerState.CLOSED
        self._failures = 0

    def failed(self, now_ms: int) -> None:
        """The receiver did not answer, or that it cannot serve now."""
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN or (
            self.state is BreakerState.CLOSED and self._failures >= self._failures_max
        ):
            self.state = BreakerState.OPEN
            self.retry_at_ms = now_ms + self._open_ms
