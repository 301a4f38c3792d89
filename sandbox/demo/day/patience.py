"""An admin client for a busy machine: what may be asked again is asked again while the hub does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from clearinghub.tools.client.admin import AdminClient, HubNotReadyError, Reply

Content = TypeVar("Content")

PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.5
SAFE: Final = frozenset({"GET", "PUT"})
"""A settlement's account takes a state once, funds are completed once: a PUT that was lost does nothing twice."""


class PatientAdmin(AdminClient):
    """Raises HubNotReadyError only after a minute of it, but for POST."""

    async def call(self, method: str, path: str, body: Any = None) -> Reply:
        """A request that must be accepted."""
        if method not in SAFE:
            return await super().call(method, path, body)
        return await _patiently(lambda: AdminClient.call(self, method, path, body))

    async def get(self, path: str) -> Any:
        """The content of a resource, or None."""
        return await _patiently(lambda: AdminClient.get(self, path))


async def _patiently(ask: Callable[[], Awaitable[Content]]) -> Content:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + PATIENCE_S
    while True:
        try:
            return await ask()
        except HubNotReadyError:
            if loop.time() >= deadline_s:
                raise
            await asyncio.sleep(PAUSE_S)
