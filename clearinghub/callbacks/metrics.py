"""The callbacks' metrics for Prometheus. There is one set a process; the labels are participants' names, so few."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from clearinghub.callbacks.parked_index import Amount
from clearinghub.callbacks.sender import Failed, Outcome

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
FAILURES: Final = Counter(
    "clearinghub_callback_failures",
    "Attempts that failed: timeout, unreachable, broken, untrusted; answered with a status that is no success.",
    ("receiver", "kind"),
)
BREAKER: Final = Gauge("clearinghub_callback_breaker_state", "0 closed, 1 half open, 2 open.", ("receiver",))
DEAD_LETTERS: Final = Counter(
    "clearinghub_callback_dead_letters",
    "Callbacks given up, by reason: on the dead letter, or their senders notified.",
    ("receiver", "reason"),
)
PARKINGS: Final = Counter(
    "clearinghub_callback_parkings", "Callbacks parked because their receiver did not take them.", ("receiver",)
)
PARKED: Final = Gauge("clearinghub_callback_parked", "Callbacks of a receiver that are parked.", ("receiver",))
PARKED_BYTES: Final = Gauge("clearinghub_callback_parked_bytes", "Their size on topic `parked`.", ("receiver",))
PARKED_OLDEST: Final = Gauge(
    "clearinghub_callback_parked_oldest_seconds", "How long the oldest of them has been parked.", ("receiver",)
)
UNREADABLE: Final = Counter("clearinghub_callback_unreadable_records", "Records that are no notification.")


class ReceiverMetrics:
    """One receiver's metrics, with their labels resolved once."""

    def __init__(self, receiver: str, pending: Callable[[], int], breaker_state: Callable[[], int]) -> None:
        self._receiver = receiver
        self.delivered = DELIVERIES.labels(receiver, "delivered")
        self.undelivered = DELIVERIES.labels(receiver, "given-up")
        self.attempt_seconds = ATTEMPT_SECONDS.labels(receiver)
        self.parked = PARKINGS.labels(receiver)
        self.retries = RETRIES.labels(receiver)
        PENDING.labels(receiver).set_function(pending)
        BREAKER.labels(receiver).set_function(breaker_state)

    def count_attempt(self, seconds: float, outcome: Outcome) -> None:
        """Count an attempt with its duration and, if it failed, the kind of its failure."""
        self.attempt_seconds.observe(seconds)
        if isinstance(outcome, Failed):
            FAILURES.labels(self._receiver, outcome.kind).inc()

    def count_dead_letter(self, reason: str) -> None:
        self.undelivered.inc()
        DEAD_LETTERS.labels(self._receiver, reason).inc()

    def forget(self) -> None:
        """Remove the gauges of an idle receiver. Its counters stay, for a counter must never decrease."""
        PENDING.remove(self._receiver)
        BREAKER.remove(self._receiver)


class ParkedMetrics:
    """What is parked, by receiver; a receiver of which nothing is parked has no gauges."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def report(self, totals: Mapping[str, Amount], oldest_ms: Mapping[str, int], now_ms: int) -> None:
        """Show, by queue, the totals, and since when its oldest callback is parked (milliseconds since 1970)."""
        for gone in self._shown - totals.keys():
            for gauge in (PARKED, PARKED_BYTES, PARKED_OLDEST):
                gauge.remove(gone)
        for queue, total in totals.items():
            PARKED.labels(queue).set(total.count)
            PARKED_BYTES.labels(queue).set(total.bytes)
            PARKED_OLDEST.labels(queue).set(max(0, now_ms - oldest_ms.get(queue, now_ms)) / 1000)
        self._shown = set(totals)
