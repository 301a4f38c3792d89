"""Ask oracles: each has its own queue, limit in flight and breaker, so a slow or dead one delays no other."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog
from prometheus_client import Counter, Gauge, Histogram

from clearinghub.callbacks.breaker import Breaker
from clearinghub.callbacks.oracles.http_client import NO_ANSWER, OracleAnswer, OracleQuestion, OracleTransport
from clearinghub.config import Settings
from clearinghub.messages.parties import OracleStep

log = structlog.get_logger(__name__)

QUESTIONS: Final = Counter("clearinghub_oracle_questions_total", "Questions to oracles", ["oracle", "outcome"])
WAITING: Final = Gauge("clearinghub_oracle_waiting", "Questions in flight or waiting for their turn", ["oracle"])
SECONDS: Final = Histogram(
    "clearinghub_oracle_seconds",
    "From a question to its answer over HTTP",
    ["oracle"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CACHE_BYTES_MAX: Final = 64 * 1024 * 1024  # of all cached answers together: a single one may have megabytes
WAITING_MAX: Final = 8_000
"""Questions in flight or waiting, of all oracles together."""

WAITING_BYTES_MAX: Final = 128 * 1024 * 1024
"""Their size; a batch of registrations may have megabytes."""

_SERVER_ERROR: Final = 500

Resource = tuple[int, str]
"""An oracle's id and a URL of it without the query: the place of one party."""


def monotonic_ms() -> int:
    """Return the milliseconds of a clock that never goes back."""
    return time.monotonic_ns() // 1_000_000


class _CachedAnswer(NamedTuple):
    until_ms: int
    generation: int
    answer: OracleAnswer


class AnswerCache:
    """The most recent answers to lookups, by oracle and URL; the oldest are dropped first.

    A change at an oracle invalidates all its earlier answers, and those to questions that are under way. `now_ms` is in
    milliseconds of any clock that never goes back.
    """

    def __init__(self, count_max: int, keep_ms: int, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._count_max = count_max
        self._keep_ms = keep_ms
        self._bytes_max = bytes_max
        self._bytes = 0
        self._answers: OrderedDict[tuple[int, str], _CachedAnswer] = OrderedDict()
        self._changes: dict[int, int] = {}

    def generation(self, oracle_id: int) -> int:
        """Return how often the oracle was changed: if that has grown since a question, its answer is not cached."""
        return self._changes.get(oracle_id, 0)

    def get(self, oracle_id: int, url: str, now_ms: int) -> OracleAnswer | None:
        """Return a cached answer that is still valid, or None."""
        found = self._answers.get((oracle_id, url))
        if found is None or found.until_ms <= now_ms or found.generation != self.generation(oracle_id):
            return None
        return found.answer

    def put(self, oracle_id: int, url: str, answer: OracleAnswer, generation: int, now_ms: int) -> None:
        """Cache the answer to a question that was sent at that generation, unless it is outdated or too large."""
        if generation != self.generation(oracle_id) or not self._keep_ms or not self._count_max:
            return
        if len(answer.body) > self._bytes_max:
            return
        replaced = self._answers.pop((oracle_id, url), None)
        self._bytes += len(answer.body) - (0 if replaced is None else len(replaced.answer.body))
        self._answers[oracle_id, url] = _CachedAnswer(now_ms + self._keep_ms, generation, answer)
        while len(self._answers) > self._count_max or self._bytes > self._bytes_max:
            _url, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest.answer.body)
        assert self._bytes >= 0

    def invalidate(self, oracle_id: int) -> None:
        """Invalidate all answers of an oracle, because a party was registered, updated or removed there."""
        self._changes[oracle_id] = self.generation(oracle_id) + 1


class _Oracle:
    """The limits of one oracle, and how many questions wait for it."""

    def __init__(self, settings: Settings) -> None:
        self.turns = asyncio.Semaphore(settings.oracle_in_flight_max)
        self.breaker = Breaker(settings.oracle_breaker_failures, settings.oracle_breaker_open_ms)
        self.waiting = 0
        self.bytes = 0


class OracleClient:
    """Asks oracles; never raises for what an oracle does, and never takes longer than the time limit."""

    def __init__(
        self, settings: Settings, transport: OracleTransport, now_ms: Callable[[], int] = monotonic_ms
    ) -> None:
        """`now_ms` is the clock of the cache and of the breakers, in milliseconds."""
        self._settings = settings
        self._transport = transport
        self._now_ms = now_ms
        self._cache = AnswerCache(settings.oracle_cache_answers_max, settings.oracle_cache_ms)
        self._oracles: dict[int, _Oracle] = {}
        self._waiting = 0
        self._bytes = 0
        self._changes: dict[Resource, asyncio.Future[None]] = {}  # of each party the last change that is under way

    async def ask(self, question: OracleQuestion) -> OracleAnswer:
        """Return the oracle's answer, or a cached one; NO_ANSWER if it fails, is overloaded or is too slow.

        A question about a party waits until the earlier changes of that party are done, so that a DFSP finds the party
        that it has just registered. This wait counts like any other: it is part of the time limit, and the question
        counts as a waiting one.
        """
        message = question.message
        label = str(message.oracle)
        resource = (message.oracle, message.url.partition("?")[0])
        change_before = self._changes.get(resource)
        if change_before is None and message.method == "GET" and message.step is OracleStep.LOOKUP:
            cached = self._cache.get(message.oracle, message.url, self._now_ms())
            if cached is not None:
                QUESTIONS.labels(label, "cached").inc()
                return cached
        oracle = self._oracles.get(message.oracle)
        if oracle is None:
            oracle = self._oracles[message.oracle] = _Oracle(self._settings)
        if not oracle.breaker.ready(self._now_ms()):
            QUESTIONS.labels(label, "breaker").inc()
            return NO_ANSWER
        if not self._has_room(oracle, len(question.body)):
            QUESTIONS.labels(label, "overloaded").inc()
            return NO_ANSWER
        if message.method == "GET":
            return await self._wait_and_send(oracle, question, label, change_before)
        change = self._changes[resource] = asyncio.get_running_loop().create_future()
        try:
            return await self._wait_and_send(oracle, question, label, change_before)
        finally:
            self._end_change(resource, change, change_before)

    def _has_room(self, oracle: _Oracle, size: int) -> bool:
        """Return whether an oracle may have another question waiting: it may take as much as the others leave free.

        The rule is that of the receivers' queues (`clearinghub.callbacks.shares`): slow oracles, however many, leave
        room for those that answer.
        """
        if not oracle.waiting:
            return True
        count_max = min(self._settings.oracle_waiting_max, WAITING_MAX - self._waiting)
        return oracle.waiting < count_max and oracle.bytes + size <= WAITING_BYTES_MAX - self._bytes

    def _count(self, oracle: _Oracle, count: int, size: int, label: str) -> None:
        oracle.waiting += count
        oracle.bytes += size
        self._waiting += count
        self._bytes += size
        WAITING.labels(label).set(oracle.waiting)

    async def _wait_and_send(
        self, oracle: _Oracle, question: OracleQuestion, label: str, change_before: asyncio.Future[None] | None
    ) -> OracleAnswer:
        size = len(question.body)
        self._count(oracle, 1, size, label)
        try:
            async with asyncio.timeout(self._settings.oracle_timeout_ms / 1000):
                if change_before is not None:
                    await asyncio.wait({change_before})
                async with oracle.turns:
                    return await self._send(oracle, question, label)
        except TimeoutError:
            QUESTIONS.labels(label, "timeout").inc()
            return NO_ANSWER
        finally:
            self._count(oracle, -1, -size, label)

    def _end_change(
        self, resource: Resource, change: asyncio.Future[None], change_before: asyncio.Future[None] | None
    ) -> None:
        if change_before is not None and not change_before.done():
            # This change has timed out before the earlier one ended; what waits for this one must wait for that.
            change_before.add_done_callback(lambda _before: self._end_change(resource, change, None))
            return
        change.set_result(None)
        if self._changes.get(resource) is change:
            del self._changes[resource]

    async def _send(self, oracle: _Oracle, question: OracleQuestion, label: str) -> OracleAnswer:
        message = question.message
        if not oracle.breaker.allow(self._now_ms()):  # it may have opened while this question waited for its turn
            QUESTIONS.labels(label, "breaker").inc()
            return NO_ANSWER
        answer = NO_ANSWER
        generation = self._cache.generation(message.oracle)
        began_at = time.perf_counter()
        try:
            answer = await self._transport.send(question)
        finally:  # a question that has timed out has failed too
            self._judge(oracle, question, answer)
        SECONDS.labels(label).observe(time.perf_counter() - began_at)
        QUESTIONS.labels(label, "answered" if answer.status is not None else "unreachable").inc()
        if message.method == "GET" and answer.status is not None and answer.status < _SERVER_ERROR:
            self._cache.put(message.oracle, message.url, answer, generation, self._now_ms())
        return answer

    def _judge(self, oracle: _Oracle, question: OracleQuestion, answer: OracleAnswer) -> None:
        message = question.message
        if message.method != "GET":
            self._cache.invalidate(message.oracle)  # whatever the answer: the change may have been made
        if answer.status is not None and answer.status < _SERVER_ERROR:
            oracle.breaker.succeeded()
            return
        log.warning("oracle-failed", oracle=message.oracle, status=answer.status, step=message.step.value)
        oracle.breaker.failed(self._now_ms())
