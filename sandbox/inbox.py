"""The callbacks that a simulated DFSP got, by what they are about, to look at and to wait for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar


class Labelled(Protocol):
    """What can be kept: it is about something, and can be named in a line."""

    @property
    def transfer_id(self) -> str:
        """What it is about."""

    @property
    def label(self) -> str:
        """Its name in a line."""


Kept = TypeVar("Kept", bound=Labelled)

TRANSFERS_KEPT_MAX: Final = 20_000  # a sandbox may run for days


class Inbox(Generic[Kept]):
    """All callbacks of one DFSP; those of the transfers heard of first go when there are too many."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._callbacks: OrderedDict[str, list[Kept]] = OrderedDict()
        self._arrivals: dict[str, asyncio.Event] = {}

    def put(self, callback: Kept) -> None:
        """Keep a callback and wake who waits for it."""
        self._callbacks.setdefault(callback.transfer_id, []).append(callback)
        if len(self._callbacks) > TRANSFERS_KEPT_MAX:
            self._callbacks.popitem(last=False)
        arrival = self._arrivals.pop(callback.transfer_id, None)
        if arrival is not None:
            arrival.set()

    def of(self, transfer_id: str) -> list[Kept]:
        """All callbacks about a transfer, in order of arrival."""
        return list(self._callbacks.get(transfer_id, ()))

    async def wait_for(self, transfer_id: str, matches: Callable[[Kept], bool], count: int, timeout_s: float) -> Kept:
        """The `count`-th callback about a transfer that matches, as soon as it is there.

        Raises:
            TimeoutError: it did not come in time; the text tells what did.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    found = [callback for callback in self.of(transfer_id) if matches(callback)]
                    if len(found) >= count:
                        return found[count - 1]
                    await self._arrivals.setdefault(transfer_id, asyncio.Event()).wait()
        except TimeoutError:
            seen = ", ".join(callback.label for callback in self.of(transfer_id)) or "nothing"
            message = f"{self._owner} waited {timeout_s:.1f} s for a callback about {transfer_id}; it saw {seen}"
            raise TimeoutError(message) from None
