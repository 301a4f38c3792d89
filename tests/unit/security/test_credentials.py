"""Who has a key, and which keys count: from the participants' credentials, as they change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from clearinghub.config import Settings
from clearinghub.domain.participants.credential import (
    Credential,
    CredentialForm,
    CredentialState,
    CredentialUse,
)
from clearinghub.domain.participants.participant import Participant
from clearinghub.security.certificates import spki_id
from clearinghub.security.credentials import (
    CredentialCollector,
    CredentialDirectory,
    ParticipantKeys,
    participant_keys_of,
)
from clearinghub.security.key_directory import KeyDirectory
from clearinghub.security.key_files import JoseKey, PrivateKey
from clearinghub.security.signature import Signer, Verifier
from tests.fakes import FakeParticipants
from tests.unit.security.samples import ec_key, judged, pem_of, rsa_key, signed

NOW = 1_700_000_000_000
CLIENT, AUTHORITY, JWS = CredentialUse.TLS_CLIENT, CredentialUse.TLS_SERVER_CA, CredentialUse.JWS
ACTIVE, PENDING = CredentialState.ACTIVE, CredentialState.PENDING
RETIRING, REVOKED = CredentialState.RETIRING, CredentialState.REVOKED


def credential(key: PrivateKey, use: CredentialUse = JWS, **changes: Any) -> Credential:
    """An active credential of a bare key."""
    usual = Credential(
        spki_id(key.public_key()),
        use,
        CredentialForm.KEY,
        pem_of(key).decode(),
        NOW,
        not_after_ms=NOW + 1,
        state=ACTIVE,
    )
    return replace(usual, **changes)


class World:
    """A copy of the participants, the directory over it, and a clock."""

    def __init__(self) -> None:
        self.now_ms = NOW
        self.participants = FakeParticipants()
        self.directory = CredentialDirectory(self.participants, lambda: self.now_ms)

    def put(self, name: str, *credentials: Credential, active: bool = True) -> None:
        known = self.participants.get(name)
        version = 0 if known is None else known.version + 1
        self.participants.by_name[name] = Participant(1, name, active, 0, version=version, credentials=credentials)


@pytest.fixture
def world() -> World:
    return World()


def public(keys: Sequence[JoseKey]) -> list[object]:
    return [key.public_key for key in keys]


def test_the_id_is_that_of_the_key_and_not_of_what_holds_it() -> None:
    assert 43 == len(spki_id(ec_key().public_key()))
    assert spki_id(ec_key().public_key()) != spki_id(rsa_key().public_key())


def test_a_client_is_known_by_its_key(world: World) -> None:
    one = credential(rsa_key(), CLIENT)
    world.put("alpha", one, credential(ec_key()))

    assert "alpha" == world.directory.participant_of(one.credential_id)
    assert world.directory.participant_of(spki_id(ec_key().public_key())) is None, "that key signs messages"
    assert world.directory.participant_of("unknown") is None


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"state": PENDING}, False),
        ({"state": RETIRING, "until_ms": NOW + 1}, True),
        ({"state": RETIRING, "until_ms": NOW}, False),
        ({"state": REVOKED}, False),
        ({"not_after_ms": NOW}, False),
        ({"not_before_ms": NOW + 1}, False),
        ({"not_before_ms": NOW, "not_after_ms": None}, True),
    ],
    ids=str,
)
def test_only_what_is_valid_now_counts(world: World, changes: dict[str, Any], counts: bool) -> None:
    client, signing = credential(rsa_key(), CLIENT, **changes), credential(ec_key(), **changes)
    authority = credential(ec_key(2), AUTHORITY, **changes)
    world.put("alpha", client, signing, authority)

    assert ("alpha" if counts else None) == world.directory.participant_of(client.credential_id)
    assert ([ec_key().public_key()] if counts else []) == public(world.directory.jws_keys("alpha"))
    assert ((authority.pem,) if counts else ()) == world.directory.server_authorities("alpha")


def test_a_change_counts_at_once(world: World) -> None:
    one = credential(rsa_key(), CLIENT)
    world.put("alpha", one)
    assert "alpha" == world.directory.participant_of(one.credential_id)

    world.put("alpha", replace(one, state=REVOKED))
    assert world.directory.participant_of(one.credential_id) is None
    world.put("alpha")
    assert world.directory.participant_of(one.credential_id) is None


def test_time_passes_without_a_change(world: World) -> None:
    one = credential(rsa_key(), CLIENT)
    world.put("alpha", one)
    assert "alpha" == world.directory.participant_of(one.credential_id)

    world.now_ms += 1
    assert world.directory.participant_of(one.credential_id) is None


def test_a_key_of_two_counts_for_neither(world: World) -> None:
    client, signing, own = credential(rsa_key(), CLIENT), credential(ec_key()), credential(ec_key(2))
    world.put("alpha", client, signing, own)
    world.put("beta", replace(client, state=REVOKED), replace(signing, state=PENDING))

    with capture_logs() as logs:
        assert world.directory.participant_of(client.credential_id) is None
        assert [ec_key(2).public_key()] == public(world.directory.jws_keys("alpha"))
        assert [] == public(world.directory.jws_keys("beta"))
    assert ["credentials-of-two-participants"] == [one["event"] for one in logs], "said once for each change"


def test_two_may_be_trusted_by_one_authority(world: World) -> None:
    shared = credential(rsa_key(), AUTHORITY)
    world.put("alpha", shared)
    world.put("beta", shared)

    assert (shared.pem,) == world.directory.server_authorities("alpha") == world.directory.server_authorities("beta")


def test_one_that_cannot_be_read_leaves_the_others(world: World) -> None:
    world.put("alpha", credential(rsa_key(), pem="nonsense"), credential(ec_key()))

    with capture_logs() as logs:
        for _again in range(2):
            assert [ec_key().public_key()] == public(world.directory.jws_keys("alpha"))
    assert ["credential-unreadable"] == [one["event"] for one in logs]


def test_credentials_come_before_the_folder(world: World, tmp_path: Path) -> None:
    (tmp_path / "alpha.pem").write_bytes(pem_of(rsa_key()))
    (tmp_path / "beta.pem").write_bytes(pem_of(rsa_key(1)))
    keys = ParticipantKeys(world.directory, KeyDirectory(tmp_path, 1_000))
    world.put("alpha", credential(ec_key(), state=PENDING))

    assert [rsa_key().public_key()] == public(keys.of("alpha")), "a key that is pending replaces nothing yet"
    world.put("alpha", credential(ec_key()))
    assert [ec_key().public_key()] == public(keys.of("alpha"))
    assert [rsa_key(1).public_key()] == public(keys.of("beta"))

    world.put("alpha", credential(ec_key(), state=REVOKED))
    assert [] == keys.of("alpha"), "what was revoked does not come back from the folder"


def test_settings_without_a_folder(world: World) -> None:
    keys = participant_keys_of(Settings(jws_validate=True), world.directory)
    world.put("alpha", credential(ec_key()))

    assert [ec_key().public_key()] == public(keys.of("alpha"))
    assert [] == list(keys.of("beta"))


def test_signatures_are_verified_with_credentials(world: World) -> None:
    verifier = Verifier(ParticipantKeys(world.directory))
    assert "no public key for FSPIOP-Source" == judged(verifier, signed(Signer(ec_key())))

    world.put("payeefsp", credential(ec_key()), credential(rsa_key()))
    for key in (ec_key(), rsa_key()):
        assert "good" == judged(verifier, signed(Signer(key)))
    world.put("payeefsp", credential(ec_key(), state=REVOKED), credential(rsa_key()))
    assert "good" == judged(verifier, signed(Signer(rsa_key())))
    assert "good" != judged(verifier, signed(Signer(ec_key())))


def shown(world: World) -> dict[tuple[str, ...], float]:
    [family] = CredentialCollector(world.directory, lambda: world.now_ms).collect()
    return {tuple(one.labels.values()): one.value for one in family.samples}


def test_the_metric_says_when_a_participant_will_be_without(world: World) -> None:
    hour = 3_600_000
    world.put(
        "alpha",
        credential(rsa_key(), not_after_ms=NOW + hour),
        credential(rsa_key(1), not_after_ms=NOW + 3 * hour, state=RETIRING, until_ms=NOW + 2 * hour),
        credential(rsa_key(2), not_after_ms=NOW + 9 * hour, state=PENDING),
        credential(ec_key(), CLIENT, not_after_ms=NOW + 4 * hour),
    )
    world.put("beta", credential(ec_key(1), not_after_ms=None), credential(ec_key(2), not_after_ms=NOW + hour))

    assert {("alpha", "jws"): 7_200, ("alpha", "tls-client"): 14_400} == shown(world)
