"""The FSPIOP surface over real HTTP with a fake recorder, and the messages of a well-behaved DFSP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import BaseRunner

from clearinghub.config import Settings
from tests.fakes import FakeHealth, FakeParticipants, FakeRecorder
from web.fspiop.app import build_fspiop_app
from web.fspiop.signatures import NO_SIGNATURES, SignatureCheck

NOW_MS = 1_700_000_000_000
TRANSFER_ID = "b51ec534-ee48-4575-b6a9-ead2955b8069"
CONTENT_TYPE = "application/vnd.interoperability.transfers+json;version=1.1"
ACCEPT = "application/vnd.interoperability.transfers+json;version=1"
DATE = "Tue, 23 May 2017 21:12:31 GMT"
HEADERS = {
    "Accept": ACCEPT,
    "Content-Type": CONTENT_TYPE,
    "Date": DATE,
    "FSPIOP-Source": "payerfsp",
    "FSPIOP-Destination": "payeefsp",
}
CALLBACK_HEADERS = {
    "Content-Type": CONTENT_TYPE,
    "Date": DATE,
    "FSPIOP-Source": "payeefsp",
    "FSPIOP-Destination": "payerfsp",
}
PREPARE = {
    "transferId": TRANSFER_ID,
    "payeeFsp": "payeefsp",
    "payerFsp": "payerfsp",
    "amount": {"currency": "USD", "amount": "123.45"},
    "ilpPacket": "AYIBgQAAAAAAAASwNGxldmVsb25lLmRmc3AxLm1lci45",
    "condition": "f5sqb7tBTWPd5Y8BDFdMm9BJR_MNI4isf8p8n4D5pHA",
    "expiration": "2023-11-15T00:13:20.000Z",
    "extensionList": {"extension": [{"key": "k", "value": "v"}]},
}
FULFIL = {"fulfilment": "WLctttbu2HvTsa1XWvUoGRcQozHsqeu9Ahl2JW9Bsu8", "transferState": "COMMITTED"}
ERROR = {"errorInformation": {"errorCode": "5100", "errorDescription": "Payee rejected"}}
NO_DEFAULTS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass
class Answer:
    """An answer of the FSPIOP surface."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def error(self) -> tuple[int, str, str]:
        """The HTTP status, with errorCode and errorDescription of the body."""
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        information = json.loads(self.body)["errorInformation"]
        return self.status, information["errorCode"], information["errorDescription"]


@dataclass
class Dfsp:
    """A DFSP with a connection to the hub."""

    http: TestClient[Any, Any]
    recorder: FakeRecorder
    health: FakeHealth
    participants: FakeParticipants = field(default_factory=FakeParticipants)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str | None] | None = None, data: Any = None
    ) -> Answer:
        """Send a request with good headers but for those given; a header of None is left out."""
        usual = HEADERS if method in ("POST", "GET", "DELETE") else CALLBACK_HEADERS
        sent = {name: value for name, value in {**usual, **(headers or {})}.items() if value is not None}
        async with self.http.request(method, path, headers=sent, data=data, skip_auto_headers=NO_DEFAULTS) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def post(self, headers: Mapping[str, str | None] | None = None, **changes: Any) -> Answer:
        """POST /transfers with a good body, but for `changes`; a change of None leaves the field out."""
        body = {name: value for name, value in {**PREPARE, **changes}.items() if value is not None}
        return await self.send("POST", "/transfers", headers, json.dumps(body).encode())


class HubServer(TestServer):
    """A server as in the roles: a request runs to its end even if its client disconnects."""

    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        return await super()._make_runner(
            **{**kwargs, "handler_cancellation": False, "auto_decompress": False, "lingering_time": 0.2}
        )


@asynccontextmanager
async def a_dfsp(signatures: SignatureCheck = NO_SIGNATURES, **settings: Any) -> AsyncIterator[Dfsp]:
    """Yield a DFSP at a hub with these settings, whose clock is stopped at NOW_MS. `proxy1` is a proxy."""
    recorder, health = FakeRecorder(), FakeHealth()
    participants = FakeParticipants.of("payerfsp", "payeefsp", "otherfsp", "Hub")
    participants.add("proxy1", is_proxy=True)
    app = build_fspiop_app(
        Settings(**settings),
        recorder,
        health,
        now_ms=lambda: NOW_MS,
        signatures=signatures,
        participants=participants,
    )
    async with TestClient(HubServer(app)) as http:
        yield Dfsp(http, recorder, health, participants)


async def send_raw(dfsp: Dfsp, request: bytes, *, half_close: bool = False, until: bytes = b"") -> bytes:
    """Send raw bytes; return the answer, whole or up to and including `until`.

    With `half_close`, close the sending side of the connection.
    """
    server = dfsp.http.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(request)
    if half_close:
        writer.write_eof()
    async with asyncio.timeout(10):
        answer = await (reader.readuntil(until) if until else reader.read())
    writer.close()
    await writer.wait_closed()
    return answer


def raw_prepare(*extra: tuple[bytes, bytes], body: bytes | None = None) -> bytes:
    """Return a good POST /transfers as bytes, with extra headers; it asks to close the connection."""
    content = json.dumps(PREPARE).encode() if body is None else body
    usual = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    lines = [
        b"POST /transfers HTTP/1.1",
        b"Host: hub",
        b"Connection: close",
        b"Content-Length: %d" % len(content),
        *(name + b": " + value for name, value in [*usual, *extra]),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content
