"""The DFSPs' HTTP client: it repeats a request, with the same id and bytes, until the hub answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Final, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

REQUEST_TIMEOUT_S: Final = 10.0  # longer than the ingress waits for the broker
FIRST_PAUSE_S: Final = 0.25
# While the broker is away hundreds of requests wait to be repeated: soon enough, and not all at once.
LONGEST_PAUSE_S: Final = 8.0
NO_ANSWER: Final = 0
EXPECTED: Final = {"200", "202", "503", "504"}


class HubRequests:
    """One client for all DFSPs; it uses the ingresses in turn, as a load balancer would."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Must be called within a running event loop."""
        self._urls = [url.rstrip("/") for url in urls]
        self._turns = count()
        self._session = ClientSession(
            skip_auto_headers=("Accept",),  # aiohttp's `*/*` is forbidden on PUT (protocol 1.1)
            timeout=ClientTimeout(total=REQUEST_TIMEOUT_S),
            connector=TCPConnector(limit=0),
        )
        self.answers: Counter[tuple[float, str, str]] = Counter()  # (second, method, status or what went wrong)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def once(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> int:
        """Send a request; return the HTTP status, or NO_ANSWER."""
        url = self._urls[next(self._turns) % len(self._urls)] + path
        try:
            async with self._session.request(method, url, headers=headers, data=body) as answer:
                await answer.read()
                status = answer.status
                self._note(method, str(status))
        except (ClientError, TimeoutError, OSError) as error:
            status = NO_ANSWER
            self._note(method, type(error).__name__)
        return status

    async def until_answered(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> int:
        """Repeat a request until the hub accepts or refuses it, or `deadline_s` (of `time.monotonic`) is over.

        Return the last status: 2xx or 4xx, or at the deadline 5xx or NO_ANSWER.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            status = await self.once(method, path, headers, body)
            if NO_ANSWER < status < 500 or time.monotonic() + pause_s > deadline_s:
                return status
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    def between(self, begin_s: float, end_s: float, method: str) -> Counter[str]:
        """Return how requests of a method were answered between two times of `time.monotonic`, in whole seconds."""
        found: Counter[str] = Counter()
        for (at_s, one, what), number in self.answers.items():
            if one == method and int(begin_s) <= at_s < int(end_s):
                found[what] += number
        return found

    def odd(self) -> Counter[str]:
        """Return the answers that no fault explains: all but 200, 202, 503, 504 and none."""
        found: Counter[str] = Counter()
        for (_at_s, method, what), number in self.answers.items():
            if what.isdigit() and what not in EXPECTED:
                found[f"{method} {what}"] += number
        return found

    def _note(self, method: str, what: str) -> None:
        self.answers[int(time.monotonic()), method, what] += 1
