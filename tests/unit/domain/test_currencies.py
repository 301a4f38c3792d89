"""The currencies that the hub knows."""

from __future__ import annotations

from clearinghub.domain.currencies import CURRENCIES, currencies_with


def test_codes_are_three_capitals() -> None:
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in CURRENCIES)


def test_the_currencies_of_tests_are_among_them() -> None:
    assert {"USD", "EUR", "XXX", "XTS", "XDR", "INR"} <= CURRENCIES


def test_a_scheme_may_add_its_own() -> None:
    assert CURRENCIES | {"ZZZ"} == currencies_with(["ZZZ"])
