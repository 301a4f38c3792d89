"""A DFSP repeats a request for some time while the hub is too busy for it."""

from __future__ import annotations

import pytest

from sandbox.dfsp.fspiop_client import retry_while_busy
from sandbox.dfsp.messages import Answer


class Hub:
    """Answers with these statuses in turn, and with the last one from then on."""

    def __init__(self, *statuses: int) -> None:
        self.requests = 0
        self._statuses = statuses

    async def send(self) -> Answer:
        status = self._statuses[min(self.requests, len(self._statuses) - 1)]
        self.requests += 1
        return Answer(status, {}, 0, 0)


@pytest.mark.parametrize("status", [202, 400, 500])
async def test_another_answer_than_503_and_504_is_returned(status: int) -> None:
    hub = Hub(status, 202)

    assert (status, 1) == ((await retry_while_busy(hub.send, 5)).status, hub.requests)


async def test_a_busy_hub_is_sent_the_request_again() -> None:
    hub = Hub(503, 504, 202)  # not accepted, then perhaps accepted

    assert (202, 3) == ((await retry_while_busy(hub.send, 5)).status, hub.requests)


async def test_the_last_503_is_returned_when_the_time_is_over() -> None:
    hub = Hub(503)

    assert 503 == (await retry_while_busy(hub.send, 0.3)).status
    assert 2 == hub.requests
