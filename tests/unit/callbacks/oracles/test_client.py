"""A slow or dead oracle delays no other: limits, breaker and cache of the oracle client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from clearinghub.callbacks.oracles.client import AnswerCache, OracleClient
from clearinghub.callbacks.oracles.http_client import NO_ANSWER, OracleAnswer, OracleQuestion, sent_headers
from clearinghub.config import Settings
from clearinghub.messages import MalformedMessageError, decode_as, encode, split
from clearinghub.messages.parties import OracleAnswerMessage, OracleStep
from tests.unit.callbacks.oracles.samples import REQUEST, question

FOUND = OracleAnswer(200, b'{"partyList":[]}')


@dataclass
class FakeOracle:
    """Answers with `answer`; hangs for the oracles in `hanging`."""

    answer: OracleAnswer = FOUND
    sent: list[OracleQuestion] = field(default_factory=list)
    hanging: frozenset[int] = frozenset()
    meanwhile: Callable[[], None] = field(default=lambda: None)

    async def send(self, question: OracleQuestion) -> OracleAnswer:
        self.sent.append(question)
        if question.message.oracle in self.hanging:
            await asyncio.Event().wait()
        self.meanwhile()
        return self.answer


@dataclass
class Clock:
    """A clock set by hand."""

    now_ms: int = 0

    def __call__(self) -> int:
        return self.now_ms


def client_of(oracle: FakeOracle, clock: Clock | None = None, **settings: Any) -> OracleClient:
    return OracleClient(Settings(**settings), oracle, clock or Clock())


async def test_an_answer_counts_for_a_while() -> None:
    oracle, clock = FakeOracle(), Clock()
    client = client_of(oracle, clock, oracle_cache_ms=1_000)
    for now_ms, count in ((0, 1), (999, 1), (1_000, 2)):
        clock.now_ms = now_ms
        assert FOUND == await client.ask(question())
        assert count == len(oracle.sent)
    await client.ask(question(oracle_id=2))
    await client.ask(question(url="http://o/2"))
    assert 4 == len(oracle.sent)


async def test_an_owners_check_asks_the_oracle_itself() -> None:
    oracle = FakeOracle()
    client = client_of(oracle)
    await client.ask(question())
    await client.ask(question(step=OracleStep.OWNER))

    assert 2 == len(oracle.sent)


@pytest.mark.parametrize("answer", [OracleAnswer(201), OracleAnswer(409), NO_ANSWER])
async def test_a_change_voids_what_was_said_before(answer: OracleAnswer) -> None:
    oracle = FakeOracle()
    client = client_of(oracle)
    await client.ask(question())
    oracle.answer = answer
    await client.ask(question(method="POST", step=OracleStep.CHANGE))
    await client.ask(question())

    assert ["GET", "POST", "GET"] == [one.message.method for one in oracle.sent]


async def test_an_answer_that_a_change_has_overtaken_is_not_kept() -> None:
    oracle = FakeOracle()
    cache = AnswerCache(10, 1_000)
    generation = cache.generation(1)
    cache.invalidate(1)
    cache.put(1, "http://o/1", FOUND, generation, 0)
    assert cache.get(1, "http://o/1", 0) is None

    client = client_of(oracle)
    changes = [asyncio.ensure_future(client.ask(question(method="POST", step=OracleStep.CHANGE)))]
    await asyncio.gather(*changes, client.ask(question()))
    await client.ask(question())
    assert oracle.sent


async def test_the_cache_is_bounded_and_can_be_off() -> None:
    cache = AnswerCache(2, 1_000)
    for number in range(3):
        cache.put(1, str(number), FOUND, 0, 0)
    assert [None, FOUND, FOUND] == [cache.get(1, str(number), 0) for number in range(3)]
    for off in (AnswerCache(0, 1_000), AnswerCache(2, 0)):
        off.put(1, "1", FOUND, 0, 0)
        assert off.get(1, "1", 0) is None


def test_the_cache_is_bounded_by_bytes_too() -> None:
    cache = AnswerCache(100, 1_000, bytes_max=10)
    half = OracleAnswer(200, b"x" * 5)
    for url in ("1", "2", "2", "3"):  # the second time one takes the place of the first
        cache.put(1, url, half, 0, 0)
    assert [None, half, half] == [cache.get(1, url, 0) for url in ("1", "2", "3")]

    cache.put(1, "4", OracleAnswer(200, b"x" * 11), 0, 0)  # and drives out no other
    assert [half, half, None] == [cache.get(1, url, 0) for url in ("2", "3", "4")]


async def test_failures_are_not_kept_and_open_the_breaker() -> None:
    oracle, clock = FakeOracle(NO_ANSWER), Clock()
    client = client_of(oracle, clock, oracle_breaker_failures=3, oracle_breaker_open_ms=500)
    for _ in range(5):
        assert NO_ANSWER == await client.ask(question())

    clock.now_ms, oracle.answer = 500, OracleAnswer(404)
    assert OracleAnswer(404) == await client.ask(question())
    assert OracleAnswer(404) == await client.ask(question(url="http://o/2"))
    assert 5 == len(oracle.sent)


async def test_a_server_error_is_a_failure() -> None:
    oracle = FakeOracle(OracleAnswer(503))
    client = client_of(oracle, oracle_breaker_failures=1)
    assert OracleAnswer(503) == await client.ask(question())

    assert NO_ANSWER == await client.ask(question())


async def test_nobody_waits_longer_than_the_limit_nor_for_another_oracle() -> None:
    oracle = FakeOracle(hanging=frozenset({1}))
    client = client_of(oracle, oracle_timeout_ms=50, oracle_in_flight_max=1, oracle_breaker_failures=100)
    slow = [asyncio.create_task(client.ask(question(url=f"http://o/{number}"))) for number in range(5)]
    await asyncio.sleep(0)

    assert FOUND == await client.ask(question(oracle_id=2))
    assert [NO_ANSWER] * 5 == await asyncio.gather(*slow)
    assert 2 >= sum(one.message.oracle == 1 for one in oracle.sent)  # the others' time was over before their turn


async def test_a_queue_that_is_full_refuses_at_once() -> None:
    oracle = FakeOracle(hanging=frozenset({1}))
    client = client_of(oracle, oracle_waiting_max=2, oracle_timeout_ms=5_000)
    slow = [asyncio.create_task(client.ask(question(url=f"http://o/{number}"))) for number in range(2)]
    await asyncio.sleep(0)

    assert NO_ANSWER == await client.ask(question(url="http://o/3"))
    for task in slow:
        task.cancel()


async def test_a_breaker_that_opens_counts_for_those_who_wait() -> None:
    oracle = FakeOracle(NO_ANSWER)
    client = client_of(oracle, oracle_in_flight_max=1, oracle_breaker_failures=1)

    assert [NO_ANSWER] * 3 == await asyncio.gather(*(client.ask(question(url=str(number))) for number in range(3)))
    assert 1 == len(oracle.sent)


def test_what_an_oracle_gets_of_the_headers() -> None:
    headers = {
        "fspiop-source": "a",
        "content-type": "application/vnd.interoperability.parties+json;version=1.1",
        "accept": "application/vnd.interoperability.parties+json;version=1",
        "fspiop-signature": "{}",
        "fspiop-uri": "/parties",
        "x-bad": "a\nb",
        "bad name": "a",
        "traceparent": "t",
    }

    assert {
        "fspiop-source": "a",
        "content-type": "application/vnd.interoperability.participants+json;version=1.1",
        "accept": "application/vnd.interoperability.participants+json;version=1",
        "traceparent": "t",
    } == sent_headers(headers)


def test_the_answers_record() -> None:
    sent = question(body=b"body")
    read = OracleQuestion.parse(encode(sent.message, sent.body))

    answer, body = decode_as(OracleAnswerMessage, read.answered(OracleAnswer(200, b"list")))

    assert (sent, b"list", 200) == (read, body, answer.status)
    assert (OracleStep.LOOKUP, REQUEST) == (answer.step, answer.request)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "party"},
        {"oracle": "7"},
        {"step": "guess"},
        {"request": 1},
        {"request": {"kind": "oracle"}},
        {"headers": {"a": 1}},
        {"headers": 1},
        {"url": None},
    ],
)
def test_what_is_no_question(changes: dict[str, Any]) -> None:
    header, _body = split(encode(question().message))
    with pytest.raises(MalformedMessageError):
        OracleQuestion.parse(encode(json.loads(header) | changes))


class SlowToChange(FakeOracle):
    """A change takes a while, and questions in the meantime are answered from before it."""

    async def send(self, question: OracleQuestion) -> OracleAnswer:
        if question.message.method != "GET":
            await asyncio.sleep(0.05)
        return await super().send(question)


async def test_who_registers_a_party_and_looks_it_up_finds_it() -> None:
    oracle = SlowToChange()
    client = client_of(oracle)

    await asyncio.gather(
        client.ask(question(method="POST")),
        client.ask(question(url="http://o/1?partySubIdOrType=30")),
        client.ask(question(url="http://o/2")),
    )

    assert ["http://o/2", "http://o/1", "http://o/1?partySubIdOrType=30"] == [one.message.url for one in oracle.sent]


async def test_the_changes_of_one_party_take_no_longer_together_than_the_limit() -> None:
    oracle = FakeOracle(hanging=frozenset({1}))
    client = client_of(oracle, oracle_timeout_ms=50, oracle_breaker_failures=100)

    assert [NO_ANSWER] * 5 == await asyncio.gather(*(client.ask(question(method="POST")) for _ in range(5)))
    await asyncio.sleep(0.1)

    assert 2 >= len(oracle.sent)  # the others' time was over before their turn, and none is sent later


async def test_the_changes_of_one_party_count_as_waiting() -> None:
    oracle = FakeOracle(hanging=frozenset({1}))
    client = client_of(oracle, oracle_waiting_max=2, oracle_timeout_ms=5_000)
    slow = [asyncio.create_task(client.ask(question(method="POST"))) for _ in range(2)]
    await asyncio.sleep(0)

    async with asyncio.timeout(1):
        assert NO_ANSWER == await client.ask(question(method="POST"))
    for task in slow:
        task.cancel()


class SlowToStop(FakeOracle):
    """Hangs on the first question, and is still at it for a while after that was broken off."""

    stopped = False

    async def send(self, question: OracleQuestion) -> OracleAnswer:
        if self.sent:
            assert self.stopped
            return await super().send(question)
        self.sent.append(question)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            self.stopped = True
        raise AssertionError


async def test_a_change_whose_time_is_over_lets_nobody_pass_the_one_before_it() -> None:
    oracle = SlowToStop()
    client = client_of(oracle, oracle_timeout_ms=50, oracle_breaker_failures=100)
    first, second = (asyncio.create_task(client.ask(question(method="POST"))) for _ in range(2))
    assert NO_ANSWER == await second
    assert not first.done()

    third = asyncio.create_task(client.ask(question(method="PUT")))

    assert (NO_ANSWER, NO_ANSWER) == (await first, await third)
    assert FOUND == await client.ask(question())
    assert ["POST", "GET"] == [one.message.method for one in oracle.sent]


async def test_however_many_oracles_hang_one_that_answers_gets_its_questions() -> None:
    oracle = FakeOracle(hanging=frozenset(range(1, 30)))
    client = client_of(oracle)
    asking = [
        asyncio.ensure_future(client.ask(question(oracle_id=number, url=f"http://o/{one}")))
        for one in range(600)
        for number in range(1, 30)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [one for one in asking if not one.done()]
    assert len(waiting) < 8_000
    answers = await asyncio.gather(*(client.ask(question(oracle_id=99, url=f"http://o/{one}")) for one in range(50)))
    assert [FOUND] * 50 == answers
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
