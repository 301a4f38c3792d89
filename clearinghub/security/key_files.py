"""Keys: which may be used, and how they are read from files and written to them.

Files are PEM, as openssl and Mojaloop's tools write it. No error and no log ever shows what is in a file.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509 import load_pem_x509_certificate
from joserfc.jwk import ECKey, RSAKey

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
JoseKey: TypeAlias = RSAKey | ECKey

RSA_BITS_MIN: Final = 2048  # Signature v1.1
RSA_BITS_MAX: Final = 8192  # the time to verify grows with the square of it
FILE_BYTES_MAX: Final = 65_536
KEYS_PER_FILE_MAX: Final = 4  # old and new while a key is replaced, and some to spare: each is tried
PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644

_PUBLIC_EXPONENT: Final = 65_537
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.+?-----END \1-----", re.DOTALL)
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)

_log = structlog.get_logger(__name__)


class KeyFileError(Exception):
    """A key cannot be used. The sentence names the file and says why, and never shows what is in it."""


@dataclass(frozen=True, slots=True)
class ParticipantKey:
    """A public key. A certificate's key is valid within the certificate's dates, in seconds since 1970, UTC."""

    key: JoseKey
    valid_from_s: float = float("-inf")
    valid_until_s: float = float("inf")

    @property
    def public_key(self) -> PublicKey:
        return self.key.public_key


def key_fault(key: object) -> str | None:
    """Return why a key, public or private, may not be used; None if it may."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        if key.key_size < RSA_BITS_MIN:
            return f"RSA key of {key.key_size} bits, at least {RSA_BITS_MIN} are needed"
        if key.key_size > RSA_BITS_MAX:
            return f"RSA key of {key.key_size} bits, at most {RSA_BITS_MAX} are taken"
        return None
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return None if isinstance(key.curve, ec.SECP256R1) else f"curve {key.curve.name}, only P-256 is taken"
    return "neither an RSA key nor one of the curve P-256"


def jose_key(key: PublicKey | PrivateKey) -> JoseKey:
    """Return a key in the form in which joserfc signs and verifies with it."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return RSAKey.import_key(key)
    return ECKey.import_key(key)


def read_public_keys(path: Path) -> tuple[ParticipantKey, ...]:
    """Return all public keys of a PEM file, those of certificates included.

    A certificate is only a key with dates: its issuer is not checked, because the operator who put the file there is
    trusted.

    Raises:
        KeyFileError: the file cannot be read, or something in it is not a key that may be used.
    """
    blocks = list(_BLOCK.finditer(_content(path)))
    if not blocks:
        raise KeyFileError(f"{path}: no PEM public key or certificate in it")
    if len(blocks) > KEYS_PER_FILE_MAX:
        raise KeyFileError(f"{path}: {len(blocks)} keys, at most {KEYS_PER_FILE_MAX} are taken")
    return tuple(_public_key(path, block[1].decode("ascii"), block[0]) for block in blocks)


def read_private_key(path: Path) -> PrivateKey:
    """Return the private key of a PEM file.

    Raises:
        KeyFileError: the file cannot be read, or it is not a key that may be used.
    """
    content = _content(path)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:  # what the library raises if it needs a passphrase
        raise KeyFileError(
            f"{path}: protected by a passphrase; store it without one, readable by the hub alone"
        ) from error
    except _UNREADABLE:
        raise KeyFileError(f"{path}: no PEM private key in it") from None
    fault = key_fault(key)
    if fault is not None:
        raise KeyFileError(f"{path}: {fault}")
    assert isinstance(key, PrivateKey)
    if path.stat().st_mode & stat.S_IROTH:
        _log.warning("jws-private-key-readable-by-all", file=str(path))
    return key


def new_key(kind: str, bits: int = RSA_BITS_MIN) -> PrivateKey:
    """Return a new private key; `kind` is `rsa` or `ec`, `bits` the size of an RSA key."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(_PUBLIC_EXPONENT, bits)


def write_key_pair(folder: Path, name: str, key: PrivateKey) -> tuple[Path, Path]:
    """Write NAME.key, readable by its owner only, and NAME.pem with the public key; return both paths.

    Raises:
        KeyFileError: one of the files is there already, or the folder cannot be written to.
    """
    private_format = PrivateFormat.PKCS8 if isinstance(key, rsa.RSAPrivateKey) else PrivateFormat.TraditionalOpenSSL
    # Mojaloop's SDK recognizes a key of the curve by the first line of the older format.
    private = key.private_bytes(Encoding.PEM, private_format, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    paths = folder / f"{name}.key", folder / f"{name}.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.exists():
                raise KeyFileError(f"{path} is there already; keys are never overwritten")
        write_new(paths[0], private, PRIVATE_MODE)
        write_new(paths[1], public, PUBLIC_MODE)
    except OSError as error:
        raise KeyFileError(f"{error.filename or folder}: {error.strerror}") from error
    return paths


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise KeyFileError(f"{path}: longer than {FILE_BYTES_MAX} bytes")
    return content


def _public_key(path: Path, label: str, block: bytes) -> ParticipantKey:
    if "PRIVATE KEY" in label:
        raise KeyFileError(f"{path}: holds a private key; only public keys belong here, and this one is no secret now")
    valid_from_s, valid_until_s = float("-inf"), float("inf")
    try:
        key: object
        if label == "CERTIFICATE":
            certificate = load_pem_x509_certificate(block)
            key = certificate.public_key()
            valid_from_s = certificate.not_valid_before_utc.timestamp()
            valid_until_s = certificate.not_valid_after_utc.timestamp()
        else:
            key = load_pem_public_key(block)
    except _UNREADABLE:
        raise KeyFileError(f"{path}: no readable public key or certificate") from None
    fault = key_fault(key)
    if fault is not None:
        raise KeyFileError(f"{path}: {fault}")
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    return ParticipantKey(jose_key(key), valid_from_s, valid_until_s)


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Create a file that has its mode from the first moment, whatever the process's mask is.

    Raises:
        KeyFileError: the file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise KeyFileError(f"{path} is there already; keys are never overwritten") from error
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
