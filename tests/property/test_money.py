"""Amounts between text and integer, for all of them. Each property is named in tests/PROPERTIES.md."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from clearinghub.domain.money import (
    AMOUNT_LIMIT,
    amount_fault,
    format_amount,
    parse_amount,
    parse_decimal,
    to_decimal,
)

units = st.integers(0, AMOUNT_LIMIT - 1)
signed_units = st.integers(1 - AMOUNT_LIMIT, AMOUNT_LIMIT - 1)


@given(units)
def test_amount_survives_being_written_and_read(amount: int) -> None:
    text = format_amount(amount)

    assert amount == parse_amount(text)
    assert amount_fault(text) is None


@given(signed_units)
def test_admin_number_survives_being_written_and_read(amount: int) -> None:
    assert amount == parse_decimal(to_decimal(amount), at_least=-AMOUNT_LIMIT)
    assert amount == parse_decimal(format_amount(amount), at_least=-AMOUNT_LIMIT)


@given(st.from_regex(r"([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?", fullmatch=True))
def test_every_amount_of_the_specification_is_read_exactly(text: str) -> None:
    amount = parse_amount(text)

    assert amount is not None
    assert Fraction(text) == Fraction(amount, 10_000)
    assert text == format_amount(amount)
    assert (amount_fault(text) is None) is (amount < AMOUNT_LIMIT)


@given(st.decimals())
def test_any_decimal_is_read_exactly_or_refused(number: Decimal) -> None:
    amount = parse_decimal(number, at_least=-AMOUNT_LIMIT)

    if amount is not None:
        assert number == to_decimal(amount)


@given(st.text(alphabet="0123456789.-+eE_ \n٣NaIf", max_size=12))
def test_any_text_is_read_exactly_or_refused(text: str) -> None:
    amount = parse_amount(text)

    assert amount is None or text == format_amount(amount)
    number = parse_decimal(text, at_least=-AMOUNT_LIMIT)
    assert number is None or Decimal(text) == to_decimal(number)
