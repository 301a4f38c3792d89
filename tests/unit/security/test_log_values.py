"""Paths as logs show them: who is meant cannot be read, and not be guessed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from clearinghub.security.log_values import without_persons

PHONE = "27710101999"
UUID = "b51ec534-ee48-4575-b6a9-ead2955b8069"
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/parties/MSISDN/{PHONE}", "/parties/MSISDN/#"),
        (f"/parties/MSISDN/{PHONE}/error", "/parties/MSISDN/#/error"),
        (f"/participants/MSISDN/{PHONE}/sub", "/participants/MSISDN/#"),
        ("/parties/ALIAS/BOB", "/parties/ALIAS/#"),
        ("/parties/EMAIL/a@b.example", "/parties/EMAIL/#"),
        (f"/parties/{PHONE}/MSISDN", "/parties/#"),
        (f"/Parties/MSISDN/{PHONE}", "/Parties/MSISDN/#"),
        (f"/participants/{PHONE}", "/participants/#"),
        (f"/participants/{UUID}/error", f"/participants/{UUID}/error"),
        (f"/transfers/{UUID}", f"/transfers/{UUID}"),
        (f"/transfers/{ULID}/error", f"/transfers/{ULID}/error"),
        (f"/transfers/{PHONE}", "/transfers/#"),
        (f"/x/parties/MSISDN/{PHONE}", "/x/#"),
        ("/transfers", "/transfers"),
        ("/parties/MSISDN/", "/parties/MSISDN"),
        ("/", "/"),
        ("", "/"),
    ],
)
def test_what_names_nobody_is_shown(path: str, shown: str) -> None:
    assert shown == re.sub("#[0-9a-f]{16}", "#", without_persons(path))


def test_the_same_party_has_the_same_hash_and_another_one_another() -> None:
    assert without_persons(f"/parties/MSISDN/{PHONE}") == without_persons(f"/parties/MSISDN/{PHONE}")
    assert without_persons(f"/parties/MSISDN/{PHONE}") != without_persons(f"/parties/MSISDN/{PHONE}0")
    assert without_persons(f"/parties/MSISDN/{PHONE}") in without_persons(f"/parties/MSISDN/{PHONE}/error")


def test_nobody_can_compute_the_hashes_of_all_numbers() -> None:
    """They are others in every process."""
    program = f"from clearinghub.security.log_values import without_persons as w; print(w('/parties/MSISDN/{PHONE}'))"
    elsewhere = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert elsewhere.startswith("/parties/MSISDN/#")
    assert elsewhere.strip() != without_persons(f"/parties/MSISDN/{PHONE}")


def test_what_is_no_unicode_has_a_hash_too() -> None:
    assert without_persons("/parties/ALIAS/\udcff").startswith("/parties/ALIAS/#")
