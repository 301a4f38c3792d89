"""What an engine's app does beside its partitions' work; no broker needed."""

from __future__ import annotations

from pathlib import Path

from clearinghub.engine.app import EngineApp
from tests.engine.toy import toy_config


class FetchError(Exception):
    """What the fetcher might die of."""


async def test_a_service_that_crashes_fails_the_app(tmp_path: Path) -> None:
    """Without this a worker whose fetcher died would stay, healthy to look at, and do nothing."""
    app = EngineApp(toy_config("127.0.0.1:1", "t-", tmp_path))
    app.finalize()
    app._fetcher.beacon.reattach(app.beacon)
    error = FetchError("broken")

    await app._fetcher.crash(error)

    assert app.failed.is_set()
    assert error is app.failure
