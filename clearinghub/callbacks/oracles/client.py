"""Where oracles are asked: each has its own queue, limit in flight and breaker; who waits too long has no answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from clearinghub.callbacks.breaker import Breaker
from clearinghub.callbacks.oracles.cache import AnswerCache
from clearinghub.callbacks.oracles.http_client import OracleClient
from clearinghub.callbacks.oracles.question import NO_ANSWER, OracleAnswer, OracleQuestion
from clearinghub.config import Settings

log = structlog.get_logger(__name__)

QUESTIONS: Final = Counter("clearinghub_oracle_questions_total", "Questions to oracles", ["oracle", "outcome"])
WAITING: Final = Gauge("clearinghub_oracle_waiting", "Questions in flight or waiting for their turn", ["oracle"])
SECONDS: Final = Histogram(
    "clearinghub_oracle_seconds",
    "From a question to its answer over HTTP",
    ["oracle"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
_SERVER_ERROR: Final = 500


def monotonic_ms() -> int:
    """A clock that only goes forward, in milliseconds."""
    return time.monotonic_ns() // 1_000_000


class _Window:
    """One oracle's place at the desk."""

    def __init__(self, settings: Settings) -> None:
        self.turns = asyncio.Semaphore(settings.oracle_in_flight_max)
        self.breaker = Breaker(settings.oracle_breaker_failures, settings.oracle_breaker_open_ms)
        self.waiting = 0


class OracleDesk:
    """Asks questions; never raises for what an oracle does, and never takes longer than the time limit."""

    def __init__(self, settings: Settings, client: OracleClient, now_ms: Callable[[], int] = monotonic_ms) -> None:
        """`now_ms` decides how long answers are kept and breakers are open."""
        self._settings = settings
        self._client = client
        self._now_ms = now_ms
        self._cache = AnswerCache(settings.oracle_cache_answers_max, settings.oracle_cache_ms)
        self._windows: dict[int, _Window] = {}
        self._changes: dict[tuple[int, str], asyncio.Future[None]] = {}  # the last change of a party that is under way

    async def ask(self, question: OracleQuestion) -> OracleAnswer:
        """The oracle's answer, perhaps one that it gave a moment ago.

        What is asked about a party behind a change of it waits until that is done, so that who registers a party and
        looks it up finds it. That waiting counts as any other: within the time limit, and among those who wait.
        """
        label = str(question.oracle_id)
        place = (question.oracle_id, question.url.partition("?")[0])
        before = self._changes.get(place)
        if before is None and question.method == "GET" and question.step == "lookup":
            kept = self._cache.get(question.oracle_id, question.url, self._now_ms())
            if kept is not None:
                QUESTIONS.labels(label, "cached").inc()
                return kept
        window = self._windows.get(question.oracle_id)
        if window is None:
            window = self._windows[question.oracle_id] = _Window(self._settings)
        if not window.breaker.ready(self._now_ms()):
            QUESTIONS.labels(label, "breaker").inc()
            return NO_ANSWER
        if window.waiting >= self._settings.oracle_waiting_max:
            QUESTIONS.labels(label, "overloaded").inc()
            return NO_ANSWER
        if question.method == "GET":
            return await self._ask(window, question, label, before)
        changed = self._changes[place] = asyncio.get_running_loop().create_future()
        try:
            return await self._ask(window, question, label, before)
        finally:
            self._end_change(place, changed, before)

    async def _ask(
        self, window: _Window, question: OracleQuestion, label: str, before: asyncio.Future[None] | None
    ) -> OracleAnswer:
        window.waiting += 1
        WAITING.labels(label).set(window.waiting)
        try:
            async with asyncio.timeout(self._settings.oracle_timeout_ms / 1000):
                if before is not None:
                    await asyncio.wait({before})
                async with window.turns:
                    return await self._ask_in_turn(window, question, label)
        except TimeoutError:
            QUESTIONS.labels(label, "timeout").inc()
            return NO_ANSWER
        finally:
            window.waiting -= 1
            WAITING.labels(label).set(window.waiting)

    def _end_change(
        self, place: tuple[int, str], changed: asyncio.Future[None], before: asyncio.Future[None] | None
    ) -> None:
        if before is not None and not before.done():  # its time was over first: who is behind it waits for that one
            before.add_done_callback(lambda _before: self._end_change(place, changed, None))
            return
        changed.set_result(None)
        if self._changes.get(place) is changed:
            del self._changes[place]

    async def _ask_in_turn(self, window: _Window, question: OracleQuestion, label: str) -> OracleAnswer:
        if not window.breaker.allow(self._now_ms()):  # it may have opened while this one waited for its turn
            QUESTIONS.labels(label, "breaker").inc()
            return NO_ANSWER
        answer = NO_ANSWER
        generation = self._cache.generation(question.oracle_id)
        began_at = time.perf_counter()
        try:
            answer = await self._client.ask(question)
        finally:  # a question whose time is over has failed too
            self._judge(window, question, answer)
        SECONDS.labels(label).observe(time.perf_counter() - began_at)
        QUESTIONS.labels(label, "answered" if answer.status is not None else "unreachable").inc()
        if question.method == "GET" and answer.status is not None and answer.status < _SERVER_ERROR:
            self._cache.put(question.oracle_id, question.url, answer, generation, self._now_ms())
        return answer

    def _judge(self, window: _Window, question: OracleQuestion, answer: OracleAnswer) -> None:
        if question.method != "GET":
            self._cache.changed(question.oracle_id)  # whatever the answer: it may have come to pass
        if answer.status is not None and answer.status < _SERVER_ERROR:
            window.breaker.succeeded()
            return
        log.warning("oracle-failed", oracle=question.oracle_id, status=answer.status, step=question.step)
        window.breaker.failed(self._now_ms())
