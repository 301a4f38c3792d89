"""Keys that are made once for all tests, and a signed request in one line."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clearinghub.security.key_files import JoseKey, PrivateKey, PublicKey, jose_key
from clearinghub.security.signature import HEADER, Signer, Verifier

BODY = b'{"transferState": "COMMITTED", "note": "Zo\xc3\xab"}\n'
PATH = "/transfers/b51ec534-ee48-4575-b6a9-ead2955b8069"
HEADERS = {
    "content-type": "application/vnd.interoperability.transfers+json;version=1.1",
    "date": "Tue, 23 May 2017 21:12:31 GMT",
    "fspiop-source": "payeefsp",
    "fspiop-destination": "payerfsp",
    "fspiop-uri": PATH,
    "fspiop-http-method": "PUT",
}


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The RSA key of that number."""
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """The key of curve P-256 of that number."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: PrivateKey | PublicKey) -> bytes:
    """The public half as a file has it."""
    public = key.public_key() if isinstance(key, PrivateKey) else key
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class FixedKeys:
    def __init__(self, **keys: Sequence[PrivateKey | PublicKey]) -> None:
        self._keys = {
            name: tuple(jose_key(key.public_key() if isinstance(key, PrivateKey) else key) for key in several)
            for name, several in keys.items()
        }

    def of(self, name: str) -> Sequence[JoseKey]:
        return self._keys.get(name, ())


def signed(signer: Signer, body: bytes = BODY, **changes: str | None) -> dict[str, str]:
    """Good headers with their signature; a change is signed, too, and None leaves a header out (`_` for `-`)."""
    renamed = {name.replace("_", "-"): value for name, value in changes.items()}
    headers = {name: value for name, value in {**HEADERS, **renamed}.items() if value is not None}
    return headers | {HEADER: signer.sign(headers, body)}


def judged(
    verifier: Verifier, headers: dict[str, str], body: bytes = BODY, method: str = "PUT", path: str = PATH
) -> str:
    """The reason of the fault, or `good`."""
    fault = verifier.fault(method, path, headers, body)
    return "good" if fault is None else fault.reason
