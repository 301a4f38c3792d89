"""Admission control: refuse a share of new requests when records wait too long to be decided.

A request that begins something new may be refused with 503; its sender repeats it later. A request that finishes
something (a PUT) is always accepted, because it makes room. So an overloaded hub keeps working at its full throughput.
"""

from __future__ import annotations

from collections.abc import Callable


class Admission:
    """Admits a share of the new requests of each partition: a payer with much load does not affect other partitions.

    The share falls in a straight line, from all requests while records wait at most `full_ms` to none from `none_ms`
    on. It depends on the current wait alone, so it does not oscillate: at twice the hub's throughput it settles where
    half of the requests are admitted, with the wait in the middle between the two limits.
    """

    def __init__(self, waiting_ms: Callable[[int], int], full_ms: int, none_ms: int) -> None:
        """`waiting_ms` returns how long records of a partition wait now."""
        assert full_ms < none_ms
        self._waiting_ms = waiting_ms
        self._full_ms = full_ms
        self._none_ms = none_ms
        self._credits: dict[int, float] = {}
        self.refused = 0

    def admits(self, partition: int) -> bool:
        """Return whether the next new request on this partition is admitted. Call it once for each request."""
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
        """Return the share of new requests that is admitted now, from 0 to 1."""
        waiting_ms = self._waiting_ms(partition)
        if waiting_ms <= self._full_ms:
            return 1.0
        return max(0.0, (self._none_ms - waiting_ms) / (self._none_ms - self._full_ms))
