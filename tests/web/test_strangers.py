"""A request from no participant is refused before anything is written, and leaves no trace but in one counter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from clearinghub.domain.participants.participant import Participant
from tests.fakes import FakeParticipants
from tests.web.exchange import Exchange, an_exchange
from web.fspiop.sources import WAITING_MAX, Sources

REFUSED = "clearinghub_requests_of_strangers_total"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        yield one


class LateParticipants(FakeParticipants):
    """A copy that lags: it gets a participant while somebody waits for it."""

    def __init__(self, name: str, after_s: float) -> None:
        super().__init__()
        self._name = name
        self._after_s = after_s

    async def reach(self, name: str, version: int) -> None:
        await asyncio.sleep(self._after_s)
        self.by_name[self._name] = Participant(1, self._name, True, 1)


async def test_a_stranger_leaves_neither_a_record_nor_a_series(exchange: Exchange) -> None:
    before, series = REGISTRY.get_sample_value(REFUSED) or 0, count_of_series()
    for number in range(20):
        answer = await exchange.post(f"stranger{number}", payerFsp=f"stranger{number}")
        assert (400, "3101", "Malformed syntax - invalid fspiop-source header") == answer.error

    assert [] == exchange.hub.records
    assert [] == exchange.callbacks()
    assert before + 20 == REGISTRY.get_sample_value(REFUSED)
    assert count_of_series() - series <= 20  # those of the route and of this process, none by name


def count_of_series() -> int:
    return sum(len(family.samples) for family in REGISTRY.collect())


async def test_a_name_may_be_spelled_otherwise() -> None:
    sources = Sources(FakeParticipants.of("PayerFSP"))

    found = await sources.find("payerfsp")
    assert found is not None
    assert "PayerFSP" == found.name
    assert await sources.find("payerfsp2") is None


async def test_of_two_that_differ_in_case_only_the_inactive_one_speaks() -> None:
    participants = FakeParticipants.of("BankA", "banka")
    participants.add("BANKA", active=False)

    found = await Sources(participants).find("bankA")

    assert found is not None
    assert not found.active


async def test_a_participant_that_was_created_just_now_is_waited_for() -> None:
    assert await Sources(LateParticipants("new", 0.01)).find("new") is not None
    assert await Sources(LateParticipants("other", 0.01)).find("new") is None


async def test_a_stranger_does_not_wait_for_ever_and_a_crowd_not_at_all() -> None:
    sources = Sources(LateParticipants("new", 60), patience_s=0.2)

    async with asyncio.timeout(5):
        waiting = [asyncio.create_task(sources.find(f"a{number}")) for number in range(WAITING_MAX)]
        await asyncio.sleep(0)
        began_at = asyncio.get_running_loop().time()
        assert await sources.find("one-more") is None
        assert asyncio.get_running_loop().time() - began_at < 0.1
        assert [None] * WAITING_MAX == await asyncio.gather(*waiting)
