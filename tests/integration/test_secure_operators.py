"""A new hub in profile `full`, as processes: its first operators appoint others, and money leaves by two of them."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clearinghub.security.certificates import CLIENT, OPERATOR_URI, Subject, issue
from clearinghub.security.key_files import new_key
from clearinghub.security.secret_folder import INTERNAL, SecretFolder
from clearinghub.tools.client.admin import AdminClient, HubNotReadyError, RefusedError
from clearinghub.tools.client.operations import (
    COMMIT_FUNDS_OUT,
    RESERVE_FUNDS_OUT,
    Funds,
    Operations,
)
from clearinghub.tools.client.tls import ClientFiles
from sandbox.scheme import Scheme
from tests.integration.hub_under_test import CURRENCY, HEALTHY_WITHIN_S, HubUnderTest, free_port

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]
UNIT = 10_000
OUT = Funds(str(uuid.UUID(int=7, version=4)), "dfsp", CURRENCY, 40 * UNIT, "bank-7", "test")


class SecureHub:
    """The roles that operators need, and clients with certificates of their own."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.keys, self._people = folder / "secrets", folder / "people"
        self._people.mkdir()
        SecretFolder(self.keys).create("Hub", ["localhost", "127.0.0.1"], ["alice", "bob"], datetime.now(UTC))
        self.processes = HubUnderTest(
            bootstrap, prefix, folder, security="full", secure_dir=self.keys, ops_port=free_port()
        )

    def client(self, name: str) -> AdminClient:
        """A client of the operator of that name; who is no first operator gets a certificate."""
        path = self._certificate(name)
        files = ClientFiles(path, path.with_suffix(".key"), self.keys / "public/internal-ca.pem")
        return AdminClient(f"https://127.0.0.1:{self.processes.ports['admin']}", tls=files.context())

    async def appoint(self, admin: AdminClient, name: str, *roles: str) -> None:
        await Operations(admin).set_operator(name, roles, self._certificate(name).read_text())

    async def healthy(self, admin: AdminClient) -> None:
        """Wait until the operators' port says that the hub is well."""
        async with asyncio.timeout(HEALTHY_WITHIN_S):
            while True:
                try:
                    await admin.call("GET", "/health")
                except HubNotReadyError:
                    await asyncio.sleep(0.2)
                else:
                    return

    def _certificate(self, name: str) -> Path:
        """Return the file of an operator's certificate, beside its key; it is made when it is first needed."""
        first, later = self.keys / f"operators/{name}.pem", self._people / f"{name}.pem"
        if first.exists() or later.exists():
            return first if first.exists() else later
        key = new_key("ec")
        authority = SecretFolder(self.keys).authority(INTERNAL)
        certificate = issue(authority, key.public_key(), Subject(OPERATOR_URI + name), [CLIENT], 1, datetime.now(UTC))
        later.write_bytes(certificate.public_bytes(Encoding.PEM))
        later.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return later


async def test_a_new_hub_is_steered_by_its_operators(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    secure = SecureHub(kafka_bootstrap, topic_prefix, tmp_path)
    hub = secure.processes
    try:
        for role in ("ledger", "admin-api"):
            hub.start(role)
        async with secure.client("alice") as alice, secure.client("bob") as bob:
            await secure.healthy(alice)
            with pytest.raises(RefusedError, match="your roles do not allow to"):
                await alice.call("POST", "/participants", {"name": "dfsp", "currency": CURRENCY})
            await secure.appoint(alice, "bob", "security", "operator")
            await secure.appoint(bob, "tina", "treasury")
            await secure.appoint(bob, "tom", "treasury")
            scheme = Scheme(bob, "Hub", CURRENCY)
            await scheme.ensure_currency()
            await scheme.ensure_dfsp("dfsp", 100 * UNIT, {})
            with pytest.raises(RefusedError, match="credential is not registered"):
                await alice.call("GET", "/participants")  # somebody is appointed, and she is not
        async with secure.client("tina") as tina, secure.client("tom") as tom:
            await Scheme(tina, "Hub", CURRENCY).ensure_funds("dfsp", 100 * UNIT)
            await Operations(tina).request_funds(RESERVE_FUNDS_OUT, OUT)
            commit = (COMMIT_FUNDS_OUT, OUT.participant, CURRENCY, OUT.transfer_id, "paid")
            with pytest.raises(RefusedError, match="needs another operator"):
                await Operations(tina).complete_funds_out(*commit)
            answer = await Operations(tom).complete_funds_out(*commit)
            assert "COMMITTED" == answer.state
    except BaseException:
        print("\n".join(hub.logs(role) for role in hub.processes))
        raise
    finally:
        hub.close()
