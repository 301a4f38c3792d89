"""What the authorities issue, which requests they accept, and what OpenSSL says of it."""

from __future__ import annotations

import asyncio
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import BasicConstraints, SubjectAlternativeName, UniformResourceIdentifier

from clearinghub.security.certificates import (
    CLIENT,
    FSP_URI,
    OPERATOR_URI,
    ROLE_URI,
    SERVER,
    Authority,
    SigningRequestError,
    Subject,
    issue,
    new_authority,
    requested_key,
    signing_request,
)
from clearinghub.security.key_files import KeyFileError, PrivateKey
from clearinghub.security.secret_folder import INTERNAL, SCHEME, Finding, SecretFolder
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_OK, EXIT_WRONG_USAGE
from tests.unit.security.samples import ec_key, rsa_key

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ALPHA = Subject(FSP_URI + "alphabank")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return new_authority("Scheme CA", 3_650, NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    SecretFolder(path).create("Hub", ["localhost", "127.0.0.1"], ["alice", "bob"], datetime.now(UTC))
    return path


def test_a_certificate_names_its_subject_as_a_uri_and_is_no_authority(authority: Authority) -> None:
    certificate = issue(authority, ec_key().public_key(), ALPHA, [CLIENT], 365, NOW)

    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    assert ["urn:fspiop:fsp:alphabank"] == names.get_values_for_type(UniformResourceIdentifier)
    assert not certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    assert NOW - timedelta(minutes=5) == certificate.not_valid_before_utc
    assert NOW + timedelta(days=365) == certificate.not_valid_after_utc
    certificate.verify_directly_issued_by(authority.certificate)


def test_an_operator_with_a_roles_name_is_another_subject_than_the_role(authority: Authority) -> None:
    """Kafka knows a user by the subject alone, and both have certificates of the internal authority."""
    role, operator = (
        issue(authority, ec_key().public_key(), Subject(prefix + "ledger"), [CLIENT], 90, NOW).subject.rfc4514_string()
        for prefix in (ROLE_URI, OPERATOR_URI)
    )

    assert ("CN=ledger,OU=role", "CN=ledger") == (role, operator)


def test_no_certificate_is_valid_for_longer_than_its_issuer(authority: Authority) -> None:
    late = NOW + timedelta(days=3_600)

    certificate = issue(authority, ec_key().public_key(), ALPHA, [CLIENT], 365, late)

    assert authority.certificate.not_valid_after_utc == certificate.not_valid_after_utc


@pytest.mark.parametrize("key", [ec_key(), rsa_key(), ec.generate_private_key(ec.SECP384R1())], ids=str)
def test_a_request_is_for_the_key_that_signed_it(key: PrivateKey) -> None:
    assert key.public_key() == requested_key(signing_request(key, ALPHA), ALPHA.uri)


def forged(request: bytes) -> bytes:
    """A request whose signature is another's."""
    lines = request.splitlines()
    lines[-2] = lines[-2][:-8] + b"AAAAAAA="[: len(lines[-2][-8:])]
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("request_pem", "problem"),
    [
        (signing_request(ec_key(), Subject(FSP_URI + "otherbank")), "asks for another name"),
        (signing_request(rsa.generate_private_key(65_537, 1024), ALPHA), "RSA key of 1024 bits"),
        (signing_request(ec.generate_private_key(ec.SECP521R1()), ALPHA), "curve secp521r1"),
        (forged(signing_request(ec_key(), ALPHA)), "not signed with the key|no signing request"),
        (b"", "no signing request"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no signing request"),
        (b"x" * 20_000, "longer than"),
    ],
)
def test_a_request_that_is_refused(request_pem: bytes, problem: str) -> None:
    with pytest.raises(SigningRequestError, match=problem):
        requested_key(request_pem, ALPHA.uri)


def test_private_files_are_their_owners_alone(folder: Path) -> None:
    modes = {(path.suffix, stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*.*")}

    assert {(".key", 0o600), (".pem", 0o644)} == modes
    assert {0o700} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_nothing_is_ever_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}

    with pytest.raises(KeyFileError, match="never overwritten"):
        SecretFolder(folder).create("Hub", ["localhost"], ["alice", "bob"], NOW)

    assert before == {path: path.read_bytes() for path in folder.rglob("*.*")}


def findings(folder: Path, now: datetime | None = None) -> dict[str, str]:
    found: list[Finding] = list(SecretFolder(folder).check(now or datetime.now(UTC)))
    return {str(one.path.relative_to(folder)): one.state for one in found if one.state != "ok"}


def test_check_tells_what_must_be_done(folder: Path) -> None:
    at_home = {"offline/scheme-ca.key": "weak", "offline/internal-ca.key": "weak"}
    assert at_home == findings(folder)

    (folder / "hub/client.pem").unlink()
    (folder / "hub/jws.key").chmod(0o640)
    (folder / "roles/ledger.pem").write_text("no certificate")

    assert at_home | {"hub/client.pem": "missing", "hub/jws.key": "weak", "roles/ledger.pem": "missing"} == findings(
        folder
    )


def test_check_tells_what_ends(folder: Path) -> None:
    roles = [f"roles/{role}.pem" for role in ("ingress", "admin-api", "ledger", "callbacks", "archive", "setup")]

    soon = findings(folder, datetime.now(UTC) + timedelta(days=61))
    late = findings(folder, datetime.now(UTC) + timedelta(days=91))

    assert ["weak"] * 6 == [soon[role] for role in roles]
    assert ["ended"] * 6 == [late[role] for role in roles]


async def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes:
    """Connect to a server on this machine, and return what it sends: the client's names in the certificate."""

    async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert")
        writer.write(repr(certificate["subjectAltName"]).encode())
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(tell, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
        try:
            return await reader.read()
        finally:
            writer.close()


def contexts(folder: Path, place: str, authority: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The hub's server, which requires a certificate of the scheme's authority; a client with the one at `place`."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "public/scheme-ca.pem"))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(folder / "hub/server.pem", folder / "hub/server.key")
    client = ssl.create_default_context(cafile=str(folder / f"public/{authority}.pem"))
    client.load_cert_chain(folder / f"{place}.pem", folder / f"{place}.key")
    return server, client


async def test_two_of_the_scheme_know_each_other(folder: Path) -> None:
    assert b"urn:fspiop:fsp:Hub" in await shake_hands(*contexts(folder, "hub/client", SCHEME))


@pytest.mark.parametrize(
    ("place", "authority"), [("roles/ingress", SCHEME), ("hub/client", INTERNAL), ("hub/server", SCHEME)]
)
async def test_certificates_are_good_for_their_purpose_alone(folder: Path, place: str, authority: str) -> None:
    """A role's certificate is no DFSP's; a server of the scheme is none of the hub's inside; a server is no client."""
    try:
        answer = await shake_hands(*contexts(folder, place, authority))
    except (ssl.SSLError, ConnectionError):
        answer = b""  # in TLS 1.3 a refused client sees it at its first read, or not at all

    assert b"" == answer


def test_the_commands_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets, out = str(tmp_path / "secrets"), str(tmp_path / "alphabank")

    assert EXIT_OK == main(["secure", "init", secrets, "--host", "hub.example", "--operators", "alice,bob"])
    assert EXIT_OK == main(["secure", "request", "--as", "alphabank", "--out", out])
    sign = ["secure", "sign", secrets, f"{out}.csr", "--use", "tls-client", "--out", f"{out}.pem"]
    assert EXIT_WRONG_USAGE == main([*sign, "--as", "betabank"])
    assert EXIT_OK == main([*sign, "--as", "alphabank"])
    assert EXIT_WRONG_USAGE == main([*sign, "--as", "alphabank"])
    assert EXIT_OK == main(["secure", "check", secrets])

    (tmp_path / "secrets/hub/server.key").unlink()
    assert EXIT_FAILED == main(["secure", "check", secrets])
    printed = capsys.readouterr()
    assert "asks for another name than urn:fspiop:fsp:betabank" in printed.err
    assert "BEGIN" not in printed.out


@pytest.mark.parametrize("operators", ["alice", "alice,alice", "", "a/b,bob"])
def test_two_operators_are_needed(tmp_path: Path, operators: str) -> None:
    arguments = ["secure", "init", str(tmp_path / "secrets"), "--host", "hub", "--operators", operators]

    assert EXIT_WRONG_USAGE == main(arguments)
    assert not (tmp_path / "secrets").exists()


def test_signing_needs_the_authoritys_key(folder: Path) -> None:
    (folder / "offline/scheme-ca.key").unlink()

    with pytest.raises(KeyFileError, match="run this where the authority's key is"):
        SecretFolder(folder).authority(SCHEME)


def test_a_server_has_its_hosts(authority: Authority) -> None:
    subject = Subject(FSP_URI + "Hub", ("hub.example", "192.0.2.1", "2001:db8::1"))

    pem = issue(authority, ec_key().public_key(), subject, [SERVER], 90, NOW).public_bytes(Encoding.PEM)

    assert pem.startswith(b"-----BEGIN CERTIFICATE-----")
