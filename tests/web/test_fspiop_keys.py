"""GET /keys: the JWK set by which DFSPs verify signatures, and its entity tag."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from joserfc.jwk import KeySet as JwkSet

from clearinghub.config import Settings
from clearinghub.domain.participants.credential import CredentialForm, CredentialState, CredentialUse
from clearinghub.security.certificates import CLIENT, Subject, issue, new_authority
from clearinghub.security.credentials import CredentialDirectory, ParticipantKeys
from clearinghub.security.key_directory import KeyDirectory
from clearinghub.security.key_files import jose_key
from clearinghub.security.key_set import MADE_AGAIN_MS, KeySet
from tests.fakes import FakeHealth, FakeRecorder
from tests.unit.security.samples import ec_key, pem_of, rsa_key
from tests.unit.security.test_credentials import NOW, World, credential
from web.fspiop.app import build_fspiop_app


class Keys:
    """The FSPIOP surface over a copy of the participants that a test changes."""

    def __init__(self, world: World, http: TestClient[Any, Any]) -> None:
        self.world = world
        self.http = http

    async def get(self, **headers: str) -> tuple[int, Any, str]:
        """Return the status, the set, and the tag."""
        async with self.http.get("/keys", headers=headers) as response:
            assert "no-cache" == response.headers["Cache-Control"]
            body = await response.read()
            return response.status, json.loads(body) if body else None, response.headers["ETag"]

    async def members(self) -> list[tuple[str, str]]:
        _status, document, _tag = await self.get()
        return [(one["fsp"], one["kid"]) for one in document["keys"]]


def kid(key: Any) -> str:
    return jose_key(key.public_key()).thumbprint()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def keys(world: World, tmp_path: Path) -> AsyncIterator[Keys]:
    (tmp_path / "gamma.pem").write_bytes(pem_of(ec_key(5)))
    (tmp_path / "hub.jws").write_bytes(pem_of(ec_key(9)))
    known = ParticipantKeys(world.directory, KeyDirectory(tmp_path, 1_000))
    published = KeySet(world.participants, world.directory, known, "Hub", tmp_path / "hub.jws", lambda: world.now_ms)
    app = build_fspiop_app(Settings(), FakeRecorder(), FakeHealth(), participants=world.participants, keys=published)
    async with TestClient(TestServer(app)) as http:
        yield Keys(world, http)


async def test_the_hub_and_all_active_participants(keys: Keys) -> None:
    assert [("Hub", kid(ec_key(9)))] == await keys.members()

    keys.world.put("beta", credential(rsa_key()), credential(ec_key(2), CredentialUse.TLS_CLIENT))
    keys.world.put("alpha", credential(ec_key()), credential(ec_key(3), state=CredentialState.PENDING))
    keys.world.put("gamma")
    keys.world.put("delta", credential(ec_key(4)), active=False)

    assert [
        ("Hub", kid(ec_key(9))),
        ("alpha", kid(ec_key())),
        ("beta", kid(rsa_key())),
        ("gamma", kid(ec_key(5))),
    ] == await keys.members()


async def test_a_reader_of_jwk_sets_can_use_it(keys: Keys) -> None:
    keys.world.put("alpha", credential(ec_key()), credential(rsa_key()))
    async with keys.http.get("/keys") as response:
        assert (200, "application/jwk-set+json") == (response.status, response.headers["Content-Type"])
        read = JwkSet.import_key_set(await response.json(content_type=None))

    for key in (ec_key(), rsa_key()):
        assert key.public_key() == read.get_by_kid(kid(key)).public_key
    assert not any(one.is_private for one in read.keys)


async def test_a_certified_key_has_its_certificate(keys: Keys) -> None:
    now = datetime.fromtimestamp(NOW / 1000, UTC)
    certificate = issue(new_authority("CA", 90, now), ec_key().public_key(), Subject("urn:a:alpha"), [CLIENT], 30, now)
    pem = certificate.public_bytes(Encoding.PEM).decode()
    keys.world.put("alpha", credential(ec_key(), form=CredentialForm.CERTIFICATE, pem=pem), credential(rsa_key()))

    _status, document, _tag = await keys.get()

    certified, bare = [one for one in document["keys"] if one["fsp"] == "alpha"]
    assert certificate == load_der_x509_certificate(base64.b64decode(certified["x5c"][0]))
    assert "x5c" not in bare


async def test_the_tag_changes_with_the_set(keys: Keys) -> None:
    keys.world.put("alpha", credential(ec_key()))
    status, _document, tag = await keys.get()
    assert 200 == status

    for matching in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        assert (304, None, tag) == await keys.get(**{"If-None-Match": matching})
    keys.world.put("alpha", credential(ec_key(), state=CredentialState.REVOKED))
    status, document, changed = await keys.get(**{"If-None-Match": tag})
    assert (200, ["Hub"]) == (status, [one["fsp"] for one in document["keys"]])
    assert changed != tag


async def test_a_key_that_ends_by_its_date_leaves_the_set(keys: Keys) -> None:
    keys.world.put("alpha", credential(ec_key()))
    assert 2 == len(await keys.members())

    keys.world.now_ms += MADE_AGAIN_MS
    assert ["Hub"] == [name for name, _kid in await keys.members()]


async def test_the_hubs_own_credential_comes_before_its_file(keys: Keys) -> None:
    keys.world.put("Hub", credential(ec_key(6)))

    assert [("Hub", kid(ec_key(6)))] == await keys.members()


async def test_a_hub_whose_key_is_not_known(world: World, tmp_path: Path) -> None:
    directory = CredentialDirectory(world.participants)
    published = KeySet(world.participants, directory, ParticipantKeys(directory), "Hub", tmp_path / "none.pem")

    assert b'{"keys":[]}' == published.current().body
