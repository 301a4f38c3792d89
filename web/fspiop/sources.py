"""Who may speak: the participant that FSPIOP-Source names, or a proxy of the scheme for it (protocol 1.2).

Strangers are refused before anything is written for them: what they are sent could not be delivered anyway, and each
name that they make up would be a row, a dead letter and a metric's label.
"""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import Counter

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Participant
from clearinghub.ports import Participants

PATIENCE_S: Final = 0.05
"""How long this process waits for a participant that it does not know: another ingress may have created it just now."""
WAITING_MAX: Final = 64  # requests of strangers that wait so; further ones are refused at once

_PROXY_INVALID: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Invalid fspiop-proxy header")
_SOURCE_INVALID: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Invalid fspiop-source header")
_REFUSED: Final = Counter("clearinghub_requests_of_strangers_total", "Requests whose FSPIOP-Source is no participant")


class Sources:
    """Knows which senders are participants of the scheme, however they spell their names."""

    def __init__(self, participants: Participants, patience_s: float = PATIENCE_S) -> None:
        self._participants = participants
        self._patience_s = patience_s
        self._waiting = 0

    def refusal(self, *, source: str | None, proxy: str | None, client: str | None) -> Rejection | None:
        """Return why nobody may speak so, or None.

        `client` is the participant whose request it is, if that is known. It must be the one that speaks: the proxy
        if there is one, else the source. A proxy is an active participant that operators have registered as a proxy.
        """
        if proxy:
            is_other = proxy == source or client not in (None, proxy)
            return _PROXY_INVALID if is_other or not self._is_proxy(proxy) else None
        return _SOURCE_INVALID if client is not None and client != source else None

    async def find(self, name: str) -> Participant | None:
        """Return the participant that sends under that name, active or not; the hub is one too.

        The spelling may differ in case: so the ledger compares the sender of a fulfil (protocol 3.4). Of several that
        differ only so, an inactive one is returned.
        """
        found = self._participants.get(name) or self._spelled_otherwise(name) or await self._appearing(name)
        if found is None:
            _REFUSED.inc()
        return found

    def _is_proxy(self, name: str) -> bool:
        participant = self._participants.get(name)
        return participant is not None and participant.is_proxy and participant.active

    def _spelled_otherwise(self, name: str) -> Participant | None:
        lower = name.lower()
        same = (one for one in self._participants.all() if one.name.lower() == lower)
        return min(same, key=lambda one: one.active, default=None)

    async def _appearing(self, name: str) -> Participant | None:
        """Wait until the copy of the participants has the name, if it was created by another process just now."""
        if self._waiting >= WAITING_MAX:
            return None
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._participants.reach(name, 0)
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1
        return self._participants.get(name)
