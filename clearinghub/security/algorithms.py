"""The signature algorithms that are allowed, and which key each needs.

The list is closed: what it does not name (`none`, HMAC with its shared secrets, PSS) is refused before any key is
touched, and each algorithm takes keys of its own type only, so that no key can be used as another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey
PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey

RSA_BITS_MIN: Final = 2048  # Signature v1.1
RSA_BITS_MAX: Final = 8192  # verifying costs the hub the square of it
ES256: Final = "ES256"

_RSA_HASHES: Final[Mapping[str, HashAlgorithm]] = {"RS256": SHA256(), "RS384": SHA384(), "RS512": SHA512()}
_PADDING: Final = PKCS1v15()
_ECDSA: Final = ECDSA(SHA256())
_COORDINATE_BYTES: Final = 32  # of P-256; a JWS has r and s as two such numbers (RFC 7518, 3.4)

ALGORITHMS: Final = frozenset({*_RSA_HASHES, ES256})


def key_fault(key: object) -> str | None:
    """Why a key, public or private, may not be used; None if it may."""
    if isinstance(key, RSAPublicKey | RSAPrivateKey):
        if key.key_size < RSA_BITS_MIN:
            return f"RSA key of {key.key_size} bits, at least {RSA_BITS_MIN} are needed"
        if key.key_size > RSA_BITS_MAX:
            return f"RSA key of {key.key_size} bits, at most {RSA_BITS_MAX} are taken"
        return None
    if isinstance(key, EllipticCurvePublicKey | EllipticCurvePrivateKey):
        return None if isinstance(key.curve, SECP256R1) else f"curve {key.curve.name}, only P-256 is taken"
    return "neither an RSA key nor one of the curve P-256"


def usual_algorithm(key: PrivateKey) -> str:
    """What Mojaloop's SDK signs with, given such a key: RS256 or ES256."""
    return "RS256" if isinstance(key, RSAPrivateKey) else ES256


def fits(algorithm: str, key: PublicKey | PrivateKey) -> bool:
    """True if the algorithm is allowed and is one of this type of key."""
    if isinstance(key, RSAPublicKey | RSAPrivateKey):
        return algorithm in _RSA_HASHES
    return algorithm == ES256


def sign_bytes(algorithm: str, key: PrivateKey, data: bytes) -> bytes:
    """The signature as a JWS has it. The algorithm must fit the key."""
    assert fits(algorithm, key)
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, _PADDING, _RSA_HASHES[algorithm])
    r, s = decode_dss_signature(key.sign(data, _ECDSA))
    return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def is_signature(algorithm: str, key: PublicKey, signature: bytes, data: bytes) -> bool:
    """True if the signature is of this key over these bytes. The algorithm must fit the key."""
    assert fits(algorithm, key)
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, data, _PADDING, _RSA_HASHES[algorithm])
        elif len(signature) == 2 * _COORDINATE_BYTES:
            r = int.from_bytes(signature[:_COORDINATE_BYTES], "big")
            s = int.from_bytes(signature[_COORDINATE_BYTES:], "big")
            key.verify(encode_dss_signature(r, s), data, _ECDSA)
        else:
            return False
    except InvalidSignature:
        return False
    return True
