"""The callbacks' HTTP connections over real sockets: when one is used again, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from clearinghub.callbacks.http_client import DestinationError, HttpTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Answers each request by a script; counts connections and requests."""

    def __init__(self, *answers: bytes | None) -> None:
        """In the script, None closes the connection instead of answering; after its end all answers are 200."""
        self.answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []
        self.ended = 0
        self.url = ""
        self.writers: list[asyncio.StreamWriter] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    break
                writer.write(answer)
                if b"close" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended += 1
        writer.close()


@asynccontextmanager
async def serving(
    *answers: bytes | None, timeout_ms: int = 2_000, keep_alive_s: float = 4.0
) -> AsyncIterator[tuple[Server, HttpTransport]]:
    made = Server(*answers)
    listening = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/transfers/1?a=b"
    transport = HttpTransport(timeout_ms, keep_alive_s=keep_alive_s)
    try:
        yield made, transport
    finally:
        await transport.close()
        listening.close()
        for writer in made.writers:
            writer.close()
        await listening.wait_closed()


async def send(server: Server, transport: HttpTransport, body: bytes = b"{}") -> int:
    return await transport.send("PUT", server.url, {"x-a": "1"}, body, "dfsp")


async def test_a_connection_carries_one_request_after_the_other() -> None:
    async with serving() as (server, transport):
        assert [200] * 5 == [await send(server, transport) for _ in range(5)]
        assert (1, 5) == (server.connections, len(server.requests))
    assert b"PUT /transfers/1?a=b HTTP/1.1\r\nhost: 127.0.0.1:" in server.requests[0]


async def test_parallel_requests_have_connections_of_their_own() -> None:
    async with serving() as (server, transport):
        assert [200] * 5 == list(await asyncio.gather(*(send(server, transport) for _ in range(5))))
        assert 5 == server.connections
        assert [200] * 5 == list(await asyncio.gather(*(send(server, transport) for _ in range(5))))
        assert 5 == server.connections


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 500),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302),
    ],
    ids=["informational first", "chunked", "no content", "redirect"],
)
async def test_answers_are_read_to_their_end_whatever_their_framing(answer: bytes, status: int) -> None:
    async with serving(answer) as (server, transport):
        assert [status, 200] == [await send(server, transport), await send(server, transport)]
        assert 1 == server.connections


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nX: close\r\n\r\n",
        OK + OK,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["close", "until the end", "two answers", "upgrade"],
)
async def test_a_connection_that_cannot_be_reused_is_closed(answer: bytes) -> None:
    async with serving(answer) as (server, transport):
        try:
            await send(server, transport)
        except DestinationError as error:
            assert error.kind == "broken"  # noqa: PT017 - an upgrade is no answer; all other cases are
        assert 200 == await send(server, transport)
        assert 2 == server.connections


async def test_a_kept_connection_that_the_receiver_has_closed_costs_nothing() -> None:
    async with serving(OK, None) as (server, transport):
        assert [200, 200] == [await send(server, transport), await send(server, transport)]
    assert (2, 3) == (server.connections, len(server.requests))


async def test_a_new_connection_that_is_closed_at_once_is_a_failure() -> None:
    async with serving(None, None) as (server, transport):
        with pytest.raises(DestinationError, match="broken"):
            await send(server, transport)
        assert 1 == server.connections


async def test_bytes_without_a_request_close_the_connection() -> None:
    async with serving() as (server, transport):
        await send(server, transport)
        server.writers[0].write(OK)
        await asyncio.sleep(0.05)
        assert 200 == await send(server, transport)
        assert 2 == server.connections


async def test_after_a_timeout_the_connection_is_gone_and_the_request_is_not_repeated() -> None:
    async with serving(OK, b"", timeout_ms=100) as (server, transport):
        await send(server, transport)
        with pytest.raises(DestinationError, match="timeout"):
            await send(server, transport)
        await asyncio.sleep(0.05)
        assert (2, 1) == (len(server.requests), server.ended)


async def test_a_cancelled_request_closes_its_connection() -> None:
    async with serving(b"") as (server, transport):
        sending = asyncio.create_task(send(server, transport))
        while not server.requests:
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.wait({sending})
        await asyncio.sleep(0.05)
        assert (True, 1) == (sending.cancelled(), server.ended)


async def test_an_idle_connection_is_closed_before_its_server_does() -> None:
    async with serving(keep_alive_s=0.1) as (server, transport):
        await send(server, transport)
        await asyncio.sleep(0.4)
        assert 1 == server.ended


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "nowhere.invalid"])
async def test_an_unknown_host_is_unreachable(host: str) -> None:
    transport = HttpTransport(timeout_ms=2_000)
    with pytest.raises(DestinationError, match=r"unreachable|timeout"):
        await transport.send("PUT", f"http://{host}/a", {}, b"{}", "dfsp")
    await transport.close()


async def test_nonsense_instead_of_http_is_an_error_of_the_destination() -> None:
    async with serving(b"SSH-2.0-OpenSSH_9.6\r\n\r\n") as (server, transport):
        with pytest.raises(DestinationError, match="broken"):
            await send(server, transport)
