"""Callbacks over real sockets: the bytes that are sent, and servers that fail."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp.test_utils import TestServer
from aiohttp.web import Application, Request, Response

from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.http_client import HttpTransport
from clearinghub.callbacks.http_connection import ANSWER_BYTES_MAX
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.sender import Reason, ReasonCode
from tests.unit.callbacks.fakes import PLAIN, Endpoints, FakeDeadLetters, notification, settings

NOW_MS = 1_700_000_000_000
NOW = "Tue, 14 Nov 2023 22:13:20 GMT"
BODY = '{ "amount" : {"amount":"1.50","currency":"USD"},\r\n\t"note":"é\\u00e9" }\n'.encode()
SENT = {
    "accept": "application/vnd.interoperability.transfers+json;version=1.1",
    "content-type": "application/vnd.interoperability.transfers+json;version=1.0",
    "date": "Mon, 13 Nov 2023 10:00:00 GMT",
    "fspiop-source": "payerfsp",
    "fspiop-destination": "payeefsp",
    "fspiop-uri": "/transfers",
    "fspiop-http-method": "POST",
    "fspiop-signature": '{"signature":"abc","protectedHeader":"def"}',
    "x-scheme": "kept",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


@dataclass
class Dfsp:
    """A DFSP's server: it answers by a script, then with `status`, each time after `delay_s`."""

    status: int = 200
    delay_s: float = 0.0
    script: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: Request) -> Response:
        self.bodies.append(await request.read())
        await asyncio.sleep(self.delay_s)
        return Response(status=self.script.pop(0) if self.script else self.status)


@asynccontextmanager
async def serving(*dfsps: Dfsp, port: int = 0) -> AsyncIterator[None]:
    servers = []
    for dfsp in dfsps:
        app = Application()
        app.router.add_route("*", "/{rest:.*}", dfsp.handle)
        server = TestServer(app, port=port or None)
        await server.start_server()
        dfsp.url = str(server.make_url("/transfers/")) + "{{transferId}}"
        servers.append(server)
    try:
        yield
    finally:
        for server in servers:
            await server.close()


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A socket that keeps each request unchanged and answers the same bytes; yields its URL and the requests."""
    requests: list[bytes] = []
    open_writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                requests.append(head + await reader.readexactly(length))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    finally:
        server.close()
        for writer in open_writers:
            writer.close()
        await server.wait_closed()


Start = Callable[..., Deliverer]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    closing: list[Callable[[], Awaitable[None]]] = []

    def make(dead_letters: FakeDeadLetters, endpoints: Endpoints, **changes: object) -> Deliverer:
        chosen = settings(**changes)
        transport = HttpTransport(chosen.callback_timeout_ms)
        deliverer = Deliverer(chosen, endpoints, transport, dead_letters.write, lambda: NOW_MS)
        closing.extend((deliverer.close, transport.close))
        return deliverer

    yield make
    for close in closing:
        await close()


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def parsed(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(lines) == len(headers)
    return first, {name.lower(): value for name, value in headers.items()}, body


FORWARDED_POST = PLAIN.changed(
    source="payerfsp", receiver="payeefsp", method="POST", path="/transfers", headers=SENT
)._replace(body=BODY)
HUB_HEADERS = {
    "content-type": "application/vnd.interoperability.transfers+json;version=1.1",
    "date": NOW,
    "fspiop-source": "Hub",
    "fspiop-destination": "payeefsp",
    "fspiop-uri": "/transfers/t-1",
    "traceparent": SENT["traceparent"],
}
HUB_PUT = PLAIN.changed(receiver="payeefsp", headers=SENT)._replace(body=BODY)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (FORWARDED_POST, SENT),
        (HUB_PUT, HUB_HEADERS | {"fspiop-http-method": "PUT"}),
        (HUB_PUT.changed(method="PATCH"), HUB_HEADERS | {"fspiop-http-method": "PATCH"}),
    ],
    ids=["forwarded POST", "hub PUT", "hub PATCH"],
)
async def test_a_request_has_exactly_the_expected_bytes(
    start: Start, sent: Notification, expected: dict[str, str]
) -> None:
    async with raw_server(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n") as (base, requests):
        await start(FakeDeadLetters(), Endpoints(payeefsp=base + "/x/{{transferId}}")).submit(sent)
    first, headers, body = parsed(requests[0])
    more = {"host": base.removeprefix("http://"), "content-length": str(len(BODY))}
    assert (f"{sent.message.method} /x/t-1 HTTP/1.1", BODY) == (first, body)
    assert expected | more == headers


@pytest.mark.parametrize("size", [0, 1 << 20, (1 << 20) + 1, 5_242_880])
async def test_bodies_of_every_size_arrive_unchanged(start: Start, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (base, requests):
        await start(FakeDeadLetters(), Endpoints(a=base + "/{{transferId}}"), callback_timeout_ms=5_000).submit(
            notification("a", body=body)
        )
    assert body == parsed_body(requests[0])


def parsed_body(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


async def test_quoted_identifiers_reach_the_server_as_rendered(start: Start) -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (base, requests):
        sent = PLAIN.changed(receiver="a", variables={"transferId": "a/b %é"})
        await start(FakeDeadLetters(), Endpoints(a=base + "/{{transferId}}/%7e")).submit(sent)
    assert "PUT /a%2Fb%20%25%C3%A9/%7e HTTP/1.1" == parsed(requests[0])[0]


async def test_a_slow_receiver_delays_nobody_else(start: Start) -> None:
    slow, fast = Dfsp(delay_s=1.0), Dfsp()
    async with serving(slow, fast):
        deliverer = start(FakeDeadLetters(), Endpoints(slow=slow.url, fast=fast.url), callback_timeout_ms=5_000)
        stuck = [deliverer.submit(notification("slow", str(number))) for number in range(100)]
        started_s = time.monotonic()
        await asyncio.gather(*(deliverer.submit(notification("fast", str(number))) for number in range(100)))
        assert time.monotonic() - started_s < 0.9
        assert not any(future.done() for future in stuck)
        await asyncio.gather(*stuck)
    assert (100, 100) == (len(slow.bodies), len(fast.bodies))


async def test_the_callbacks_of_a_transfer_keep_their_order(start: Start) -> None:
    dfsp = Dfsp(script=[503, 200, 500, 429] * 5)
    async with serving(dfsp):
        deliverer = start(
            FakeDeadLetters(), Endpoints(a=dfsp.url), callback_breaker_failures=100, callback_retries_max=50
        )
        sent = [(f"t{number % 10}", b"%d" % (number // 10)) for number in range(100)]
        await asyncio.gather(
            *(deliverer.submit(notification("a", name, name.encode() + b":" + step)) for name, step in sent)
        )
    arrived: dict[str, list[int]] = defaultdict(list)
    for body in dfsp.bodies:
        name, _, step = body.decode().partition(":")
        if not arrived[name] or arrived[name][-1] != int(step):  # a repeated attempt may directly follow the first one
            arrived[name].append(int(step))
    assert {f"t{number}": list(range(10)) for number in range(10)} == arrived


async def test_a_failure_is_repeated_until_it_succeeds(start: Start) -> None:
    dfsp, dead_letters = Dfsp(script=[500, 503]), FakeDeadLetters()
    async with serving(dfsp):
        await start(dead_letters, Endpoints(a=dfsp.url)).submit(notification("a", body=b"1"))
    assert ([b"1"] * 3, []) == (dfsp.bodies, dead_letters.letters)


async def test_a_refusal_is_not_repeated(start: Start) -> None:
    dfsp, dead_letters = Dfsp(status=400), FakeDeadLetters()
    async with serving(dfsp):
        await start(dead_letters, Endpoints(a=dfsp.url)).submit(notification("a"))
    assert (1, [Reason(ReasonCode.REFUSED, status=400, attempts=1)]) == (
        len(dfsp.bodies),
        [reason for _, reason in dead_letters.letters],
    )


async def test_a_dead_port_ends_at_the_dead_letter(start: Start) -> None:
    dead_letters = FakeDeadLetters()
    url = f"http://127.0.0.1:{free_port()}/{{{{transferId}}}}"
    await start(dead_letters, Endpoints(a=url)).submit(notification("a"))
    [(_, reason)] = dead_letters.letters
    assert (ReasonCode.RETRIES_EXHAUSTED, None, 3) == (reason.code, reason.status, reason.attempts)
    assert reason.detail.startswith("unreachable: ")


async def test_a_server_that_never_answers_times_out(start: Start) -> None:
    dfsp, dead_letters = Dfsp(delay_s=0.5), FakeDeadLetters()
    async with serving(dfsp):
        deliverer = start(dead_letters, Endpoints(a=dfsp.url), callback_timeout_ms=100, callback_retries_max=1)
        await deliverer.submit(notification("a"))
    assert (2, ["retries-exhausted"]) == (len(dfsp.bodies), dead_letters.reasons())
    assert dead_letters.letters[0][1].detail.startswith("timeout")


async def test_the_breaker_pauses_a_dead_server_and_all_arrives_when_it_is_back(start: Start) -> None:
    port = free_port()
    dfsp, dead_letters = Dfsp(), FakeDeadLetters()
    deliverer = start(
        dead_letters,
        Endpoints(a=f"http://127.0.0.1:{port}/{{{{transferId}}}}"),
        callback_breaker_failures=5,
        callback_breaker_open_ms=100,
        callback_retries_max=20,
    )
    futures = [deliverer.submit(notification("a", str(number), b"%d" % number)) for number in range(30)]
    await asyncio.sleep(0.25)
    async with serving(dfsp, port=port):
        await asyncio.wait_for(asyncio.gather(*futures), 3)
    assert sorted(b"%d" % number for number in range(30)) == sorted(dfsp.bodies)
    assert [] == dead_letters.letters


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * (2 * ANSWER_BYTES_MAX),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["endless", "cut short", "not decoded", "cookie"],
)
async def test_the_status_counts_whatever_follows_it(answer: bytes) -> None:
    transport = HttpTransport(timeout_ms=300)
    async with raw_server(answer) as (base, requests):
        for _ in range(2):
            assert 200 == await transport.send("PUT", base + "/", {"x-a": "1"}, b"{}", "payerfsp")
        await transport.close()
    assert {"host", "x-a", "content-length"} == set(parsed(requests[-1])[1])
