"""The health of a role that takes requests: `ingress` and `admin-api`."""

from __future__ import annotations

from typing import Protocol

from clearinghub.config import Settings
from clearinghub.ports import StoppedPart


class _Broker(Protocol):
    async def is_up(self) -> bool: ...


class _Copy(Protocol):
    is_caught_up: bool


class _Ledger(Protocol):
    async def answers_for_all(self, partitions: int) -> bool: ...

    def stopped(self) -> list[StoppedPart]: ...


class FrontRoleHealth:
    """UP if requests can be recorded, and a healthy ledger worker has every partition."""

    def __init__(self, settings: Settings, recorder: _Broker, participants: _Copy, ledger: _Ledger) -> None:
        self._partitions = settings.partitions
        self._recorder = recorder
        self._participants = participants
        self._ledger = ledger

    async def services(self) -> dict[str, bool]:
        """Return whether the broker is up, and whether the whole ledger is (`datastore`)."""
        datastore = self._participants.is_caught_up and await self._ledger.answers_for_all(self._partitions)
        return {"datastore": datastore, "broker": await self._recorder.is_up()}

    async def own_services(self) -> dict[str, bool]:
        """Return what this process needs by itself, without the ledger.

        While some partitions of the ledger are down, requests for the others must still come in.
        """
        return {
            "broker": await self._recorder.is_up(),
            "participantEndpointService": self._participants.is_caught_up,
        }

    def stopped(self) -> list[StoppedPart]:
        """Return the partitions and inputs that the ledger's workers have announced as stopped."""
        return self._ledger.stopped()
