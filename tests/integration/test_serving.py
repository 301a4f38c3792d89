"""A role's listener over real sockets: it accepts connections up to its limit, and stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.web import Application, Request, Response

from clearinghub.roles.serving import CannotListenError, Listener
from clearinghub.tools.archive.main import serve_metrics


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answer(_request: Request) -> Response:
    return Response(text="here")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listening_on = free_port()
    listener = await listen(listening_on, connections_max=10_000)
    yield listening_on
    await listener.stop()


async def listen(port: int, connections_max: int) -> Listener:
    app = Application()
    app.router.add_get("/", answer)
    listener = Listener(app, "127.0.0.1", port, connections_max)
    await listener.start()
    return listener


async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
    """Whether the connection gets an answer within a second."""
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    try:
        return b"200 OK" in await asyncio.wait_for(reader.readuntil(b"here"), 1)
    except TimeoutError:
        return False


async def test_a_crowd_of_new_connections_is_served(port: int) -> None:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as http:

        async def get() -> str:
            async with http.get("/") as response:
                return await response.text()

        assert {"here"} == set(await asyncio.gather(*(get() for _ in range(500))))


async def test_more_connections_than_the_limit_wait_until_one_is_closed() -> None:
    port = free_port()
    listener = await listen(port, connections_max=2)
    try:
        first, second, third = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert [True, True] == [await ask(first), await ask(second)]
        assert not await ask(third)

        first[1].close()

        assert b"200 OK" in await asyncio.wait_for(third[0].readuntil(b"here"), 2)
        for _, writer in (first, second, third):
            writer.close()
            await writer.wait_closed()
    finally:
        await listener.stop()


async def test_a_stopped_listener_frees_its_port() -> None:
    port = free_port()
    await (await listen(port, connections_max=2)).stop()

    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)
    await (await listen(port, connections_max=2)).stop()


async def test_a_port_in_use_is_named(port: int) -> None:
    with pytest.raises(CannotListenError, match=f"cannot listen on http://127.0.0.1:{port}: Address already in use"):
        await listen(port, connections_max=1)


async def test_no_port_says_which_software_serves_it(port: int) -> None:
    archive_port = free_port()
    server, thread = serve_metrics("127.0.0.1", archive_port)
    try:
        for path, number in (("/", port), ("/nothing", port), ("/metrics", archive_port)):
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{number}{path}") as answer:
                assert answer.status in (200, 404)
                assert "Server" not in answer.headers
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
