"""How much new work is let in: all of it, until records wait too long to be decided; then less the longer they wait.

What begins something new may be refused with 503, which its sender repeats later. What finishes something that was
begun is always taken: it makes room. So a hub above what it can do stays at what it can do.
"""

from __future__ import annotations

from collections.abc import Callable


class Admission:
    """Lets a share of the new work in, partition by partition: a crowded payer refuses nobody else's requests.

    The share falls in a straight line from everything at `full_ms` to nothing at `none_ms` of waiting. It needs no
    memory, so it cannot swing: at twice what the hub can do it settles where half is let in, with the wait in the
    middle between the two.
    """

    def __init__(self, waiting_ms: Callable[[int], int], full_ms: int, none_ms: int) -> None:
        """`waiting_ms` tells how long records of a partition wait now."""
        assert full_ms < none_ms
        self._waiting_ms = waiting_ms
        self._full_ms = full_ms
        self._none_ms = none_ms
        self._credits: dict[int, float] = {}
        self.refused = 0

    def admits(self, partition: int) -> bool:
        """Whether the next new request of a payer on this partition is taken; every call is one request."""
        share = self.share(partition)
        if share >= 1:
            return True
        credit = self._credits.get(partition, 0.0) + share
        if credit >= 1:
            self._credits[partition] = credit - 1
            return True
        self._credits[partition] = credit
        self.refused += 1
        return False

    def share(self, partition: int) -> float:
        """From 0 to 1: how much of the new work is let in."""
        waiting_ms = self._waiting_ms(partition)
        if waiting_ms <= self._full_ms:
            return 1.0
        return max(0.0, (self._none_ms - waiting_ms) / (self._none_ms - self._full_ms))
