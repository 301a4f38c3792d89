"""The callbacks' metrics for Prometheus. There is one set a process; the labels are participants' names, so few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES: Final = Counter(
    "clearinghub_callback_deliveries", "Callbacks settled: delivered or given up.", ("receiver", "outcome")
)
ATTEMPT_SECONDS: Final = Histogram(
    "clearinghub_callback_attempt_seconds",
    "Time from a callback's request to its answer, or to its failure.",
    ("receiver",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
PENDING: Final = Gauge("clearinghub_callback_pending", "Callbacks of a receiver that are not settled.", ("receiver",))
RETRIES: Final = Counter("clearinghub_callback_retries", "Attempts that failed and are repeated.", ("receiver",))
BREAKER: Final = Gauge("clearinghub_callback_breaker_state", "0 closed, 1 half open, 2 open.", ("receiver",))
DEAD_LETTERS: Final = Counter(
    "clearinghub_callback_dead_letters",
    "Callbacks given up, by reason: on the dead letter, or their senders notified.",
    ("receiver", "reason"),
)
UNREADABLE: Final = Counter("clearinghub_callback_unreadable_records", "Records that are no notification.")


class ReceiverMetrics:
    """One receiver's metrics, with their labels resolved once."""

    def __init__(self, receiver: str, pending: Callable[[], int], breaker_state: Callable[[], int]) -> None:
        self._receiver = receiver
        self.delivered = DELIVERIES.labels(receiver, "delivered")
        self.undelivered = DELIVERIES.labels(receiver, "given-up")
        self.attempt_seconds = ATTEMPT_SECONDS.labels(receiver)
        self.retries = RETRIES.labels(receiver)
        PENDING.labels(receiver).set_function(pending)
        BREAKER.labels(receiver).set_function(breaker_state)

    def count_dead_letter(self, reason: str) -> None:
        self.undelivered.inc()
        DEAD_LETTERS.labels(self._receiver, reason).inc()

    def forget(self) -> None:
        """Remove the gauges of an idle receiver. Its counters stay, for a counter must never decrease."""
        PENDING.remove(self._receiver)
        BREAKER.remove(self._receiver)
