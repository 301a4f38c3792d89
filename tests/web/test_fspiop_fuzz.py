"""Whatever is sent, the answer is the API's: 202 with a record, or a client's error without one; never a 5xx."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import fields_of
from tests.web.fspiop_client import (
    ACCEPT,
    CONTENT_TYPE,
    DATE,
    ERROR,
    FULFIL,
    HEADERS,
    PREPARE,
    TRANSFER_ID,
    Answer,
    Dfsp,
    a_dfsp,
    send_raw,
)

FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Run = Callable[[Callable[[Dfsp], Awaitable[None]]], None]

TEXT = st.text(max_size=40)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
REQUESTS = st.sampled_from(
    [
        ("POST", "/transfers", PREPARE),
        ("PUT", f"/transfers/{TRANSFER_ID}", FULFIL),
        ("PUT", f"/transfers/{TRANSFER_ID}/error", ERROR),
    ]
)
HEADER_NAMES = st.sampled_from([*HEADERS, "fspiop-proxy", "x-client-id", "traceparent", "Content-Encoding", "X-Any"])
HEADER_VALUES = st.binary(max_size=60).filter(lambda value: not set(value) & set(b"\r\n\0")) | st.sampled_from(
    [value.encode() for value in (ACCEPT, CONTENT_TYPE, DATE, "payerfsp", "gzip", "deflate")]
)


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a coroutine function with a DFSP; one hub serves all examples of a test."""
    with asyncio.Runner() as runner:
        context = a_dfsp()
        dfsp = runner.run(context.__aenter__())

        def use(scenario: Callable[[Dfsp], Awaitable[None]]) -> None:
            dfsp.recorder.records.clear()

            async def go() -> None:
                await scenario(dfsp)

            runner.run(go())

        yield use
        runner.run(context.__aexit__(None, None, None))


def check(dfsp: Dfsp, answer: Answer) -> None:
    if answer.status in (200, 202):
        [(_, key, value)] = dfsp.recorder.records
        assert key
        fields_of(value)
    else:
        status, code, description = answer.error
        assert 400 <= status < 500
        assert code.startswith("3")
        assert 1 <= len(description) <= 128
        assert [] == dfsp.recorder.records


@FEW
@given(request=REQUESTS, body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body(run: Run, request: tuple[str, str, Any], body: bytes) -> None:
    async def scenario(dfsp: Dfsp) -> None:
        check(dfsp, await dfsp.send(request[0], request[1], data=body))

    run(scenario)


@FEW
@given(request=REQUESTS, data=st.data())
def test_a_good_body_with_anything_in_one_place(run: Run, request: tuple[str, str, Any], data: st.DataObject) -> None:
    method, path, good = request
    body = json.loads(json.dumps(good))
    place = body
    while True:
        name = data.draw(st.sampled_from(sorted(place)) | TEXT)
        if isinstance(place.get(name), dict) and data.draw(st.booleans()):
            place = place[name]
            continue
        place[name] = data.draw(JSON)
        break

    async def scenario(dfsp: Dfsp) -> None:
        check(dfsp, await dfsp.send(method, path, data=json.dumps(body).encode()))

    run(scenario)


@FEW
@given(cut=st.integers(0, 600), noise=st.binary(max_size=6))
def test_a_good_body_damaged_on_the_way(run: Run, cut: int, noise: bytes) -> None:
    good = json.dumps(PREPARE).encode()

    async def scenario(dfsp: Dfsp) -> None:
        body = good[:cut] + noise + good[cut + len(noise) :]
        check(dfsp, await dfsp.send("POST", "/transfers", data=body))

    run(scenario)


@FEW
@given(changes=st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=4), drop=st.sets(HEADER_NAMES, max_size=2))
def test_any_headers(run: Run, changes: list[tuple[str, bytes]], drop: set[str]) -> None:
    body = json.dumps(PREPARE).encode()
    lines = [f"{name}: {value}".encode() for name, value in HEADERS.items() if name not in drop]
    lines += [name.encode() + b": " + value for name, value in changes]
    head = [b"POST /transfers HTTP/1.1", b"Host: hub", b"Connection: close", b"Content-Length: %d" % len(body), *lines]

    async def scenario(dfsp: Dfsp) -> None:
        answer = await send_raw(dfsp, b"\r\n".join(head) + b"\r\n\r\n" + body)

        status = int(answer.split(b" ", 2)[1])
        assert status in (202, 400, 406)
        assert (status == 202) == bool(dfsp.recorder.records)

    run(scenario)


@FEW
@given(tail=st.text(min_size=1, max_size=30))
def test_any_path(run: Run, tail: str) -> None:
    async def scenario(dfsp: Dfsp) -> None:
        for method, data in (("GET", None), ("PUT", json.dumps(FULFIL).encode())):
            dfsp.recorder.records.clear()
            check(dfsp, await dfsp.send(method, f"/transfers/{tail}", data=data))

    run(scenario)
