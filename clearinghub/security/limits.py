"""How much one participant may send a second, so that one that runs wild leaves room for the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

BURST_S: Final = 2.0
"""How far ahead of its rate a participant may be. A request that comes while it is further ahead is refused."""
NAMES_MAX: Final = 10_000  # that are remembered; then those that are not ahead of their rates are forgotten


class Rates(NamedTuple):
    """What one participant may send a second; 0 is without a limit."""

    begun: int = 0  # requests that begin something
    answers: int = 0  # PUT and PATCH
    bytes: int = 0  # of bodies


class RateLimit:
    """A rate for each of many names. A name's debt is the time that what it has sent would take at its rate."""

    def __init__(self, per_s: int, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`per_s` is the rate of each name; 0 lets everything pass."""
        self._per_s = per_s
        self._monotonic_s = monotonic_s
        self._paid_at_s: dict[str, float] = {}

    def admits(self, name: str) -> bool:
        """Return whether the name may send something now."""
        return self._paid_at_s.get(name, 0.0) - self._monotonic_s() <= BURST_S

    def charge(self, name: str, amount: int = 1) -> None:
        """Count what the name has sent."""
        if not self._per_s or not amount:
            return
        now_s = self._monotonic_s()
        if name not in self._paid_at_s and len(self._paid_at_s) >= NAMES_MAX:
            self._paid_at_s = {one: at_s for one, at_s in self._paid_at_s.items() if at_s > now_s}
        self._paid_at_s[name] = max(self._paid_at_s.get(name, 0.0), now_s) + amount / self._per_s
