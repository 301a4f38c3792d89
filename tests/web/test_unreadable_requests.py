"""What is no HTTP request is refused as JSON too, on both surfaces and over real sockets (protocol 2.1)."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest

from clearinghub.roles.serving import Listener
from tests.in_memory_hub import InMemoryHub
from tests.in_memory_ports import InMemoryPorts, admin_app
from tests.web.fspiop_client import raw_prepare

GOOD = raw_prepare()
HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
UNREADABLE = {
    "two lengths": (GOOD.replace(b"Host: hub", b"Host: hub\r\nContent-Length: 3"), "The request is not valid HTTP"),
    "a length that is no number": (HEAD + b"Content-Length: x\r\n\r\n", "The request is not valid HTTP"),
    "a length and chunks": (
        GOOD.replace(b"Host: hub", b"Host: hub\r\nTransfer-Encoding: chunked"),
        "The request is not valid HTTP",
    ),
    "a control character in a value": (HEAD + b"X-A: a\x01b\r\n\r\n", "The request is not valid HTTP"),
    "a zero byte in a value": (HEAD + b"X-A: a\x00b\r\n\r\n", "The request is not valid HTTP"),
    "a blank in a name": (HEAD + b"X A: b\r\n\r\n", "The request is not valid HTTP"),
    "a header without a colon": (HEAD + b"nothing\r\n\r\n", "The request is not valid HTTP"),
    "no request line": (b"hello\r\n\r\n", "The request is not valid HTTP"),
    "a request line of one word": (b"GET\r\nHost: hub\r\n\r\n", "The request is not valid HTTP"),
    "a version that is none": (b"GET /health HTTP/9.x\r\nHost: hub\r\n\r\n", "The request is not valid HTTP"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "The request is not valid HTTP"),
    "a header that is too long": (HEAD + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n", "Headers are too large"),
    "a request line that is too long": (
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: hub\r\n\r\n",
        "Headers are too large",
    ),
    "too many headers": (
        HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(5_000)) + b"\r\n",
        "Headers are too large",
    ),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["fspiop", "admin"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    hub = InMemoryHub()
    app = hub.fspiop_app() if request.param == "fspiop" else admin_app(hub, InMemoryPorts(hub))
    number = free_port()
    listener = Listener(app, "127.0.0.1", number)
    await listener.start()
    yield number
    await listener.stop()


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_cannot_be_read_is_refused_as_json(port: int, name: str) -> None:
    sent, detail = UNREADABLE[name]

    head, _, body = (await answer_to(port, sent)).partition(b"\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), head
    assert b"\r\ncontent-type: application/json; charset=utf-8" in head.lower()
    information = json.loads(body)["errorInformation"]
    assert "3101" == information["errorCode"]
    assert f"Malformed syntax - {detail}" == information["errorDescription"]


async def test_what_can_be_read_is_answered_as_before(port: int) -> None:
    assert (await answer_to(port, HEAD + b"\r\n")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"\r\n",
        HEAD.replace(b"/health", b"/nothing") + b"\r\n",
        HEAD.replace(b"/health", b"/documentation") + b"\r\n",
        HEAD.replace(b"/health", b"/v2/settlementWindows/1/report") + b"\r\n",
        HEAD.replace(b"GET", b"POST") + b"\r\n",
        UNREADABLE["TLS"][0],
        UNREADABLE["no request line"][0],
        UNREADABLE["too many headers"][0],
    ],
    ids=lambda sent: sent[:24].decode(errors="replace"),
)
async def test_no_answer_says_which_software_gave_it(port: int, sent: bytes) -> None:
    head, _, _ = (await answer_to(port, sent)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1."), head
    assert [] == [line for line in head.lower().split(b"\r\n") if line.startswith(b"server") or b"aiohttp" in line]


async def answer_to(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer
