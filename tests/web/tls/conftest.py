"""A scheme with its certificates, and hubs that listen by TLS on the event loop of the roles (uvloop)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.web.tls.world import Scheme, SecureHub


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    return Scheme(tmp_path_factory.mktemp("scheme"))


@pytest.fixture
async def make_hub(scheme: Scheme, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Yield a function that starts a hub of a profile, with further settings."""
    async with AsyncExitStack() as stack:

        async def make(security: str = "full", **settings: Any) -> SecureHub:
            hub = SecureHub(scheme, security, tmp_path, settings)
            await hub.listener.start()
            stack.push_async_callback(hub.stop)
            return hub

        yield make


@pytest.fixture
async def hub(make_hub: Callable[..., Any]) -> SecureHub:
    started: SecureHub = await make_hub()
    return started
