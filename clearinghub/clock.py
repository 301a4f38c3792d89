"""The wall clock. What decides takes the time as an argument instead: a replay must decide the same."""

from __future__ import annotations

import time


def system_now_ms() -> int:
    """Return the current time in whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000
