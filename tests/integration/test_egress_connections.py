"""Connections of callbacks and to oracles over real sockets: to addresses that were checked, and to no others.

All addresses of 127.0.0.0/8 are this machine's; here 127.0.0.2 is where participants are, and 127.0.0.1 is forbidden.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network

import pytest

from clearinghub.callbacks.destinations import Destinations
from clearinghub.callbacks.http_client import DestinationError, FailureKind, HttpTransport
from clearinghub.callbacks.oracles.http_client import NO_ANSWER, HttpOracleTransport, OracleAnswer
from clearinghub.security.egress import Egress
from tests.unit.callbacks.oracles.samples import question

GUARD = Egress(is_guarded=True, allowed=(IPv4Network("127.0.0.2/32"),))


class Names:
    """A resolver with an answer for each time that it is called; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.calls: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.calls.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Server:
    """One port on both addresses; keeps which address each request came to. It may redirect."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.port = 0
        self.location = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests.append(writer.get_extra_info("sockname")[0])
        status = f"302 Found\r\nLocation: {self.location}" if self.location else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    forbidden = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.port = forbidden.sockets[0].getsockname()[1]
    allowed = await asyncio.start_server(made.handle, "127.0.0.2", made.port)
    yield made
    for one in (forbidden, allowed):
        one.close()
        await one.wait_closed()


@asynccontextmanager
async def transport(egress: Egress = GUARD, names: Names | None = None) -> AsyncIterator[HttpTransport]:
    destinations = None if names is None else Destinations(egress, names.resolve)
    made = HttpTransport(2_000, egress=egress, destinations=destinations)
    try:
        yield made
    finally:
        await made.close()


async def send(client: HttpTransport, url: str) -> int | FailureKind:
    try:
        return await client.send("PUT", url, {}, b"", "dfsp")
    except DestinationError as error:
        return error.kind


async def ask_oracle(url: str, egress: Egress = GUARD, names: Names | None = None) -> OracleAnswer:
    destinations = None if names is None else Destinations(egress, names.resolve)
    client = HttpOracleTransport(egress, destinations=destinations)
    try:
        return await client.send(question(method="GET", url=url, headers={}))
    finally:
        await client.close()


async def test_a_name_that_leads_elsewhere_after_the_check_gains_nothing(server: Server) -> None:
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    url = f"http://dfsp.example:{server.port}/"
    async with transport(names=names) as client:
        assert 200 == await send(client, url)
        assert (["127.0.0.2"], ["dfsp.example"]) == (server.requests, names.calls)
        assert FailureKind.FORBIDDEN is await send(client, url)
    assert (["127.0.0.2"], 2) == (server.requests, len(names.calls))


async def test_the_same_for_an_oracle(server: Server) -> None:
    url = f"http://oracle.example:{server.port}/participants/IBAN/1"
    assert 200 == (await ask_oracle(url, names=Names(["127.0.0.2"], ["127.0.0.1"]))).status
    assert NO_ANSWER == await ask_oracle(url, names=Names(["127.0.0.1"]))
    assert ["127.0.0.2"] == server.requests


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"]])
async def test_one_forbidden_address_forbids_the_name(server: Server, addresses: list[str]) -> None:
    async with transport(names=Names(addresses)) as client:
        assert FailureKind.FORBIDDEN is await send(client, f"http://dfsp.example:{server.port}/")
    assert NO_ANSWER == await ask_oracle(f"http://dfsp.example:{server.port}/", names=Names(addresses))
    assert [] == server.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost"])
async def test_no_spelling_reaches_a_forbidden_address(server: Server, host: str) -> None:
    async with transport() as client:
        assert await send(client, f"http://{host}:{server.port}/") in (FailureKind.FORBIDDEN, FailureKind.UNREACHABLE)
    assert NO_ANSWER == await ask_oracle(f"http://{host}:{server.port}/")
    assert [] == server.requests


async def test_an_address_that_does_not_answer_is_followed_by_the_next(server: Server) -> None:
    everywhere = Egress(is_guarded=True, allowed=(IPv4Network("127.0.0.0/8"),))
    async with transport(everywhere, Names(["127.0.0.3", "127.0.0.2"])) as client:
        assert 200 == await send(client, f"http://dfsp.example:{server.port}/")
        assert ["127.0.0.2"] == server.requests


async def test_a_redirect_is_not_followed(server: Server) -> None:
    server.location = f"http://127.0.0.2:{server.port}/elsewhere"
    async with transport() as client:
        assert 302 == await send(client, f"http://127.0.0.2:{server.port}/")
    assert 302 == (await ask_oracle(f"http://127.0.0.2:{server.port}/")).status
    assert 2 == len(server.requests)


async def test_unguarded_the_hubs_own_ports_are_refused_and_nothing_else_is(server: Server) -> None:
    own = Egress(own_ports=frozenset({server.port}))
    url = f"http://localhost:{server.port}/"
    async with transport(own) as client:
        assert FailureKind.FORBIDDEN is await send(client, url)
    assert NO_ANSWER == await ask_oracle(url, own)
    async with transport(Egress()) as client:
        assert 200 == await send(client, url)
    assert 200 == (await ask_oracle(url, Egress())).status


async def test_with_https_only_nothing_is_sent_in_plain(server: Server) -> None:
    private = Egress(allowed=GUARD.allowed, is_guarded=True, https_only=True)
    url = f"http://127.0.0.2:{server.port}/"
    async with transport(private) as client:
        assert FailureKind.FORBIDDEN is await send(client, url)
    assert NO_ANSWER == await ask_oracle(url, private)
    assert [] == server.requests
