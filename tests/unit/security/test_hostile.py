"""Whatever is changed, the signature is refused; whatever is sent, the verifier returns a fault and raises nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghub.security.key_files import PrivateKey
from clearinghub.security.signature import HEADER, Fault, Signer, Verifier
from tests.unit.security.samples import BODY, HEADERS, PATH, FixedKeys, ec_key, encoded, rsa_key, signed

VERIFIER = Verifier(FixedKeys(payeefsp=[rsa_key(), ec_key()]))
BOUND = ("date", "fspiop-source", "fspiop-destination", "fspiop-uri", "fspiop-http-method", HEADER)
KEYS = pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=["rsa", "ec"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
ANY_TEXT = st.text(max_size=400) | st.text(st.characters(exclude_categories=()), max_size=60)  # surrogates, too


def flipped(data: bytes, bit: int) -> bytes:
    place, mask = bit // 8, 1 << bit % 8
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


@KEYS
@given(bit=st.integers(0, len(BODY) * 8 - 1))
def test_any_flipped_bit_of_the_body(key: PrivateKey, bit: int) -> None:
    assert isinstance(VERIFIER.fault("PUT", PATH, signed(Signer(key)), flipped(BODY, bit)), Fault)


@KEYS
@settings(max_examples=300)
@given(data=st.data())
def test_any_flipped_bit_of_a_header_that_is_signed(key: PrivateKey, data: st.DataObject) -> None:
    headers = signed(Signer(key))
    name = data.draw(st.sampled_from(BOUND))
    bit = data.draw(st.integers(0, len(headers[name]) * 8 - 1))
    headers[name] = flipped(headers[name].encode("latin-1"), bit).decode("latin-1")

    assert isinstance(VERIFIER.fault("PUT", PATH, headers, BODY), Fault)


@given(body=st.binary(max_size=300), cut=st.integers(0, 300))
def test_a_body_cut_short_or_made_longer(body: bytes, cut: int) -> None:
    headers = signed(Signer(ec_key()), body)
    other = body[:cut] if cut < len(body) else body + b"\n"

    assert VERIFIER.fault("PUT", PATH, headers, body) is None
    assert isinstance(VERIFIER.fault("PUT", PATH, headers, other), Fault)


@given(value=ANY_TEXT | JSON.map(json.dumps))
def test_any_signature_header(value: str) -> None:
    assert isinstance(VERIFIER.fault("PUT", PATH, HEADERS | {HEADER: value}, BODY), Fault)


@given(protected=ANY_TEXT | JSON, signature=ANY_TEXT | JSON)
def test_any_parts_of_it(protected: Any, signature: Any) -> None:
    value = json.dumps({"protectedHeader": protected, "signature": signature})

    assert isinstance(VERIFIER.fault("PUT", PATH, HEADERS | {HEADER: value}, BODY), Fault)


@KEYS
@given(signature=st.binary(max_size=300) | st.binary(min_size=64, max_size=64) | st.binary(min_size=256, max_size=256))
def test_any_bytes_as_the_signature(key: PrivateKey, signature: bytes) -> None:
    headers = signed(Signer(key))
    parts = json.loads(headers[HEADER]) | {"signature": encoded(signature)}

    assert isinstance(VERIFIER.fault("PUT", PATH, headers | {HEADER: json.dumps(parts)}, BODY), Fault)


@given(changes=st.dictionaries(st.sampled_from(BOUND), ANY_TEXT, min_size=1), method=ANY_TEXT, path=ANY_TEXT)
def test_any_headers(changes: dict[str, str], method: str, path: str) -> None:
    assert isinstance(VERIFIER.fault(method, path, signed(Signer(ec_key())) | changes, BODY), Fault)
