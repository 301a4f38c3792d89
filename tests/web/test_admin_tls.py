"""The operators' port in profile `full`: over real TLS, an operator is who has the key of a registered certificate."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clearinghub.config import Settings
from clearinghub.roles.admin_api import OperatorsFront
from clearinghub.security.certificates import CLIENT, OPERATOR_URI, Subject, issue
from clearinghub.security.key_files import new_key
from clearinghub.security.secret_folder import INTERNAL, SCHEME, SecretFolder
from clearinghub.tools.client.admin import AdminClient, RefusedError
from clearinghub.tools.client.tls import ClientFiles
from tests.commands import run_command
from tests.in_memory_hub import PARTITIONS, InMemoryHub
from tests.in_memory_ports import InMemoryPorts, admin_app
from tests.integration.hub_under_test import free_port

NOT_REGISTERED = (401, "3000", "Generic client error - credential is not registered")


@dataclass(frozen=True)
class SecureHub:
    """A hub in memory whose operators' port has TLS."""

    settings: Settings
    folder: Path
    hub: InMemoryHub

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.settings.admin_port}"

    def files(self, place: str | None) -> ClientFiles:
        """The files of a client that has this certificate of the folder."""
        authority = self.folder / "public/internal-ca.pem"
        if place is None:
            return ClientFiles(authority=authority)
        return ClientFiles(self.folder / f"{place}.pem", self.folder / f"{place}.key", authority)

    def client(self, place: str | None) -> AdminClient:
        return AdminClient(self.url, tls=self.files(place).context())


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[SecureHub]:
    async with a_secure_hub(tmp_path) as one:
        yield one


@asynccontextmanager
async def a_secure_hub(tmp_path: Path) -> AsyncIterator[SecureHub]:
    folder = tmp_path / "secrets"
    SecretFolder(folder).create("Hub", ["localhost", "127.0.0.1"], ["alice", "bob"], datetime.now(UTC))
    settings = Settings(security="full", secure_dir=folder, partitions=PARTITIONS, admin_port=free_port())
    hub = InMemoryHub(settings)
    front = OperatorsFront(settings, hub.participants)
    listener = front.listener(admin_app(hub, InMemoryPorts(hub), front.authenticate))
    await listener.start()
    try:
        yield SecureHub(settings, folder, hub)
    finally:
        await listener.stop()


def a_certificate(secure: SecureHub, authority: str) -> ClientFiles:
    """Write a new certificate in the name of alice, with a key that nobody has registered."""
    key = new_key("ec")
    issuer = SecretFolder(secure.folder).authority(authority)
    certificate = issue(issuer, key.public_key(), Subject(OPERATOR_URI + "alice"), [CLIENT], 1, datetime.now(UTC))
    path = secure.folder / "other.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return ClientFiles(path, authority=secure.folder / "public/internal-ca.pem")


async def refusal(client: AdminClient, method: str = "GET", path: str = "/participants") -> tuple[int, str, str]:
    async with client:
        with pytest.raises(RefusedError) as refused:
            await client.call(method, path)
    return refused.value.status, refused.value.code, refused.value.description


async def test_the_first_operators_read_and_appoint(secure: SecureHub) -> None:
    body = {"roles": ["operator"], "certificate": (secure.folder / "operators/bob.pem").read_text()}
    async with secure.client("operators/alice") as alice:
        assert [] == await alice.get("/operators")
        assert "alice" == (await alice.call("PUT", "/operators/bob", body)).content["changedBy"]


@pytest.mark.parametrize("place", [None, "roles/ingress", "roles/admin-api"])
async def test_without_an_operators_certificate_only_health_is_shown(secure: SecureHub, place: str | None) -> None:
    async with secure.client(place) as probe:
        assert "OK" == (await probe.call("GET", "/health")).content["status"]
    assert NOT_REGISTERED == await refusal(secure.client(place))
    assert NOT_REGISTERED == await refusal(secure.client(place), "DELETE", "/operators/alice")


async def test_a_certificate_that_is_not_registered_is_nobodys(secure: SecureHub) -> None:
    """The operators' authority has issued it, and in the name of alice; the key is another one."""
    files = a_certificate(secure, INTERNAL)

    assert NOT_REGISTERED == await refusal(AdminClient(secure.url, tls=files.context()))


async def test_another_authoritys_certificate_ends_the_handshake(secure: SecureHub) -> None:
    files = a_certificate(secure, SCHEME)
    connector = aiohttp.TCPConnector(ssl=files.context())

    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await session.get(f"{secure.url}/health")


async def test_an_operator_who_is_removed_is_refused_with_the_next_request(secure: SecureHub) -> None:
    async with secure.client("operators/alice") as alice, secure.client("operators/bob") as bob:
        for client, name, roles in ((alice, "bob", ["security"]), (bob, "alice", ["security"])):
            certificate = (secure.folder / f"operators/{name}.pem").read_text()
            await client.call("PUT", f"/operators/{name}", {"roles": roles, "certificate": certificate})
        assert 2 == len(await alice.get("/operators"))

        await bob.call("DELETE", "/operators/alice")

        with pytest.raises(RefusedError) as refused:
            await alice.call("GET", "/operators")
        assert 401 == refused.value.status


async def test_plain_http_is_no_way_in(secure: SecureHub) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(secure.url.replace("https", "http") + "/health")


async def test_the_command_line_is_known_by_its_certificate(
    secure: SecureHub, capsys: pytest.CaptureFixture[str]
) -> None:
    by_settings = secure.settings.model_copy(
        update={
            "admin_cert_file": secure.folder / "operators/alice.pem",
            "admin_key_file": secure.folder / "operators/alice.key",
        }
    )
    certificate = ("--cert", secure.folder / "operators/alice.pem", "--key", secure.folder / "operators/alice.key")

    assert 0 == await run_command(secure.settings, "admin", "operators", "list", *map(str, certificate))
    assert 0 == await run_command(by_settings, "admin", "operators", "list")
    assert 1 == await run_command(secure.settings, "admin", "operators", "list")
    assert "refused by the hub: 3000 Generic client error - credential is not registered" in capsys.readouterr().err


async def test_a_hub_that_another_authority_vouches_for_is_refused_with_the_reason(
    secure: SecureHub, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = str(secure.folder / "public/scheme-ca.pem")

    assert 3 == await run_command(secure.settings, "admin", "operators", "list", "--ca", authority)
    assert "its certificate is not accepted: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cert", "none.pem"], "none.pem: No such file or directory"),
        (["--ca", "none.pem"], "none.pem: No such file or directory"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    secure: SecureHub, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == await run_command(secure.settings, "admin", "operators", "list", *options)
    assert sentence in capsys.readouterr().err
