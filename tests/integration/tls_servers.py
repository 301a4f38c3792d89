"""DFSPs' servers over TLS on this machine, each with its own authority, and the hub's client certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate

from clearinghub.security.certificates import CLIENT, FSP_URI, SERVER, Authority, Subject, issue, new_authority
from clearinghub.security.tls import ClientCertificate, PeerContexts, TlsVersion

HOST = "127.0.0.1"


def authority(name: str = "payerbank CA") -> Authority:
    return new_authority(name, 365, datetime.now(UTC))


def pem_of(one: Authority) -> str:
    return one.certificate.public_bytes(Encoding.PEM).decode()


def write_certificate(
    folder: Path,
    place: str,
    issuer: Authority,
    hosts: Sequence[str] = (HOST,),
    *,
    days: int = 30,
    age_days: int = 0,
) -> tuple[Path, Path]:
    """Write a new certificate with its key, each as a whole file in one step, and return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = Subject(FSP_URI + "payerbank", tuple(hosts))
    made = issue(
        issuer, key.public_key(), subject, [SERVER, CLIENT], days, datetime.now(UTC) - timedelta(days=age_days)
    )
    paths = folder / f"{place}.pem", folder / f"{place}.key"
    for path, content in zip(
        paths,
        (
            made.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ),
        strict=True,
    ):
        new = path.with_suffix(path.suffix + ".new")
        new.write_bytes(content)
        new.replace(path)
    return paths


class Registered:
    """The authorities that participants have registered; a test may change them."""

    def __init__(self, **by_name: Sequence[Authority]) -> None:
        self.by_name = by_name

    def server_authorities(self, name: str) -> tuple[str, ...]:
        return tuple(pem_of(one) for one in self.by_name.get(name, ()))


class TlsServer:
    """Answers every request with 200; counts connections, and keeps the serial number of each client's certificate."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.ended = 0
        self.requests = 0
        self.clients: list[int | None] = []
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/transfers/1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self.clients.append(load_der_x509_certificate(shown).serial_number if shown else None)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.ended += 1
        writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def serving(
    files: tuple[Path, Path], clients: Authority | None = None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> AsyncIterator[TlsServer]:
    """Serve with a certificate; `clients` has issued those that are demanded of clients, None demands none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.maximum_version = newest
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=pem_of(clients))
    made = TlsServer()
    listening = await asyncio.start_server(made.handle, HOST, 0, ssl=context)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
        made.close()
        await listening.wait_closed()


class Hub:
    """The hub's side: its client certificate of a scheme's authority, and whom it believes."""

    def __init__(self, folder: Path, registered: Registered, oldest: TlsVersion = "1.3") -> None:
        self.scheme = authority("scheme CA")
        self._folder = folder
        self.certificate = ClientCertificate(*write_certificate(folder, "client", self.scheme, ()))
        self.contexts = PeerContexts(self.certificate, registered, oldest)

    def replace_certificate(self) -> None:
        """Replace certificate and key, one after the other, as an operator does."""
        write_certificate(self._folder, "client", self.scheme, ())
