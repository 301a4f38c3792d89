"""Oracles that misbehave, over real HTTP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp.test_utils import TestServer
from aiohttp.web import Application, Request, Response, StreamResponse

from clearinghub.callbacks.oracles.http_client import (
    ANSWER_BYTES_MAX,
    NO_ANSWER,
    HttpOracleTransport,
    OracleAnswer,
)
from clearinghub.messages.parties import PartyMethod
from tests.unit.callbacks.oracles.samples import question

Handler = Callable[[Request], Awaitable[StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    app = Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/participants/MSISDN/%2B27"))
    finally:
        await server.close()


async def ask(url: str, method: PartyMethod = "GET", body: bytes = b"") -> OracleAnswer:
    transport = HttpOracleTransport()
    headers = {"fspiop-source": "a", "accept": "application/x"}
    try:
        return await transport.send(question(method=method, url=url, headers=headers, body=body))
    finally:
        await transport.close()


async def test_what_is_sent() -> None:
    seen: list[tuple[str, str, bytes, dict[str, str]]] = []

    async def answer(request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen.append((request.method, request.rel_url.raw_path, await request.read(), headers))
        return Response(status=201, body=b"{}")

    async with served(answer) as url:
        assert OracleAnswer(201, b"{}") == await ask(url, "POST", b"body")

    ((method, path, body, headers),) = seen
    assert ("POST", "/participants/MSISDN/%2B27", b"body") == (method, path, body)
    assert {"host", "fspiop-source", "accept", "content-length"} == set(headers)


async def test_a_redirection_is_not_followed() -> None:
    async def answer(_request: Request) -> Response:
        return Response(status=302, headers={"Location": "/elsewhere"})

    async with served(answer) as url:
        assert 302 == (await ask(url)).status


async def test_an_oracle_that_says_too_much() -> None:
    async def answer(request: Request) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        for _ in range(ANSWER_BYTES_MAX // (1 << 20) + 1):
            await response.write(b"x" * (1 << 20))
        return response

    async with served(answer) as url:
        assert NO_ANSWER == await ask(url)


async def test_an_oracle_that_breaks_off() -> None:
    async def answer(request: Request) -> StreamResponse:
        response = StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        assert request.transport is not None
        request.transport.close()
        return response

    async with served(answer) as url:
        assert NO_ANSWER == await ask(url)


async def test_an_oracle_that_is_not_there() -> None:
    assert [NO_ANSWER] * 2 == [await ask("http://127.0.0.1:9/x"), await ask("http://nowhere.invalid/x")]
