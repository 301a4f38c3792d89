"""How much of a worker's memory and connections one receiver may take: a share of what the others leave free.

The rule is the dynamic threshold of shared-memory switches (Choudhury and Hahne, 1998): a receiver may take as much as
is free, and no more than its own limit. One slow receiver then stops at half of the total, two at a third each, and
something is always left for those that keep up. A receiver that has nothing may always take one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clearinghub.config import Settings

READ_BACK_PER_REQUEST: Final = 4
"""How many parked callbacks are read back for each request that may be in flight."""

READ_BACK_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of one receiver's callbacks in memory, before no more are read back."""


@dataclass(slots=True)
class Usage:
    """What the queues of all receivers of a worker take together, or the queue of one."""

    count: int = 0
    bytes: int = 0
    in_flight: int = 0


class Shares:
    """The limits of a worker and of each receiver, and what all receivers take now."""

    def __init__(self, settings: Settings) -> None:
        self.usage = Usage()
        self._settings = settings

    def has_room(self, one: Usage, size: int) -> bool:
        """Return whether a receiver that has usage `one` may have a callback of `size` bytes more in memory."""
        if not one.count:
            return True
        settings, usage = self._settings, self.usage
        count_max = min(settings.callback_queue_per_receiver_max, settings.callback_pending_max - usage.count)
        bytes_max = min(
            settings.callback_queue_bytes_per_receiver_max, settings.callback_pending_bytes_max - usage.bytes
        )
        return one.count < count_max and one.bytes + size <= bytes_max

    def in_flight_max(self) -> int:
        """Return how many requests one receiver may have in flight now."""
        settings = self._settings
        free = settings.callback_in_flight_max - self.usage.in_flight
        return max(1, min(settings.callback_in_flight_per_receiver_max, free))

    @property
    def read_back_max(self) -> int:
        """How many callbacks a receiver may have in memory while parked ones of it are read back."""
        return READ_BACK_PER_REQUEST * self._settings.callback_in_flight_per_receiver_max

    def room_for_parked(self, one: Usage) -> int:
        """Return how many parked callbacks may be read back for a receiver that has usage `one`.

        A few times as many as may be in flight, so that the receiver never waits for the reading, and little memory is
        usage.
        """
        if not self.has_room(one, 0) or one.bytes > READ_BACK_BYTES_MAX:
            return 0
        return max(0, self.read_back_max - one.count)
