"""Overload at the FSPIOP surface: what begins is refused, what answers is accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient

from clearinghub.config import Settings
from tests.fakes import FakeHealth, FakeParticipants, FakeRecorder
from tests.web.fspiop_client import ERROR, FULFIL, TRANSFER_ID, Dfsp, HubServer, raw_prepare, send_raw
from web.fspiop.app import build_fspiop_app

BUSY = (503, "2005", "Server busy")
PATH = f"/transfers/{TRANSFER_ID}"


@pytest.fixture
async def dfsp() -> AsyncIterator[Dfsp]:
    """A DFSP before a hub that admits nothing new of `payerfsp`."""
    recorder, health = FakeRecorder(), FakeHealth()
    app = build_fspiop_app(
        Settings(),
        recorder,
        health,
        admits=lambda source: source != "payerfsp",
        participants=FakeParticipants.of("payerfsp", "other"),
    )
    async with TestClient(HubServer(app)) as http:
        yield Dfsp(http, recorder, health)


async def test_a_new_request_is_refused_with_the_time_to_come_again(dfsp: Dfsp) -> None:
    removal = {"FSPIOP-Source": "payerfsp"}
    for answer in (
        await dfsp.post(),
        await dfsp.send("GET", PATH),
        await dfsp.send("DELETE", "/participants/MSISDN/27710101999", removal),
    ):
        assert BUSY == answer.error
        assert "1" == answer.headers["Retry-After"]
    assert [] == dfsp.recorder.records


async def test_the_next_request_on_the_connection_is_understood(dfsp: Dfsp) -> None:
    await dfsp.post(ilpPacket="A" * 30_000)  # refused before its body was read

    assert 202 == (await dfsp.post({"FSPIOP-Source": "other"}, payerFsp="other")).status


async def test_what_answers_is_accepted(dfsp: Dfsp) -> None:
    source = {"FSPIOP-Source": "payerfsp"}

    assert 200 == (await dfsp.send("PUT", PATH, source, json.dumps(FULFIL).encode())).status
    assert 200 == (await dfsp.send("PUT", f"{PATH}/error", source, json.dumps(ERROR).encode())).status


async def test_operators_are_always_answered(dfsp: Dfsp) -> None:
    for path in ("/health", "/ready", "/metrics"):
        assert 200 == (await dfsp.send("GET", path, {"FSPIOP-Source": "payerfsp"})).status


class SlowRecorder(FakeRecorder):
    """Confirms nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def record(self, topic: str, key: str, value: bytes) -> None:
        await super().record(topic, key, value)
        await self.go.wait()


async def test_so_many_new_requests_may_wait_and_answers_do_not_count() -> None:
    recorder, health = SlowRecorder(), FakeHealth()
    app = build_fspiop_app(
        Settings(requests_begun_max=2), recorder, health, participants=FakeParticipants.of("payerfsp", "payeefsp")
    )
    async with TestClient(HubServer(app)) as http:
        dfsp = Dfsp(http, recorder, health)
        waiting = [asyncio.create_task(dfsp.post()) for _ in range(2)]
        waiting.append(asyncio.create_task(dfsp.send("PUT", PATH, data=json.dumps(FULFIL).encode())))
        while len(recorder.records) < 3:
            await asyncio.sleep(0.01)

        assert BUSY == (await dfsp.post()).error

        recorder.go.set()
        assert [202, 202, 200] == [answer.status for answer in await asyncio.gather(*waiting)]
        assert 202 == (await dfsp.post()).status


async def test_a_body_that_never_ends_takes_no_place_of_others() -> None:
    recorder, health = FakeRecorder(), FakeHealth()
    app = build_fspiop_app(
        Settings(requests_begun_max=1, body_timeout_ms=300),
        recorder,
        health,
        participants=FakeParticipants.of("payerfsp"),
    )
    async with TestClient(HubServer(app)) as http:
        dfsp = Dfsp(http, recorder, health)
        unfinished = [asyncio.create_task(send_raw(dfsp, raw_prepare()[:-10])) for _ in range(20)]
        await asyncio.sleep(0.1)

        assert 202 == (await dfsp.post()).status

        for answer in await asyncio.gather(*unfinished):
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"Malformed syntax - The body was not received in time" in answer
    assert 1 == len(recorder.records)


@pytest.fixture
async def dfsp_in_maintenance() -> AsyncIterator[Dfsp]:
    """A DFSP before a hub in maintenance."""
    recorder, health = FakeRecorder(), FakeHealth()
    settings = Settings(maintenance=True, maintenance_retry_after_s=90)
    app = build_fspiop_app(settings, recorder, health, participants=FakeParticipants.of("payerfsp"))
    async with TestClient(HubServer(app)) as http:
        yield Dfsp(http, recorder, health)


async def test_in_maintenance_nothing_new_is_accepted_of_anybody(dfsp_in_maintenance: Dfsp) -> None:
    for answer in (await dfsp_in_maintenance.post(), await dfsp_in_maintenance.send("GET", PATH)):
        assert BUSY == answer.error
        assert "90" == answer.headers["Retry-After"]
    assert [] == dfsp_in_maintenance.recorder.records


async def test_in_maintenance_what_was_begun_may_end(dfsp_in_maintenance: Dfsp) -> None:
    answer = await dfsp_in_maintenance.send("PUT", PATH, {"FSPIOP-Source": "payerfsp"}, json.dumps(FULFIL).encode())

    assert 200 == answer.status
    assert 200 == (await dfsp_in_maintenance.send("GET", "/health")).status
