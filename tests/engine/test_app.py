"""The engine's app around its partitions: failures and assignments. No broker needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from clearinghub.engine.app import EngineApp
from tests.engine.toy import toy_config


class FetchError(Exception):
    """An error that ends the fetcher."""


async def test_a_service_that_crashes_fails_the_app(tmp_path: Path) -> None:
    """Otherwise a worker whose fetcher has died would do nothing, and look healthy."""
    app = EngineApp(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()
    app._fetcher.beacon.reattach(app.beacon)
    error = FetchError("broken")

    await app._fetcher.crash(error)

    assert app.failed.is_set()
    assert error is app.failure


class AssignedClient:
    """The part of the Kafka client that an assignment needs."""

    def __init__(self, generation: int) -> None:
        self._coordinator = SimpleNamespace(generation=generation)

    def assignment(self) -> set[object]:
        return set()

    def pause(self, *_partitions: object) -> None:
        return None


async def test_an_assignment_stops_the_flow_before_it_waits_for_anything(tmp_path: Path) -> None:
    """A recovery that is overtaken must see it, or it would let fetches begin that span the next seek."""
    app = EngineApp(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()
    consumer = app.consumer
    consumer._client = AssignedClient(generation=7)
    consumer.resume_flow()
    seen = []

    async def fetch() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append((consumer.flow_active, app.consumer_generation_id))

    consumer._fetching = asyncio.create_task(fetch())
    await asyncio.sleep(0)
    await consumer.on_group_assignment(set())

    assert [(False, 7)] == seen


async def test_an_agent_that_raises_fails_the_app(tmp_path: Path) -> None:
    """Faust would start the agent anew after the batch, and the rest of the batch would never be decided."""
    error = ValueError("a batch that nobody expected")

    class Raising(EngineApp):
        async def on_batch(self, name: str, batch: object) -> None:
            assert (name, batch) == ("in", "batch")
            raise error

    app = Raising(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()
    agent = next(one for name, one in app.agents.items() if name == "in")

    with pytest.raises(ValueError, match="nobody expected"):
        await agent.fun(OneBatch())

    assert app.failed.is_set()
    assert error is app.failure


class OneBatch:
    """A stream of one batch."""

    async def noack(self) -> AsyncIterator[str]:
        yield "batch"
