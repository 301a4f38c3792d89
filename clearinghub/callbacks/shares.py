"""How much of a worker's memory and connections one receiver may take: a share of what the others leave free.

The rule is the dynamic threshold of shared-memory switches (Choudhury and Hahne, 1998): a receiver may take as much as
is free, and no more than its own limit. One slow receiver then stops at half of the total, two at a third each, and
something is always left for those that keep up. A receiver that has nothing may always take one.
"""

from __future__ import annotations

from dataclasses import dataclass

from clearinghub.config import Settings


@dataclass(slots=True)
class Taken:
    """What the queues of all receivers of a worker take together, or the queue of one."""

    count: int = 0
    bytes: int = 0
    in_flight: int = 0


class Shares:
    """The limits of a worker and of each receiver, and what all receivers take now."""

    def __init__(self, settings: Settings) -> None:
        self.taken = Taken()
        self._settings = settings

    def has_room(self, one: Taken, size: int) -> bool:
        """Return whether a receiver that has taken `one` may have a callback of `size` bytes more in memory."""
        if not one.count:
            return True
        settings, taken = self._settings, self.taken
        count_max = min(settings.callback_queue_per_receiver_max, settings.callback_pending_max - taken.count)
        bytes_max = min(
            settings.callback_queue_bytes_per_receiver_max, settings.callback_pending_bytes_max - taken.bytes
        )
        return one.count < count_max and one.bytes + size <= bytes_max

    def in_flight_max(self) -> int:
        """Return how many requests one receiver may have in flight now."""
        settings = self._settings
        free = settings.callback_in_flight_max - self.taken.in_flight
        return max(1, min(settings.callback_in_flight_per_receiver_max, free))
