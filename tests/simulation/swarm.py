"""Everything that a seed decides: the sizes, the settings, the faults, and every draw of the run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

FAULTS: Final = (
    # of processes
    "crashes",
    "lost disks",
    "rebalances",
    "zombies",
    "clock jumps",
    "clocks apart",
    "dropped batches",
    "slow agents",
    # of the broker and the network
    "slow network",
    "late markers",
    "lost commit answers",
    "stalled topics",
    "stalled fulfils",
    "small fetches",
    "small batches",
    "unavailable partitions",
    "lost relay answers",
    "doubled relays",
    # of DFSPs and their callbacks
    "failing callbacks",
    "callbacks answered twice",
    "slow receivers",
    "lost parkings",
    "strangers",
    "late fulfils",
    "repeated fulfils",
    "changed fulfils",
    "wrong fulfilments",
    "silent payees",
    "repeated prepares",
    "changed prepares",
    "odd prepares",
    "large bodies",
    # of operators and of whoever writes to our topics
    "commands",
    "lookups",
    "unreadable records",
    "closing windows",
    "changing models",
)

# The engine's six steps (design 4), each with the points before, inside and after it; then those of recovery.
CRASH_POINTS: Final = (
    "fetch",
    "fetched",
    "handed over",
    "deciding",
    "deciding items",
    "punctuating",
    "begin",
    "send",
    "commit",
    "commit-sent",
    "committed",
    "table-write",
    "table-written",
    "round-done",
    "relay",
    "relay-sent",
    "relayed",
    "fencing",
    "recovering",
    "recovered",
)
CALLBACK_CRASH_POINTS: Final = (
    "fetched",
    "request",
    "answered",
    "commit-offsets",
    "offsets-committed",
    "parking",
    "parked",
    "reading back",
)


class Swarm:
    """The random draws of a run. All come from the seed, so that the same seed is the same run."""

    def __init__(self, seed: int, counts: Counter[str]) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.counts = counts
        draw = self.random
        self.faults = frozenset(fault for fault in FAULTS if draw.random() < 0.5)
        self.is_calm = True  # no faults: during the setup, and after the healing
        self.partitions = draw.choice((1, 2, 3, 4))
        self.ledgers = draw.choice((1, 2, 3))
        self.callbacks = draw.choice((1, 2))
        self.dfsps = draw.choice((2, 3, 4))
        self.transfers = draw.randint(20, 60)
        self.bulks = draw.choice((0, 2, 6))
        self.safety_s = draw.uniform(6.0, 16.0)
        self.room = draw.choice((300, 1_000, 5_000))  # each payer's cap and funds, where amounts are up to 100
        self.session_s = draw.choice((1.0, 2.0, 5.0))
        self.closes_by_schedule = draw.random() < 0.3
        self._ids = random.Random(f"ids {seed}")  # its own draws, so that the others' are as they were
        self.reuses_ids = self._ids.random() < 0.5
        self.questions = random.Random(f"questions {seed}")  # no draw of the others' for them either
        self.has_questions = self.questions.random() < 0.3
        self.answer_within_s = self.questions.choice((5, 300))
        self.mixes_releases = random.Random(f"mixed {seed}").random() < 0.5  # no draw of the others' for it

    def settings(self) -> dict[str, Any]:
        """Return the hub's settings that differ from run to run."""
        draw = self.random
        return {
            "partitions": self.partitions,
            "settlement_entries_at_once": (1, 2, 3, 500)[self.seed % 4],  # no draw: older seeds stay what they were
            "answer_within_s": self.answer_within_s,
            "round_records_max": draw.choice((1, 2, 7, 50, 500)),
            "round_interval_ms": draw.choice((0, 10, 30)),
            "batch_backlog_records_max": draw.choice((2, 10, 2_000)),
            "round_bytes_max": draw.choice((4_000, 8 * 1024 * 1024)),
            "batch_backlog_bytes_max": draw.choice((4_000, 4 * 1024 * 1024)),
            "punctuate_interval_ms": draw.choice((300, 1_000)),
            "session_timeout_ms": int(self.session_s * 1000),
            "confirm_to_payee": draw.random() < 0.8,
            "callback_timeout_ms": draw.choice((500, 3_000)),
            "callback_retries_max": draw.choice((2, 6)),
            "callback_retry_first_ms": draw.choice((20, 200)),
            "callback_retry_longest_ms": 2_000,
            "callback_in_flight_per_receiver_max": draw.choice((1, 2, 64)),
            "callback_queue_per_receiver_max": draw.choice((5, 10_000)),
            "callback_pending_max": draw.choice((10, 20_000)),
            "callback_wait_ms_max": draw.choice((5_000, 60_000)),
            "callback_hold_ms_max": draw.choice((50, 500, 5_000)),
            "callback_parked_per_receiver_max": draw.choice((10, 100_000)),
            "callback_parked_ms_max": draw.choice((5_000, 900_000)),
            "callback_in_flight_max": draw.choice((3, 1_024)),
            "callback_breaker_failures": draw.choice((2, 10)),
            "callback_breaker_open_ms": 1_000,
            "settlement_window_cron": "* * * * *" if self.closes_by_schedule else "",
        }

    def has(self, fault: str) -> bool:
        """Whether a fault is switched on in this run, and faults happen now."""
        return not self.is_calm and fault in self.faults

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def reuses_id(self) -> bool:
        """Whether another payer uses the id of this transfer too."""
        happens = self.reuses_ids and self.dfsps > 3 and not self.is_calm and self._ids.random() < 0.2
        self.counts["ids used twice"] += happens
        return happens

    def another(self, names: Sequence[str], *others: str) -> str:
        """Return one of the names, but none of the others."""
        return self._ids.choice([name for name in names if name not in others])

    def happens(self, fault: str, share: float) -> bool:
        """Draw whether a fault happens now, and count it if so."""
        if self.has(fault) and self.chance(share):
            self.counts[fault] += 1
            return True
        return False

    # -- the broker and the network

    def delay_s(self) -> float:
        """Draw how long a message travels, in seconds."""
        if self.happens("slow network", 0.02):
            return self.random.uniform(0.05, 1.0)
        return self.random.random() * 0.002

    def request_delay_s(self) -> float:
        """Draw how long a write travels, in seconds; at times its sender loses its partition meanwhile."""
        if self.happens("slow network", 0.01):
            return self.random.uniform(0.5, 2 * self.session_s)
        return self.delay_s()

    def marker_delay_s(self) -> float:
        return self.random.uniform(0.01, 0.8) if self.happens("late markers", 0.2) else 0.0

    def batch_records_max(self) -> int:
        return self.random.choice((1, 2, 5)) if self.happens("small batches", 0.5) else 10_000

    def fetch_records_max(self) -> int:
        if not self.has("small fetches"):
            return 10_000
        self.counts["small fetches"] += 1
        return self.random.choice((1, 2, 5, 100))

    def commit_fate(self) -> str:
        """Draw whether a commit's request or its answer is lost; return an empty text if neither."""
        if not self.happens("lost commit answers", 0.015):
            return ""
        fate = self.random.choice(("request lost", "answer lost"))
        self.counts[f"commit's {fate}"] += 1
        return fate
