"""Strangers: requests whose FSPIOP-Source is no participant are refused before anything is written for them.

What a stranger is sent could not be delivered anyway, and each name that it makes up would be a row, a dead letter and
a metric's label.
"""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import Counter

from clearinghub.ports import Participants

PATIENCE_S: Final = 0.05
"""How long this process waits for a participant that it does not know: another ingress may have created it just now."""
WAITING_MAX: Final = 64  # requests of strangers that wait so; further ones are refused at once

_REFUSED: Final = Counter("clearinghub_requests_of_strangers_total", "Requests whose FSPIOP-Source is no participant")


class Sources:
    """Knows which senders are participants of the scheme, however they spell their names."""

    def __init__(self, participants: Participants, patience_s: float = PATIENCE_S) -> None:
        self._participants = participants
        self._patience_s = patience_s
        self._waiting = 0

    async def is_known(self, name: str) -> bool:
        """Return whether the sender is a participant, active or not; the hub is one too.

        The spelling may differ in case: so the ledger compares the sender of a fulfil (protocol 3.4).
        """
        if self._participants.get(name) is not None:
            return True
        if self._is_spelled_otherwise(name) or await self._appears(name):
            return True
        _REFUSED.inc()
        return False

    def _is_spelled_otherwise(self, name: str) -> bool:
        lower = name.lower()
        return any(one.name.lower() == lower for one in self._participants.all())

    async def _appears(self, name: str) -> bool:
        """Wait until the copy of the participants has the name, if it was created by another process just now."""
        if self._waiting >= WAITING_MAX:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._participants.reach(name, 0)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return self._participants.get(name) is not None
