"""The rules of protocol 10.1, one by one: what counts as a signature of a request, and what does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from clearinghub.security.key_files import jose_key
from clearinghub.security.signature import HEADER, HEADER_CHARACTERS_MAX, Signer, Verifier
from tests.unit.security.samples import BODY, HEADERS, PATH, FixedKeys, ec_key, encoded, judged, pem_of, rsa_key, signed

NOT_HIS = "not the source's signature over this body and protected header"
VERIFIER = Verifier(FixedKeys(payeefsp=[rsa_key()], ecfsp=[ec_key()], both=[ec_key(1), rsa_key(1)]))
SIGNER = Signer(rsa_key())
PROTECTED = {
    "alg": "RS256",
    "FSPIOP-URI": PATH,
    "FSPIOP-HTTP-Method": "PUT",
    "FSPIOP-Source": "payeefsp",
    "FSPIOP-Destination": "payerfsp",
}


def by_hand(protected: Any, *, key: RSAPrivateKey | None = None, body: bytes = BODY) -> dict[str, str]:
    """Good headers with a signature over any protected header, made without the Signer."""
    text = encoded(json.dumps(protected).encode())
    signature = (key or rsa_key()).sign(f"{text}.{encoded(body)}".encode(), PKCS1v15(), SHA256())
    return HEADERS | {HEADER: json.dumps({"signature": encoded(signature), "protectedHeader": text})}


def protected_of(headers: dict[str, str]) -> dict[str, Any]:
    text = json.loads(headers[HEADER])["protectedHeader"]
    parsed: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return parsed


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_each_rsa_algorithm_is_good(algorithm: str) -> None:
    headers = signed(Signer(rsa_key(), algorithm))

    assert algorithm == protected_of(headers)["alg"]
    assert "good" == judged(VERIFIER, headers)


def test_the_curve_is_good() -> None:
    headers = signed(Signer(ec_key()), fspiop_source="ecfsp")

    assert "ES256" == protected_of(headers)["alg"]
    assert 64 == len(base64.urlsafe_b64decode(json.loads(headers[HEADER])["signature"] + "=="))
    assert "good" == judged(VERIFIER, headers)


def test_the_protected_header_is_what_mojaloops_sdk_writes() -> None:
    expected = {**PROTECTED, "Date": HEADERS["date"]}

    assert list(expected.items()) == list(protected_of(signed(SIGNER)).items())


def test_what_is_not_there_is_not_signed() -> None:
    headers = signed(SIGNER, fspiop_destination=None, date=None)

    assert {"alg", "FSPIOP-URI", "FSPIOP-HTTP-Method", "FSPIOP-Source"} == set(protected_of(headers))
    assert "good" == judged(VERIFIER, headers)


def test_a_date_need_not_be_signed() -> None:
    assert "good" == judged(VERIFIER, by_hand(PROTECTED))


def test_a_request_without_a_body_is_signed_over_nothing() -> None:
    headers = signed(SIGNER, b"", fspiop_http_method="GET")

    assert "good" == judged(VERIFIER, headers, b"", method="GET")
    assert NOT_HIS == judged(VERIFIER, headers, b" ", method="GET")


def test_the_body_is_its_bytes_not_its_meaning() -> None:
    headers = signed(SIGNER)

    assert NOT_HIS == judged(VERIFIER, headers, json.dumps(json.loads(BODY)).encode())


def test_either_of_two_keys_is_good_while_one_replaces_the_other() -> None:
    for key in (ec_key(1), rsa_key(1)):
        assert "good" == judged(VERIFIER, signed(Signer(key), fspiop_source="both"))
    assert NOT_HIS == judged(VERIFIER, signed(Signer(rsa_key(2)), fspiop_source="both"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fspiop-source": "nobody"}, "no public key for FSPIOP-Source"),
        ({"fspiop-source": "both"}, NOT_HIS),
        ({"fspiop-source": "ecfsp"}, "alg is not of the key's type"),
        ({"fspiop-source": "PAYEEFSP"}, "no public key for FSPIOP-Source"),
        ({"fspiop-source": "../payeefsp"}, "no public key for FSPIOP-Source"),
        ({"fspiop-uri": ""}, "header fspiop-uri is missing"),
        ({"fspiop-http-method": ""}, "header fspiop-http-method is missing"),
        ({HEADER: ""}, "header fspiop-signature is missing"),
        ({"fspiop-uri": "/transfers/other"}, "protected FSPIOP-URI is not the header's"),
        ({"fspiop-uri": PATH + "/error"}, "protected FSPIOP-URI is not the header's"),
        ({"fspiop-http-method": "POST"}, "protected FSPIOP-HTTP-Method is not the header's"),
        ({"fspiop-http-method": "put"}, "protected FSPIOP-HTTP-Method is not the header's"),
        ({"fspiop-destination": "otherfsp"}, "protected FSPIOP-Destination is not the header's"),
        ({"fspiop-destination": ""}, "protected FSPIOP-Destination is not the header's"),
        ({"date": "Tue, 23 May 2017 21:12:32 GMT"}, "protected Date is not the header's"),
    ],
)
def test_a_header_changed_after_signing(changes: dict[str, str], reason: str) -> None:
    assert reason == judged(VERIFIER, signed(SIGNER) | changes)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fspiop-source", "no public key for FSPIOP-Source"),
        ("fspiop-uri", "header fspiop-uri is missing"),
        ("fspiop-http-method", "header fspiop-http-method is missing"),
        (HEADER, "header fspiop-signature is missing"),
        ("fspiop-destination", "protected FSPIOP-Destination is not the header's"),
        ("date", "protected Date is not the header's"),
    ],
)
def test_a_header_removed_after_signing(name: str, reason: str) -> None:
    headers = signed(SIGNER)
    del headers[name]

    assert reason == judged(VERIFIER, headers)


def test_a_destination_added_after_signing() -> None:
    headers = signed(SIGNER, fspiop_destination=None)

    assert "protected FSPIOP-Destination is not the header's" == judged(
        VERIFIER, headers | {"fspiop-destination": "payerfsp"}
    )


def test_the_whole_message_sent_again_to_another_path_or_by_another_method() -> None:
    headers = signed(SIGNER)

    assert "FSPIOP-URI is not the request's" == judged(VERIFIER, headers, path=PATH + "/error")
    assert "FSPIOP-URI is not the request's" == judged(VERIFIER, headers, path=PATH + "?a=b")
    assert "FSPIOP-HTTP-Method is not the request's" == judged(VERIFIER, headers, method="PATCH")


@pytest.mark.parametrize("name", ["FSPIOP-URI", "FSPIOP-HTTP-Method", "FSPIOP-Source", "FSPIOP-Destination"])
def test_a_mandatory_protected_field_is_missing(name: str) -> None:
    protected = {other: value for other, value in PROTECTED.items() if other != name}

    assert f"protected {name} is not the header's" == judged(VERIFIER, by_hand(protected))


@pytest.mark.parametrize(
    ("name", "value"),
    [("FSPIOP-URI", None), ("FSPIOP-Source", ["payeefsp"]), ("FSPIOP-Destination", None)],
)
def test_a_protected_field_of_another_type(name: str, value: Any) -> None:
    assert f"protected {name} is not the header's" == judged(VERIFIER, by_hand({**PROTECTED, name: value}))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("Date", None, "protected Date is not the header's"),
        ("Date", 5, "protected Date is not the header's"),
        ("Content-Type", "application/json", "protected Content-Type is not the header's"),
        ("content-type", "application/json", "protected Content-Type is not the header's"),
        ("Accept", "application/json", "protected Accept is not the header's"),
        ("FSPIOP-Proxy", "evil", "protected FSPIOP-Proxy is not the header's"),
        ("FSPIOP-Other", "1", "a protected header is not the request's"),
        ("X-Sent", "2", "a protected header is not the request's"),
    ],
)
def test_every_protected_header_is_compared(name: str, value: Any, reason: str) -> None:
    assert reason == judged(VERIFIER, by_hand({**PROTECTED, name: value}) | {"x-sent": "1"})


def test_protected_headers_that_are_equal_are_good() -> None:
    protected = {**PROTECTED, "content-type": HEADERS["content-type"], "X-Sent": "1", "Date": HEADERS["date"]}

    assert "good" == judged(VERIFIER, by_hand(protected) | {"x-sent": "1"})


def test_members_that_are_no_headers_are_not_compared() -> None:
    assert "good" == judged(VERIFIER, by_hand({**PROTECTED, "typ": "JOSE", "note": "for the reader"}))


def test_kid_names_the_key() -> None:
    thumbprint = jose_key(rsa_key(1).public_key()).thumbprint()
    protected = {**PROTECTED, "FSPIOP-Source": "both", "kid": thumbprint}
    source = {"fspiop-source": "both"}

    assert "good" == judged(VERIFIER, by_hand(protected, key=rsa_key(1)) | source)
    assert NOT_HIS == judged(VERIFIER, by_hand(protected) | source)
    assert "kid is of no key of the source" == judged(VERIFIER, by_hand({**protected, "kid": "payerfsp"}) | source)


@pytest.mark.parametrize(
    ("late_s", "protects_date", "answer"),
    [
        (0, True, "good"),
        (300, True, "good"),
        (-300, True, "good"),
        (301, True, "the date is too far from the time of receipt"),
        (-301, True, "the date is too far from the time of receipt"),
        (0, False, "the date is not protected"),
    ],
)
def test_a_signed_date_is_of_now(late_s: int, protects_date: bool, answer: str) -> None:
    sent_s = datetime(2017, 5, 23, 21, 12, 31, tzinfo=UTC).timestamp()
    keys = FixedKeys(payeefsp=[rsa_key()])
    verifier = Verifier(keys, date_skew_s=300, wall_s=lambda: sent_s + late_s)
    protected = {**PROTECTED, "Date": HEADERS["date"]} if protects_date else PROTECTED

    assert answer == judged(verifier, by_hand(protected))


@pytest.mark.parametrize("date", ["", "today", "Tue, 99 May 2017 21:12:31 GMT", "Tue, 23 May 9999999 21:12:31 GMT"])
def test_a_signed_date_that_is_no_date(date: str) -> None:
    verifier = Verifier(FixedKeys(payeefsp=[rsa_key()]), date_skew_s=300)

    assert "the date is no date" == judged(verifier, by_hand({**PROTECTED, "Date": date}) | {"date": date})


def test_a_signature_that_says_when_it_ends() -> None:
    assert "exp is over" == judged(VERIFIER, by_hand({**PROTECTED, "exp": 1_495_573_951}))
    assert "good" == judged(VERIFIER, by_hand({**PROTECTED, "exp": time.time() + 60}))


def test_protected_names_are_case_sensitive() -> None:
    protected = {name.lower() if name == "FSPIOP-URI" else name: value for name, value in PROTECTED.items()}

    assert "protected FSPIOP-URI is not the header's" == judged(VERIFIER, by_hand(protected))


def test_a_protected_destination_that_no_header_has() -> None:
    headers = by_hand({**PROTECTED, "FSPIOP-Destination": None})
    del headers["fspiop-destination"]

    assert "protected FSPIOP-Destination is not the header's" == judged(VERIFIER, headers)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "", "HS256", "HS512", "PS256", "ES384", "EdDSA", "rs256", None, 1, []]
)
def test_an_algorithm_that_is_not_on_the_list(algorithm: Any) -> None:
    assert "alg is not allowed" == judged(VERIFIER, by_hand({**PROTECTED, "alg": algorithm}))


def test_the_public_key_is_no_shared_secret() -> None:
    """The classical forgery: an HMAC with the public key's file as its key."""
    text = encoded(json.dumps({**PROTECTED, "alg": "HS256"}).encode())
    digest = hmac.new(pem_of(rsa_key()), f"{text}.{encoded(BODY)}".encode(), hashlib.sha256).digest()
    headers = HEADERS | {HEADER: json.dumps({"signature": encoded(digest), "protectedHeader": text})}

    assert "alg is not allowed" == judged(VERIFIER, headers)


def test_a_key_that_comes_with_the_message_is_not_looked_at() -> None:
    protected = {**PROTECTED, "jwk": {"kty": "RSA"}, "x5u": "http://127.0.0.1/key"}

    assert NOT_HIS == judged(VERIFIER, by_hand(protected, key=rsa_key(3)))
    assert "good" == judged(VERIFIER, by_hand(protected))


def test_what_must_be_understood_and_is_not() -> None:
    assert "crit is not supported" == judged(VERIFIER, by_hand({**PROTECTED, "crit": ["b64"], "b64": False}))


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, str]:
    parts = json.loads(signed(SIGNER)[HEADER])
    value = change(parts)
    return signed(SIGNER) | {HEADER: json.dumps(parts if value is None else value)}


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts.update(signature=parts["signature"] + "=="),
        lambda parts: parts.update(signature=" " + parts["signature"]),
        lambda parts: parts.update(signature=parts["signature"] + "\n"),
        lambda parts: parts.update(signature="+" + parts["signature"][1:]),
        lambda parts: parts.update(signature=parts["signature"] + "AAA"),
        lambda parts: parts.update(signature=""),
        lambda parts: parts.update(signature=None),
        lambda parts: parts.update(signature=[parts["signature"]]),
        lambda parts: parts.pop("signature") and None,
        lambda parts: parts.pop("protectedHeader") and None,
        lambda parts: parts.update(protectedHeader=parts["protectedHeader"] + "."),
    ],
)
def test_the_parts_are_strict_base64url(change: Callable[[dict[str, Any]], Any]) -> None:
    assert "signature and protectedHeader must be base64url" == judged(VERIFIER, changed(change))


def test_the_last_bits_of_the_text_count_too() -> None:
    """256 bytes leave four unused bits in the last of 342 characters; only one character says 0 there."""
    parts = json.loads(signed(SIGNER)[HEADER])
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(parts["signature"][-1]) | 1]
    headers = changed(lambda parts: parts.update(signature=parts["signature"][:-1] + last))

    assert "signature and protectedHeader must be base64url" == judged(VERIFIER, headers)


@pytest.mark.parametrize("value", ["[]", "x", '"text"', "{", "[" * 5_000, '{"signature":"\u00e9"}', "null"])
def test_the_header_is_no_object(value: str) -> None:
    assert "header fspiop-signature is no JSON object" == judged(VERIFIER, HEADERS | {HEADER: value})


@pytest.mark.parametrize("protected", [b"[]", b"\xff\xfe", b"{", b"[" * 3_000, b"5"])
def test_the_protected_header_is_no_object(protected: bytes) -> None:
    headers = changed(lambda parts: parts.update(protectedHeader=encoded(protected)))

    assert "the protected header is no JSON object" == judged(VERIFIER, headers)


def test_the_header_is_bounded() -> None:
    assert "header fspiop-signature is too long" == judged(
        VERIFIER, HEADERS | {HEADER: "x" * (HEADER_CHARACTERS_MAX + 1)}
    )
