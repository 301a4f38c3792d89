"""Participants' credentials over the admin API and from the command line (docs/keys.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clearinghub.clock import system_now_ms
from clearinghub.domain.time import timestamp_text
from clearinghub.security.certificates import CLIENT, FSP_URI, SERVER, Subject, issue, signing_request, spki_id
from clearinghub.security.secret_folder import SCHEME, SecretFolder
from tests.unit.security.samples import ec_key, pem_of, rsa_key
from tests.web.admin_world import Answer, Operator, an_operator
from tests.web.cli import Terminal

DAY_MS = 86_400_000
DFSP = Subject(FSP_URI + "dfsp")
KEY = {"use": "jws", "pem": pem_of(ec_key()).decode()}
KEY_ID = spki_id(ec_key().public_key())
PATH = "/participants/dfsp/credentials"


def in_days(days: float) -> str:
    return timestamp_text(int(system_now_ms() + days * DAY_MS))


async def at_a_scheme(operator: Operator) -> Operator:
    operator.hub.now_ms = system_now_ms()
    await operator.currency()
    await operator.dfsp()
    await operator.dfsp("other")
    return operator


@pytest.fixture
async def scheme(operator: Operator) -> Operator:
    return await at_a_scheme(operator)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    SecretFolder(tmp_path / "secrets").create("Hub", ["localhost"], ["alice", "bob"], datetime.now(UTC))
    return tmp_path / "secrets"


@pytest.fixture
async def secured(secrets: Path) -> AsyncIterator[Operator]:
    async with an_operator(secure_dir=secrets) as operator:
        yield await at_a_scheme(operator)


def certificate(secrets: Path, key: Any = None, subject: Subject = DFSP, usages: Any = (CLIENT,)) -> str:
    authority = SecretFolder(secrets).authority(SCHEME)
    made = issue(authority, (key or rsa_key()).public_key(), subject, list(usages), 365, datetime.now(UTC))
    return made.public_bytes(Encoding.PEM).decode()


async def change(operator: Operator, state: str, credential_id: str = KEY_ID, **more: Any) -> Answer:
    return await operator.put(f"{PATH}/{credential_id}", {"state": state, "reason": "test", **more})


async def states(operator: Operator) -> list[tuple[str, bool]]:
    return [(one["state"], one["isValid"]) for one in (await operator.get(PATH)).json]


async def test_a_key_is_registered_activated_retired_and_revoked(scheme: Operator) -> None:
    assert [] == (await scheme.get(PATH)).json
    answer = await scheme.post(PATH, KEY)
    assert 201 == answer.status, answer.text
    shown = answer.json
    assert (KEY_ID, "jws", "key", "PENDING", False, KEY["pem"]) == tuple(
        shown[name] for name in ("id", "use", "form", "state", "isValid", "pem")
    )
    assert [None] * 3 == [shown["notBefore"], shown["notAfter"], shown["until"]]
    assert [shown] == (await scheme.get(PATH)).json

    activated = (await change(scheme, "ACTIVE")).json
    assert ("ACTIVE", True) == (activated["state"], activated["isValid"])
    until = in_days(30)
    retiring = (await change(scheme, "RETIRING", until=until)).json
    assert ("RETIRING", until) == (retiring["state"], retiring["until"])
    revoked = (await change(scheme, "REVOKED")).json
    assert ("REVOKED", False, "", "test") == tuple(revoked[name] for name in ("state", "isValid", "pem", "reason"))
    assert [revoked] == (await scheme.get(PATH)).json


async def test_a_certificate_follows_its_request(secured: Operator, secrets: Path) -> None:
    request = {"use": "tls-client", "pem": signing_request(rsa_key(), DFSP).decode()}
    first = (await secured.post(PATH, request)).json
    assert ("request", "PENDING") == (first["form"], first["state"])
    answer = await change(secured, "ACTIVE", first["id"])
    assert (
        400,
        "3100",
        "Generic validation error - it is a request still; register its certificate first",
    ) == answer.error

    second = (await secured.post(PATH, {"use": "tls-client", "pem": certificate(secrets)})).json
    assert (first["id"], "certificate", first["registered"]) == (second["id"], second["form"], second["registered"])
    assert second["notAfter"] > in_days(364)
    assert (await change(secured, "ACTIVE", first["id"])).json["isValid"]


REFUSED = {
    "pem must be one certificate, one request or one public key": ("jws", "nothing"),
    "a key cannot be used as tls-client": ("tls-client", KEY["pem"]),
    "pem holds a private key, which is no secret any more; make a new one": (
        "jws",
        rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    ),
    "it names another participant than urn:fspiop:fsp:dfsp": (
        "tls-client",
        signing_request(rsa_key(), Subject(FSP_URI + "other")).decode(),
    ),
    "the key may not be used: RSA key of 1024 bits, at least 2048 are needed": (
        "jws",
        pem_of(rsa_key(bits=1024)).decode(),
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
async def test_what_is_examined_is_refused_with_its_own_words(scheme: Operator, sentence: str) -> None:
    use, pem = REFUSED[sentence]

    answer = await scheme.post(PATH, {"use": use, "pem": pem})

    assert (400, "3100", f"Generic validation error - {sentence}") == answer.error
    assert [] == (await scheme.get(PATH)).json
    assert "register-credential" not in scheme.ports.commands, "the ledger is not even asked"


async def test_who_may_have_issued_a_certificate(secured: Operator, secrets: Path, tmp_path: Path) -> None:
    good = certificate(secrets)
    SecretFolder(tmp_path / "foreign").create("Hub", ["localhost"], ["alice", "bob"], datetime.now(UTC))

    answer = await secured.post(PATH, {"use": "tls-client", "pem": certificate(tmp_path / "foreign")})
    assert "the certificate is not issued by an authority of the scheme" in answer.error[2]
    answer = await secured.post(PATH, {"use": "tls-client", "pem": certificate(secrets, usages=[SERVER])})
    assert "the certificate's ExtendedKeyUsage has no clientAuth" in answer.error[2]
    answer = await secured.post(PATH, {"use": "tls-client", "pem": (secrets / "public/scheme-ca.pem").read_text()})
    assert "the certificate is an authority's (CA)" in answer.error[2]
    answer = await secured.post(PATH, {"use": "tls-server-ca", "pem": (secrets / "public/scheme-ca.pem").read_text()})
    assert 201 == answer.status
    assert 201 == (await secured.post(PATH, {"use": "tls-client", "pem": good})).status

    (secrets / "public/scheme-ca.pem").unlink()
    answer = await secured.post(PATH, {"use": "tls-client", "pem": certificate(tmp_path / "foreign", ec_key(7))})
    assert (503, "2003") == answer.error[:2], "nothing is accepted that cannot be examined"


async def test_signatures_may_need_certificates() -> None:
    async with an_operator(jws_certificates="required") as operator:
        await at_a_scheme(operator)

        answer = await operator.post(PATH, KEY)

    assert (400, "3100", "Generic validation error - a key cannot be used as jws") == answer.error


async def test_a_key_is_of_one_participant(scheme: Operator) -> None:
    anothers = (400, "3100", "Generic validation error - the key is another participant's, or was; make a new one")
    other = "/participants/other/credentials"
    await scheme.post(PATH, KEY)

    assert anothers == (await scheme.post(other, KEY)).error
    await change(scheme, "ACTIVE")
    await change(scheme, "REVOKED")
    assert anothers == (await scheme.post(other, KEY)).error
    again = "Generic validation error - the key is registered, or was; make a new one"
    assert (400, "3100", again) == (await scheme.post(PATH, KEY)).error


async def test_a_key_that_two_registered_at_one_moment_counts_for_neither(scheme: Operator) -> None:
    """Each of two processes of the admin API sees the other's command only after its own."""
    other, key = "/participants/other/credentials", {"use": "jws", "pem": pem_of(ec_key(8)).decode()}
    credential_id = spki_id(ec_key(8).public_key())
    before = scheme.hub.participants.by_name["dfsp"]
    await scheme.post(PATH, key)
    registered = scheme.hub.participants.by_name.pop("dfsp")
    assert 201 == (await scheme.post(other, key)).status
    scheme.hub.participants.by_name["dfsp"] = registered
    assert before.version < registered.version

    answer = await change(scheme, "ACTIVE", credential_id)
    assert (400, "3100") == answer.error[:2]
    assert "make a new one" in answer.error[2]
    assert [("PENDING", False)] == await states(scheme)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"state": "PENDING", "reason": "r"}, "3101", '"state" must be one of [ACTIVE, RETIRING, REVOKED]'),
        ({"state": "ACTIVE"}, "3102", '"reason" is required'),
        ({"state": "RETIRING", "reason": "r"}, "3100", "RETIRING needs until"),
        ({"state": "ACTIVE", "reason": "r", "until": "2030-01-01T00:00:00Z"}, "3100", "until goes with RETIRING alone"),
        ({"state": "RETIRING", "reason": "r", "until": "soon"}, "3101", '"until"'),
        ({"state": "RETIRING", "reason": "r", "until": "2030-02-30T00:00:00Z"}, "3100", "There is no such day"),
        ({"state": "RETIRING", "reason": "r", "until": "2100-01-01T00:00:00Z"}, "3100", "until must be within 90 days"),
        ({"state": "ACTIVE", "reason": "r", "by": "me"}, "3100", '"by" is not allowed'),
    ],
)
async def test_a_change_that_is_refused(scheme: Operator, body: Any, code: str, words: str) -> None:
    await scheme.post(PATH, KEY)
    await change(scheme, "ACTIVE")

    answer = await scheme.put(f"{PATH}/{KEY_ID}", body)

    assert (400, code) == answer.error[:2]
    assert words in answer.error[2]
    assert [("ACTIVE", True)] == await states(scheme)


async def test_what_there_is_not(scheme: Operator) -> None:
    unknown = (400, "3200", "Generic ID not found - Participant does not exist")
    assert unknown == (await scheme.get("/participants/nobody/credentials")).error
    assert unknown == (await scheme.post("/participants/nobody/credentials", KEY)).error
    nobody = await scheme.put(f"/participants/nobody/credentials/{KEY_ID}", {"state": "ACTIVE", "reason": "r"})
    assert unknown == nobody.error
    assert (400, "3200", "Generic ID not found - Credential does not exist") == (await change(scheme, "ACTIVE")).error
    assert (400, "3100", "Generic validation error - 'id' URI path parameter") == (
        await change(scheme, "ACTIVE", "short")
    ).error


async def test_only_so_many_at_a_time(scheme: Operator) -> None:
    for number in range(20, 24):
        assert 201 == (await scheme.post(PATH, {"use": "jws", "pem": pem_of(ec_key(number)).decode()})).status

    answer = await scheme.post(PATH, KEY)
    assert "the participant has 4 such credentials; revoke one that is not needed" in answer.error[2]


def written(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


async def test_the_commands_from_end_to_end(terminal: Terminal, tmp_path: Path) -> None:
    await at_a_scheme(terminal.operator)
    file = written(tmp_path / "key.pem", KEY["pem"])

    ended = await terminal.run("secure", "enrol", "dfsp", file, "--use", "jws", "--json")
    assert (0, "") == (ended.code, ended.err)
    assert ("dfsp", KEY_ID, "PENDING") == tuple(ended.json[name] for name in ("participant", "id", "state"))
    why = ("--reason", "as agreed by telephone")
    ended = await terminal.run("secure", "activate", "dfsp", KEY_ID[:8], *why)
    assert (0, "") == (ended.code, ended.err)
    assert "ACTIVE" in ended.out
    ended = await terminal.run("secure", "retire", "dfsp", KEY_ID, "--until", in_days(7), *why)
    assert "RETIRING" in ended.out
    for arguments in (("secure", "credentials"), ("secure", "credentials", "dfsp")):
        ended = await terminal.run(*arguments)
        for cell in ("dfsp", KEY_ID, "jws", "RETIRING", "yes", "as agreed by telephone"):
            assert cell in ended.out, arguments
    ended = await terminal.run("secure", "revoke", "dfsp", KEY_ID, "--reason", "stolen", "--json")
    assert ("REVOKED", False) == (ended.json["state"], ended.json["isValid"])


async def test_what_the_commands_refuse(terminal: Terminal, tmp_path: Path) -> None:
    await at_a_scheme(terminal.operator)
    private = ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for content, words in ((private, "nothing was sent"), ("x" * 20_000, "at most 16384"), ("\xe9", "no PEM")):
        file = written(tmp_path / "file.pem", content)
        ended = await terminal.run("secure", "enrol", "dfsp", file, "--use", "jws")
        assert 2 == ended.code
        assert words in ended.err
        assert "PRIVATE KEY" not in ended.err
    ended = await terminal.run("secure", "enrol", "dfsp", str(tmp_path / "none.pem"), "--use", "jws")
    assert (2, True) == (ended.code, "No such file" in ended.err)

    ended = await terminal.run("secure", "revoke", "dfsp", "-abcdef", "--reason", "r")
    assert (1, True) == (ended.code, "dfsp has 0 credentials whose id begins with -abcdef" in ended.err)
    ended = await terminal.run("secure", "enrol", "dfsp", written(tmp_path / "n.pem", "nothing"), "--use", "jws")
    assert (1, True) == (ended.code, "refused by the hub: 3100" in ended.err)


async def test_two_at_one_moment_at_one_process(scheme: Operator) -> None:
    """One process sees its own commands at once, so only one of the two is accepted or both are known as shared."""
    answers = await asyncio.gather(
        scheme.post(PATH, KEY), scheme.post("/participants/other/credentials", KEY), return_exceptions=False
    )

    accepted = [one for one in answers if one.status == 201]
    assert accepted
    if len(accepted) == 2:
        assert (400, "3100") == (await change(scheme, "ACTIVE")).error[:2]
