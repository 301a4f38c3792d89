"""Signatures that others have made: the examples of RFC 7515, and Mojaloop's own SDK."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from clearinghub.security.key_files import PublicKey, jose_key
from clearinghub.security.signature import HEADER, Fault, Verifier, is_signature_of, read_token
from tests.unit.security.samples import FixedKeys

# RFC 7515, appendix A.2 and A.3: public key, protected header, signature; both over the same payload.
PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RFC_RSA_N = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql"
    "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs"
    "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud"
    "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
)
RFC_RSA_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG"
    "bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
    "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6"
    "LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
RFC_EC_X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
RFC_EC_Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
RFC_EC_SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

# Made by `JwsSigner.sign` of @mojaloop/sdk-standard-components 19.18.8 from a POST with this body.
SDK_BODY = (
    '{"transferId":"b51ec534-ee48-4575-b6a9-ead2955b8069","payeeFsp":"payeefsp","payerFsp":"payerfsp",'
    '"amount":{"currency":"USD","amount":"123.45"},"note":"Zoë — ok"}'
).encode()
SDK_SIGNED = {
    "payerfsp": (
        (
            b"-----BEGIN PUBLIC KEY-----\n"
            b"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxwNHu7V/TNHJ7pPst1km\n"
            b"5ba6QCg/FBUIoj+vVTvSMTea4EY44/lNAR8JXD2pIOadkSuTLRf+jVdPNJZWrnOD\n"
            b"gHc+tAUXs7F0AGKxOVOiTV0LZLHi5hLwpVcn7z6f2DALa5JaxRWNCwWQ9NVeZFoC\n"
            b"3hePVty/1/R1lElGHuNPpdQUjj5erUABzREqB/SbJzsbi7MfxZ3ttJB5NL4rT2OL\n"
            b"R46T66hLQCMmVhPpkKa/MPW6Fe5JXzdckg1tiWhHxAjnKyIS9gWMZqzzY2DsNmBE\n"
            b"2wchdtR+a7LVlg6Ln7lKAsv24Z4ACJBk3ErX8604AmA2fqw5DHP354VHk+HiwfKw\n"
            b"nwIDAQAB\n"
            b"-----END PUBLIC KEY-----\n"
        ),
        (
            "eyJhbGciOiJSUzI1NiIsIkZTUElPUC1VUkkiOiIvdHJhbnNmZXJzIiwiRlNQSU9QLUhUVFAtTWV0aG9kIjoiUE9TVCIsIkZT"
            "UElPUC1Tb3VyY2UiOiJwYXllcmZzcCIsIkZTUElPUC1EZXN0aW5hdGlvbiI6InBheWVlZnNwIiwiRGF0ZSI6IlR1ZSwgMjMg"
            "TWF5IDIwMTcgMjE6MTI6MzEgR01UIn0"
        ),
        (
            "fx3RrsLuEkdYWOOOvvEMd08lTZ4eqi2SEAaddajNA5qRuCS7uUCIEECh-DVNNhjERayemtxCMTFKBap4ewuTpyo-TSK0frS-"
            "bwBltiI05bMlrDqQDPqjDcwTO7E4yJBAOykOB3v8z_2zNiczqHacFQD-qMdmJo4F65uCZ9HczwZvAtyfIQHmguLbx6TlLl3j"
            "qNdwomO5-nvR9UMVrsJm3S2agIbLeHNZFdbfmOIWKNXnbPtp7qqafhSjRBjigqm7_aoHnZ127JOOvkdz6HMAzOZOEEx-L-RV"
            "0mWMRfw8dd2aAmtW4n7IrLAQjnQ2nethXhDnP4oE9YtQoNuqTGYx-A"
        ),
    ),
    "ecfsp": (
        (
            b"-----BEGIN PUBLIC KEY-----\n"
            b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEweJlil0RHHIhzHgUklOGxBZGV1Ck\n"
            b"JOmGFtFSdgt66nQj/MGONgG/nQ6F01pVfTXh6HqlBOXpuuYelg+AugGbZA==\n"
            b"-----END PUBLIC KEY-----\n"
        ),
        (
            "eyJhbGciOiJFUzI1NiIsIkZTUElPUC1VUkkiOiIvdHJhbnNmZXJzIiwiRlNQSU9QLUhUVFAtTWV0aG9kIjoiUE9TVCIsIkZT"
            "UElPUC1Tb3VyY2UiOiJlY2ZzcCIsIkZTUElPUC1EZXN0aW5hdGlvbiI6InBheWVlZnNwIiwiRGF0ZSI6IlR1ZSwgMjMgTWF5"
            "IDIwMTcgMjE6MTI6MzEgR01UIn0"
        ),
        ("_Fp3A1IAVRhqdrnKsAOQQN5Lzetd26_FPf1S1FTDVT4Lp6nIEPC-McfZNWyTlqv-oubvSY907HsREgUgcafd0A"),
    ),
}


def number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_good(protected: str, signature: str, key: PublicKey) -> bool:
    token = read_token(protected, signature, decoded(PAYLOAD))
    return not isinstance(token, Fault) and is_signature_of(jose_key(key), token)


def test_the_rfcs_example_with_rsa() -> None:
    key = rsa.RSAPublicNumbers(65_537, number(RFC_RSA_N)).public_key()

    assert is_good("eyJhbGciOiJSUzI1NiJ9", RFC_RSA_SIGNATURE, key)


def test_the_rfcs_example_with_the_curve() -> None:
    key = ec.EllipticCurvePublicNumbers(number(RFC_EC_X), number(RFC_EC_Y), ec.SECP256R1()).public_key()

    assert is_good("eyJhbGciOiJFUzI1NiJ9", RFC_EC_SIGNATURE, key)


def sdk_request(source: str) -> tuple[Verifier, dict[str, str]]:
    pem, protected, signature = SDK_SIGNED[source]
    key = load_pem_public_key(pem)
    assert isinstance(key, PublicKey)
    headers = {
        "fspiop-source": source,
        "fspiop-destination": "payeefsp",
        "date": "Tue, 23 May 2017 21:12:31 GMT",
        "fspiop-http-method": "POST",
        "fspiop-uri": "/transfers",
        HEADER: f'{{"signature":"{signature}","protectedHeader":"{protected}"}}',
    }
    return Verifier(FixedKeys(**{source: [key]})), headers


@pytest.mark.parametrize("source", SDK_SIGNED)
def test_what_mojaloops_sdk_has_signed_is_good(source: str) -> None:
    verifier, headers = sdk_request(source)

    assert verifier.fault("POST", "/transfers", headers, SDK_BODY) is None


@pytest.mark.parametrize("source", SDK_SIGNED)
def test_and_is_not_with_another_body(source: str) -> None:
    verifier, headers = sdk_request(source)

    assert verifier.fault("POST", "/transfers", headers, SDK_BODY.replace(b"123.45", b"123.46")) is not None
