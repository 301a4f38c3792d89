"""Keeps the messages that a simulated DFSP has received, by id, so that tests can look at them and wait for them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar


class Labelled(Protocol):
    """A message with the id of its transfer, quote or party, and a short text for people."""

    @property
    def transfer_id(self) -> str: ...

    @property
    def label(self) -> str: ...


Kept = TypeVar("Kept", bound=Labelled)

TRANSFERS_KEPT_MAX: Final = 20_000  # bounds the memory of a sandbox that runs for days


class Inbox(Generic[Kept]):
    """All messages to one DFSP; when there are too many, those about the oldest transfers are dropped."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._callbacks: OrderedDict[str, list[Kept]] = OrderedDict()
        self._arrivals: dict[str, asyncio.Event] = {}

    def put(self, callback: Kept) -> None:
        """Keep a message and wake the tasks that wait for one about its transfer."""
        self._callbacks.setdefault(callback.transfer_id, []).append(callback)
        if len(self._callbacks) > TRANSFERS_KEPT_MAX:
            self._callbacks.popitem(last=False)
        arrival = self._arrivals.pop(callback.transfer_id, None)
        if arrival is not None:
            arrival.set()

    def of(self, transfer_id: str) -> list[Kept]:
        """Return all messages about a transfer, in order of arrival."""
        return list(self._callbacks.get(transfer_id, ()))

    async def wait_for(self, transfer_id: str, matches: Callable[[Kept], bool], count: int, timeout_s: float) -> Kept:
        """Return the `count`-th message about a transfer that matches, as soon as it is there.

        Raises:
            TimeoutError: it did not come in time; the text lists what did.
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
