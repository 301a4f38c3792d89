"""ILP conditions, and the fulfilments that unlock them."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode

import pytest

from clearinghub.domain.transfers.ilp import fulfils, is_condition
from tests.unit.domain.samples import CONDITION, FULFILMENT, OTHER_FULFILMENT


def test_pair_of_the_api_definition_fits() -> None:
    # The SHA-256 of 32 zero bytes, worked out elsewhere.
    assert fulfils("Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU", "A" * 43)


@pytest.mark.parametrize("text", [CONDITION, "A" * 43, "_-" * 21 + "A", "+/" * 21 + "A", "A" * 43 + "="])
def test_condition_is_32_bytes(text: str) -> None:
    assert is_condition(text)


@pytest.mark.parametrize(
    "text", ["", "A" * 42, "A" * 44, "A" * 43 + "==", "A" * 42 + "=", "A" * 42 + "!", "A" * 43 + "\n"]
)
def test_other_text_is_no_condition(text: str) -> None:
    assert not is_condition(text)


def test_either_alphabet_is_the_same_bytes() -> None:
    secret = b"\xfb\xff" * 16
    condition = urlsafe_b64encode(hashlib.sha256(secret).digest()).decode().rstrip("=")

    assert fulfils(condition, urlsafe_b64encode(secret).decode().rstrip("="))
    assert fulfils(condition, b64encode(secret).decode())


def test_spare_bits_of_the_last_character_do_not_matter() -> None:
    assert fulfils("Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSV", "A" * 42 + "B")


@pytest.mark.parametrize("fulfilment", [None, "", "short", OTHER_FULFILMENT, CONDITION, FULFILMENT.swapcase()])
def test_wrong_fulfilment_does_not_fit(fulfilment: str | None) -> None:
    assert fulfils(CONDITION, FULFILMENT)
    assert not fulfils(CONDITION, fulfilment)


def test_nothing_fits_a_condition_that_is_none() -> None:
    assert not fulfils("not a condition", FULFILMENT)
