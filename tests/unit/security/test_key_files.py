"""Keys in files: which are accepted, which are refused with a sentence, and what `keys generate` writes."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from structlog.testing import capture_logs

from clearinghub.security.key_files import KEYS_PER_FILE_MAX, KeyFileError, read_private_key, read_public_keys
from clearinghub.security.signature import Signer, Verifier
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_OK, EXIT_WRONG_USAGE
from tests.unit.security.samples import FixedKeys, ec_key, judged, pem_of, rsa_key, signed

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2025, 1, 1, tzinfo=UTC)


def certificate(key: rsa.RSAPrivateKey) -> bytes:
    """A certificate for payeefsp, good for the year 2024, signed by itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "payeefsp")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, START, END)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "payeefsp.pem"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=["rsa", "ec"])
def test_a_public_key(tmp_path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    [read] = read_public_keys(written(tmp_path, b"made for payeefsp\n" + pem_of(key)))

    assert key.public_key() == read.public_key


def test_a_public_key_in_the_older_format(tmp_path: Path) -> None:
    content = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)

    assert rsa_key().public_key() == read_public_keys(written(tmp_path, content))[0].public_key


def test_a_certificate_is_a_key_with_dates(tmp_path: Path) -> None:
    [read] = read_public_keys(written(tmp_path, certificate(rsa_key())))

    assert rsa_key().public_key() == read.public_key
    assert (START.timestamp(), END.timestamp()) == (read.valid_from_s, read.valid_until_s)


def test_two_keys_while_one_replaces_the_other(tmp_path: Path) -> None:
    read = read_public_keys(written(tmp_path, pem_of(rsa_key()) + certificate(rsa_key(1))))

    assert [rsa_key().public_key(), rsa_key(1).public_key()] == [key.public_key for key in read]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no PEM public key or certificate in it"),
        (b"nonsense", "no PEM public key or certificate in it"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no readable public key or certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no readable public key or certificate"),
        (pem_of(rsa_key(bits=1024)), "RSA key of 1024 bits, at least 2048 are needed"),
        (private_pem(rsa_key()), "holds a private key"),
        (pem_of(rsa_key()) * (KEYS_PER_FILE_MAX + 1), "5 keys, at most 4 are taken"),
        (pem_of(rsa_key()) + pem_of(rsa_key(bits=1024)), "RSA key of 1024 bits"),
        (b"x" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_a_public_key_that_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = written(tmp_path, content)

    with pytest.raises(KeyFileError) as refused:
        read_public_keys(path)

    assert str(refused.value).startswith(f"{path}: ")
    assert problem in str(refused.value)


def test_other_curves_and_types_are_refused(tmp_path: Path) -> None:
    other_curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    with pytest.raises(KeyFileError, match="curve secp384r1, only P-256 is taken"):
        read_public_keys(written(tmp_path, pem_of(other_curve)))
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    content = edwards.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyFileError, match="neither an RSA key nor one of the curve P-256"):
        read_public_keys(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"nonsense", "no PEM private key in it"),
        (pem_of(rsa_key()), "no PEM private key in it"),
        (private_pem(rsa_key(), b"secret"), "protected by a passphrase"),
        (private_pem(rsa_key(bits=1024)), "RSA key of 1024 bits, at least 2048 are needed"),
    ],
)
def test_a_private_key_that_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(KeyFileError) as refused:
        read_private_key(written(tmp_path, content))

    assert problem in str(refused.value)
    assert b"PRIVATE" not in str(refused.value).encode()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"hub\.key: No such file or directory"):
        read_private_key(tmp_path / "hub.key")


def test_a_private_key_that_everybody_may_read_is_complained_of(tmp_path: Path) -> None:
    path = written(tmp_path, private_pem(ec_key()))
    path.chmod(0o644)

    with capture_logs() as logs:
        read_private_key(path)

    assert ["jws-private-key-readable-by-all"] == [entry["event"] for entry in logs]


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_keys_generate(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "keys"

    assert EXIT_OK == main(["keys", "generate", "payeefsp", "--dir", str(folder), "--type", kind])

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {"payeefsp.key": 0o600, "payeefsp.pem": 0o644} == modes
    assert "payeefsp.key" in capsys.readouterr().out
    [public] = read_public_keys(folder / "payeefsp.pem")
    with capture_logs() as logs:
        signer = Signer(read_private_key(folder / "payeefsp.key"))
    assert [] == logs
    assert "good" == judged(Verifier(FixedKeys(payeefsp=[public.public_key])), signed(signer))


def test_keys_generate_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["keys", "generate", "payeefsp", "--dir", str(tmp_path), "--type", "ec"]
    assert EXIT_OK == main(arguments)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert EXIT_WRONG_USAGE == main(arguments)

    assert "is there already; keys are never overwritten" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("arguments", [["../evil"], [".hidden"], ["a/b"], [""], ["x", "--bits", "1024"]])
def test_keys_generate_refuses(tmp_path: Path, arguments: list[str]) -> None:
    assert EXIT_WRONG_USAGE == main(["keys", "generate", *arguments, "--dir", str(tmp_path)])
    assert [] == list(tmp_path.iterdir())
