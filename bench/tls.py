"""`python -m bench.tls`: measure what TLS 1.3 and identity cost the ingress, a request and a connection.

Two ports of one process serve the FSPIOP application, which records into nothing: one plainly, one in profile `full`. A
client in a process of its own sends the same POST /transfers to them turn about; the CPU time of this process counts.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clearinghub.config import Settings
from clearinghub.domain.participants.credential import Credential, CredentialForm, CredentialState, CredentialUse
from clearinghub.domain.participants.participant import Participant
from clearinghub.ports import StoppedPart
from clearinghub.roles.ingress import SecureFront
from clearinghub.security.certificates import CLIENT, FSP_URI, Subject, issue, spki_id
from clearinghub.security.credentials import CredentialDirectory
from clearinghub.security.secret_folder import SCHEME, SecretFolder
from web.fspiop.app import build_fspiop_app

REQUESTS: Final = 4_000
CONNECTIONS: Final = 16
NEW_CONNECTIONS: Final = 200
ROUNDS: Final = 3
MODES: Final = ("open", "full")
NOW_MS: Final = 1_700_000_000_000  # shortly before the transfer expires

MEDIA: Final = "application/vnd.interoperability.transfers+json;version=1"
BODY: Final = json.dumps(
    {
        "transferId": "b51ec534-ee48-4575-b6a9-ead2955b8069",
        "payeeFsp": "payeefsp",
        "payerFsp": "payerfsp",
        "amount": {"currency": "USD", "amount": "123.45"},
        "ilpPacket": "AYIBgQAAAAAAAASwNGxldmVsb25lLmRmc3AxLm1lci45" * 24,
        "condition": "f5sqb7tBTWPd5Y8BDFdMm9BJR_MNI4isf8p8n4D5pHA",
        "expiration": "2023-11-15T00:13:20.000Z",
    }
).encode()
REQUEST: Final = (
    b"POST /transfers HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nAccept: %b\r\nContent-Type: %b.0\r\n"
    b"Date: Tue, 23 May 2017 21:12:31 GMT\r\nFSPIOP-Source: payerfsp\r\nFSPIOP-Destination: payeefsp\r\n\r\n%b"
) % (len(BODY), MEDIA.encode(), MEDIA.encode(), BODY)


class Nowhere:
    """A recorder, the participants and the health of a hub that has nothing but one participant with a key."""

    changes = 1

    def __init__(self, key_id: str) -> None:
        credential = Credential(
            key_id, CredentialUse.TLS_CLIENT, CredentialForm.KEY, "", 0, state=CredentialState.ACTIVE
        )
        payer = Participant(1, "payerfsp", active=True, created_at_ms=1, credentials=(credential,))
        payee = Participant(2, "payeefsp", active=True, created_at_ms=1)
        self._participants = {one.name: one for one in (payer, payee)}

    async def record(self, _topic: str, _key: str, _value: bytes) -> None:
        await asyncio.sleep(0)

    def get(self, name: str) -> Participant | None:
        return self._participants.get(name)

    def all(self) -> list[Participant]:
        return list(self._participants.values())

    async def reach(self, _name: str, _version: int) -> None: ...

    async def services(self) -> dict[str, bool]:
        return {}

    async def own_services(self) -> dict[str, bool]:
        return {}

    def stopped(self) -> list[StoppedPart]:
        return []


def make_scheme(folder: Path) -> str:
    """Make a scheme's keys with a certificate of `payerfsp`; return the id of its key."""
    now = datetime.now(UTC)
    secrets = SecretFolder(folder / "secrets")
    secrets.create("Hub", ["localhost"], ["alice", "bob"], now)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = issue(secrets.authority(SCHEME), key.public_key(), Subject(FSP_URI + "payerfsp"), [CLIENT], 1, now)
    (folder / "client.pem").write_bytes(issued.public_bytes(Encoding.PEM))
    (folder / "client.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return spki_id(key.public_key())


def client_context(folder: Path) -> ssl.SSLContext:
    """Return the context of the DFSP `payerfsp`."""
    context = ssl.create_default_context(cafile=folder / "secrets/public/scheme-ca.pem")
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    return context


async def send(port: int, requests: int, context: ssl.SSLContext | None) -> None:
    """Send requests one after another over one connection; none only opens and closes it."""
    name = None if context is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    for _ in range(requests):
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 202 " in head, head
    writer.close()
    await writer.wait_closed()


async def be_client(folder: Path, mode: str, port: int, what: str) -> None:
    """Send requests over some kept connections, or open many connections."""
    context = client_context(folder) if mode == "full" else None
    if what == "requests":
        await asyncio.gather(*(send(port, REQUESTS // CONNECTIONS, context) for _ in range(CONNECTIONS)))
        return
    for _ in range(NEW_CONNECTIONS):
        await send(port, 0, context)


async def cost_us(folder: Path, mode: str, port: int, what: str) -> float:
    """Return the CPU time of this process for one request or connection of a client, in microseconds."""
    began_s = time.process_time()
    arguments = ["-m", "bench.tls", str(folder), mode, str(port), what]
    client = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    assert await client.wait() == 0
    times = REQUESTS if what == "requests" else NEW_CONNECTIONS
    return (time.process_time() - began_s) / times * 1_000_000


async def measure(folder: Path) -> None:
    """Print what a request and a connection cost in both profiles, the best of some rounds turn about."""
    key_id = make_scheme(folder)
    hub = Nowhere(key_id)
    ports, listeners = {}, []
    for mode in MODES:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports[mode] = int(probe.getsockname()[1])
        values = {"secure_dir": folder / "secrets", "jws_keys_dir": folder} if mode == "full" else {}
        settings = Settings(security=mode, fspiop_port=ports[mode], **values)  # type: ignore[arg-type]
        front = SecureFront(settings, CredentialDirectory(hub))
        app = build_fspiop_app(settings, hub, hub, lambda: NOW_MS, participants=hub, identities=front.identities)
        listeners.append(front.listener(app))
        await listeners[-1].start()
    for what in ("requests", "connections"):
        best = dict.fromkeys(MODES, float("inf"))
        for _ in range(ROUNDS):
            for mode in MODES:
                best[mode] = min(best[mode], await cost_us(folder, mode, ports[mode], what))
        opened, full = best["open"], best["full"]
        print(f"{what:<12} open {opened:>6.0f} us   full {full:>6.0f} us   {full - opened:+.0f} us")
    for listener in listeners:
        await listener.stop()


def main() -> None:
    """Measure, or be the client of a measurement."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if len(sys.argv) > 1:
            folder, mode, port, what = sys.argv[1:]
            runner.run(be_client(Path(folder), mode, int(port), what))
            return
        with tempfile.TemporaryDirectory() as made:
            runner.run(measure(Path(made)))


if __name__ == "__main__":
    main()
