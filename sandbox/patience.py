"""What a DFSP does when the hub cannot take a request now: it waits a moment and sends the same again (ADR 19)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from sandbox.callback import Answer

BUSY_PAUSE_S: Final = 0.25
# Not accepted; or perhaps accepted, and then the same request with the same id does no harm.
SEND_AGAIN: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


async def patiently(send: Callable[[], Awaitable[Answer]], timeout_s: float) -> Answer:
    """Return the first answer that is final, or the last one when `timeout_s` are over; raises as `send` does."""
    loop = asyncio.get_running_loop()
    give_up_at_s = loop.time() + timeout_s
    while True:
        answer = await send()
        if answer.status not in SEND_AGAIN or loop.time() + BUSY_PAUSE_S > give_up_at_s:
            return answer
        await asyncio.sleep(BUSY_PAUSE_S)
