"""Certificates of every kind, a hub that listens by TLS, and clients that show the certificates."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ObjectIdentifier
from msgspec.structs import replace

from clearinghub.config import Settings
from clearinghub.domain.participants.credential import Credential, CredentialForm, CredentialState, CredentialUse
from clearinghub.roles.ingress import SecureFront
from clearinghub.security.certificates import CLIENT, FSP_URI, SERVER, Authority, Subject, issue, new_authority, spki_id
from clearinghub.security.credentials import CredentialDirectory
from clearinghub.security.key_files import PrivateKey
from clearinghub.security.secret_folder import SCHEME, SecretFolder
from tests.fakes import FakeHealth, FakeParticipants, FakeRecorder
from tests.unit.security.samples import ec_key, rsa_key
from tests.web.fspiop_client import FULFIL, HEADERS, NOW_MS, PREPARE, TRANSFER_ID
from web.fspiop.app import build_fspiop_app

PAYER, PAYEE = "payerfsp", "payeefsp"
REVOKED: Final = "revoked"
YEAR: Final = 365

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Client:
    """A certificate with its key, in files; `escaped` is it as nginx and Envoy pass it on."""

    certificate: Path
    key: Path
    key_id: str

    @property
    def escaped(self) -> str:
        text = self.certificate.read_text()
        for character, code in (("%", "%25"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D"), ("\n", "%0A"), (" ", "%20")):
            text = text.replace(character, code)
        return text


class Scheme:
    """The folder of a scheme, and clients with certificates of its authority or of another.

    Registered are the keys of `payerfsp` (two) and `payeefsp`; a key of `payerfsp` is revoked.
    """

    def __init__(self, path: Path) -> None:
        self.now = datetime.now(UTC)
        self.path = path / "secrets"
        SecretFolder(self.path).create("Hub", ["localhost", "127.0.0.1"], ["alice", "bob"], self.now)
        self._clients = path / "clients"
        self._clients.mkdir()
        self.authority = SecretFolder(self.path).authority(SCHEME)
        self.other_authority = new_authority("Another CA", YEAR, self.now)
        payer, payer_rsa, payee, revoked, unknown = ec_key(1), rsa_key(1), ec_key(2), ec_key(3), ec_key(4)
        self.gateway = self.client("gateway", ec_key(5), "urn:clearinghub:gateway:nginx")
        self.clients = {
            "good": self.client("good", payer),
            "good, RSA": self.client("good-rsa", payer_rsa),
            "another's": self.client("another", payee, FSP_URI + PAYEE),
            "another authority's": self.client("other-ca", payer, authority=self.other_authority),
            "expired": self.client("expired", payer, from_day=-60, days=30),
            "not yet valid": self.client("future", payer, from_day=10),
            "a server's": self.client("server", payer, usages=[SERVER]),
            "unregistered": self.client("unregistered", unknown, FSP_URI + "stranger"),
            "revoked": self.client("revoked", revoked),
            "same name, another key": self.client("same-name", ec_key(6)),
        }

    def client(
        self,
        file: str,
        key: PrivateKey,
        uri: str = FSP_URI + PAYER,
        *,
        authority: Authority | None = None,
        usages: Sequence[ObjectIdentifier] = (CLIENT,),
        from_day: int = 0,
        days: int = YEAR,
    ) -> Client:
        """Issue a certificate that is valid from a day, counted from today, for some days."""
        begin = self.now + timedelta(days=from_day)
        issued = issue(authority or self.authority, key.public_key(), Subject(uri), list(usages), days, begin)
        made = Client(self._clients / f"{file}.pem", self._clients / f"{file}.key", spki_id(key.public_key()))
        made.certificate.write_bytes(issued.public_bytes(Encoding.PEM))
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made

    def context(self, client: Client | None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """Return the context of a client that trusts the scheme, with its certificate or without one."""
        context = ssl.create_default_context(cafile=self.path / "public/scheme-ca.pem")
        context.maximum_version = newest
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def participants(self) -> FakeParticipants:
        """Return the scheme's participants with their credentials."""
        known = FakeParticipants.of(PAYER, PAYEE, "otherfsp", "Hub")
        for name, state, kinds in (
            (PAYER, CredentialState.ACTIVE, ("good", "good, RSA")),
            (PAYER, CredentialState.REVOKED, ("revoked",)),
            (PAYEE, CredentialState.ACTIVE, ("another's",)),
        ):
            for kind in kinds:
                register(known, name, self.clients[kind].key_id, state)
        return known


def register(participants: FakeParticipants, name: str, key_id: str, state: CredentialState) -> None:
    """Let a participant have a key for connections, in that state."""
    known = participants.by_name[name]
    others = tuple(one for one in known.credentials if one.credential_id != key_id)
    credential = Credential(key_id, CredentialUse.TLS_CLIENT, CredentialForm.KEY, "", 0, state=state)
    participants.by_name[name] = replace(known, credentials=(*others, credential), version=known.version + 1)


class SecureHub:
    """A hub's FSPIOP port in a profile; `recorder` has what it has recorded."""

    def __init__(self, scheme: Scheme, security: str, folder: Path, settings: Mapping[str, Any]) -> None:
        self.scheme = scheme
        self.folder = folder / "secrets"
        shutil.copytree(scheme.path, self.folder)
        self.port = free_port()
        values: dict[str, Any] = {"secure_dir": self.folder, "jws_keys_dir": folder, "fspiop_port": self.port}
        if security == "gateway":
            self.pins = folder / "gateways.pem"
            self.pins.write_bytes(scheme.gateway.certificate.read_bytes())
            values["gateway_credentials"] = self.pins
        self.settings = Settings(security=security, **values | dict(settings))
        self.participants = scheme.participants()
        self.recorder = FakeRecorder()
        self._opened: list[Connection] = []
        front = self._front = SecureFront(self.settings, CredentialDirectory(self.participants))
        app = build_fspiop_app(
            self.settings,
            self.recorder,
            FakeHealth(),
            now_ms=lambda: NOW_MS,
            participants=self.participants,
            identities=front.identities,
        )
        self.listener = front.listener(app)

    def revoke(self, kind: str) -> None:
        """Revoke the key of one of the payer's certificates."""
        register(self.participants, PAYER, self.scheme.clients[kind].key_id, CredentialState.REVOKED)

    def follow(self) -> None:
        """Look at the files of TLS now."""
        assert self._front._tls is not None
        self._front._tls.follow()

    async def open(self, kind: str | None = "good") -> Connection:
        """Open a connection with one of the scheme's certificates, or with none."""
        client = None if kind is None else self.scheme.clients[kind]
        return await self.connect(self.scheme.context(client))

    async def connect(self, context: ssl.SSLContext | None) -> Connection:
        """Open a connection, in plain HTTP without a context; it is closed at the end of the test at the latest."""
        self._opened.append(await Connection.open(self.port, context))
        return self._opened[-1]

    async def stop(self) -> None:
        for connection in self._opened:
            connection.close()
        await self.listener.stop()

    async def ask(self, context: ssl.SSLContext, request: bytes) -> str:
        """Return the answer to a request on a connection of its own; see `Connection.ask`."""
        return await (await self.connect(context)).ask(request)


class Connection:
    """A client's connection; what fails in its handshake is a connection that is closed at once."""

    def __init__(self, reader: asyncio.StreamReader | None, writer: asyncio.StreamWriter | None) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None) -> Connection:
        """Connect to the hub; without a context, in plain HTTP."""
        name = None if context is None else "localhost"
        try:
            return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name))
        except (ssl.SSLError, ConnectionError):
            return cls(None, None)

    async def ask(self, request: bytes) -> str:
        """Send a request; return `STATUS CODE DESCRIPTION` of its answer, the status alone, or `closed`."""
        if self.reader is None or self.writer is None:
            return "closed"
        try:
            self.writer.write(request)
            async with asyncio.timeout(5):
                head = await self.reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                body = await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return "closed"
        status = head.split(b" ", 2)[1].decode()
        if not body.startswith(b'{"errorInformation"'):
            return status
        information = json.loads(body)["errorInformation"]
        return f"{status} {information['errorCode']} {information['errorDescription']}"

    async def is_closed_within(self, seconds: float) -> bool:
        """Return whether the hub closes the connection in that time."""
        assert self.reader is not None
        try:
            async with asyncio.timeout(seconds):
                return b"" == await self.reader.read(1)
        except TimeoutError:
            return False
        except (ssl.SSLError, ConnectionError):
            return True

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def request(method: str, path: str, body: Any = None, headers: Headers = (), source: str = PAYER) -> bytes:
    """Return a good request of a DFSP as bytes."""
    content = b"" if body is None else json.dumps(body).encode()
    resource = path.split("/")[1]
    media = f"application/vnd.interoperability.{resource}+json;version=1"
    usual = {
        **HEADERS,
        "Accept": media,
        "Content-Type": f"{media}.1",
        "FSPIOP-Source": source,
        "FSPIOP-Destination": PAYEE if source == PAYER else PAYER,
    }
    fields = [("Host", "localhost"), ("Content-Length", str(len(content))), *usual.items(), *headers]
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)])
    return head.encode() + b"\r\n\r\n" + content


PARTY = {"fspId": PAYER, "currency": "USD"}
REQUESTS: Final = {
    "POST": ("POST", "/transfers", PREPARE),
    "PUT": ("PUT", f"/transfers/{TRANSFER_ID}", FULFIL),
    "GET": ("GET", f"/transfers/{TRANSFER_ID}", None),
    "PATCH": ("PATCH", f"/transfers/{TRANSFER_ID}", FULFIL),
    "DELETE": ("DELETE", "/participants/MSISDN/27713803912", None),
    "PUT, an error": (
        "PUT",
        f"/transfers/{TRANSFER_ID}/error",
        {"errorInformation": {"errorCode": "5100", "errorDescription": "no"}},
    ),
    "POST, of a party": ("POST", "/participants/MSISDN/27713803912", PARTY),
}
