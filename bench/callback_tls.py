"""`python -m bench.callback_tls`: measure what TLS with both certificates costs the sender of callbacks.

One process sends over plain HTTP and over TLS in turn, with the hub's own client, to servers in another process. Only
the sender's CPU counts.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import uvloop
from cryptography.hazmat.primitives.serialization import Encoding

from clearinghub.callbacks.http_client import HttpTransport
from clearinghub.security.secret_folder import SecretFolder
from clearinghub.security.tls import ClientCertificate, PeerContexts

HOST: Final = "127.0.0.1"
TURNS: Final = 5
REQUESTS: Final = 4_000  # of a turn, over kept connections
HANDSHAKES: Final = 200
SENDERS: Final = 8
BODY: Final = b"x" * 1_400  # about a PUT /transfers with what goes with it
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class SchemeAuthority:
    """Every participant's servers have certificates of the scheme's authority."""

    def __init__(self, pem: str) -> None:
        self._authorities = (pem,)

    def server_authorities(self, _name: str) -> tuple[str, ...]:
        return self._authorities


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve(folder: Path, ready: Connection) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hub/server.pem", folder / "hub/server.key")
    context.load_verify_locations(folder / "public/scheme-ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    servers = [await asyncio.start_server(_answer, HOST, 0, ssl=tls) for tls in (None, context)]
    ready.send([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.Event().wait()


def _server(folder: Path, ready: Connection) -> None:
    uvloop.run(_serve(folder, ready))


async def _cost_us(count: int, send: Callable[[], Awaitable[object]]) -> float:
    """Return this process's CPU for one request, in microseconds; some are in flight at a time."""

    async def some() -> None:
        for _ in range(count // SENDERS):
            await send()

    started_s = time.process_time()
    await asyncio.gather(*(some() for _ in range(SENDERS)))
    return (time.process_time() - started_s) / count * 1e6


async def _measure(folder: Path, ports: list[int]) -> None:
    authority = SecretFolder(folder).authority("scheme-ca").certificate.public_bytes(Encoding.PEM).decode()
    certificate = ClientCertificate(folder / "hub/client.pem", folder / "hub/client.key")
    contexts = PeerContexts(certificate, SchemeAuthority(authority))
    urls = [f"{scheme}://{HOST}:{port}/transfers/1" for scheme, port in zip(("http", "https"), ports, strict=True)]
    kept: list[list[float]] = [[], []]
    opened: list[list[float]] = [[], []]
    for _ in range(TURNS):
        for number, url in enumerate(urls):
            transport = HttpTransport(5_000, contexts.of)

            async def send(transport: HttpTransport = transport, url: str = url) -> None:
                assert await transport.send("PUT", url, {}, BODY, "payerbank") == 200  # noqa: PLR2004 - OK

            async def send_alone(url: str = url) -> None:
                alone = HttpTransport(5_000, contexts.of)
                assert await alone.send("PUT", url, {}, BODY, "payerbank") == 200  # noqa: PLR2004 - OK
                await alone.close()

            await _cost_us(SENDERS, send)  # opens the connections
            kept[number].append(await _cost_us(REQUESTS, send))
            opened[number].append(await _cost_us(HANDSHAKES, send_alone))
            await transport.close()
    print(f"{'us of CPU, the best of ' + str(TURNS):<28} {'plain':>8} {'TLS 1.3':>8}")
    print(f"{'a callback, connection kept':<28} {min(kept[0]):>8.0f} {min(kept[1]):>8.0f}")
    print(f"{'a callback, connection new':<28} {min(opened[0]):>8.0f} {min(opened[1]):>8.0f}")


def main() -> None:
    """Print the cost of a callback over kept and over new connections."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "secrets"
        SecretFolder(folder).create("Hub", [HOST], ["alice"], datetime.now(UTC))
        here, there = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=_server, args=(folder, there), daemon=True)
        server.start()
        try:
            uvloop.run(_measure(folder, here.recv()))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
