"""A circuit breaker: after failures in a row nothing is sent for a while, then one request tests the receiver."""

from __future__ import annotations

from enum import IntEnum


class BreakerState(IntEnum):
    """The state of a breaker; the numbers are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Counts failures; the caller passes the time. After every `allow` that returns True comes one verdict."""

    def __init__(self, failures_max: int, open_ms: int) -> None:
        """Open after `failures_max` failures without a success in between, for `open_ms` at a time."""
        self.state = BreakerState.CLOSED
        self.retry_at_ms = 0  # while open: when one request may test the receiver
        self._failures_max = failures_max
        self._open_ms = open_ms
        self._failures = 0

    def ready(self, now_ms: int) -> bool:
        """Return what `allow` would return, and change nothing."""
        if self.state is BreakerState.OPEN:
            return now_ms >= self.retry_at_ms
        return self.state is BreakerState.CLOSED

    def allow(self, now_ms: int) -> bool:
        """Return whether a request may be sent now. After the open time exactly one may."""
        if not self.ready(now_ms):
            return False
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
        return True

    def succeeded(self) -> None:
        """Close: the receiver answered. An answer to a request from before the opening proves the same."""
        self.state = BreakerState.CLOSED
        self._failures = 0

    def failed(self, now_ms: int) -> None:
        """Count a failure: the receiver did not answer, or answered that it cannot serve now."""
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN or (
            self.state is BreakerState.CLOSED and self._failures >= self._failures_max
        ):
            self.state = BreakerState.OPEN
            self.retry_at_ms = now_ms + self._open_ms
