"""When to try again: exponential backoff with full jitter, so that waiting callbacks do not come back in step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_DOUBLINGS_MAX: Final = 32  # beyond, every ceiling is reached; keeps the number small


def backoff_ms(attempts: int, *, first_ms: int, longest_ms: int, random: Callable[[], float]) -> int:
    """Milliseconds to wait after the failed attempt number `attempts` (from 1).

    Evenly spread over 0 to `first_ms` doubled with each attempt, at most `longest_ms`. `random` gives [0, 1).
    """
    ceiling_ms = min(longest_ms, first_ms << min(attempts - 1, _DOUBLINGS_MAX))
    return int(random() * (ceiling_ms + 1))


def is_worth_repeating(status: int) -> bool:
    """Whether the same request may be answered otherwise later: 5xx, 408 Request Timeout, 429 Too Many Requests."""
    return status >= 500 or status in {408, 429}  # noqa: PLR2004 - HTTP's own numbers, RFC 9110 and 6585
