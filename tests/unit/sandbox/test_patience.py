"""A DFSP asks a busy hub again, for a while."""

from __future__ import annotations

import pytest

from sandbox.callback import Answer
from sandbox.patience import patiently


class Hub:
    """Gives these statuses in turn, the last one from then on."""

    def __init__(self, *statuses: int) -> None:
        self.asked = 0
        self._statuses = statuses

    async def send(self) -> Answer:
        status = self._statuses[min(self.asked, len(self._statuses) - 1)]
        self.asked += 1
        return Answer(status, {}, 0, 0)


@pytest.mark.parametrize("status", [202, 400, 504])
async def test_an_answer_is_an_answer(status: int) -> None:
    hub = Hub(status, 202)

    assert (status, 1) == ((await patiently(hub.send, 5)).status, hub.asked)


async def test_a_busy_hub_is_asked_again() -> None:
    hub = Hub(503, 503, 202)

    assert (202, 3) == ((await patiently(hub.send, 5)).status, hub.asked)


async def test_patience_ends() -> None:
    hub = Hub(503)

    assert 503 == (await patiently(hub.send, 0.3)).status
    assert 2 == hub.asked
