"""What a DFSP does when the hub is too busy for a request: it waits a moment and sends the same again (ADR 19)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from sandbox.callback import Answer

BUSY_PAUSE_S: Final = 0.25


async def patiently(send: Callable[[], Awaitable[Answer]], timeout_s: float) -> Answer:
    """The first answer that is not 503, or the last one that is when `timeout_s` are over; raises as `send` does."""
    loop = asyncio.get_running_loop()
    give_up_at_s = loop.time() + timeout_s
    while True:
        answer = await send()
        if answer.status != HTTPStatus.SERVICE_UNAVAILABLE or loop.time() + BUSY_PAUSE_S > give_up_at_s:
            return answer
        await asyncio.sleep(BUSY_PAUSE_S)
