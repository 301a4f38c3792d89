"""Amounts as text and as integers of 1/10,000."""

from __future__ import annotations

from decimal import Decimal

import pytest

from clearinghub.domain.money import (
    AMOUNT_LIMIT,
    amount_fault,
    format_amount,
    parse_amount,
    parse_decimal,
    to_decimal,
)

AMOUNTS = """
0                       0
1                       10000
0.5                     5000
0.0001                  1
100.02                  1000200
1.2345                  12345
99999999999999.9999     999999999999999999
999999999999999999      9999999999999999990000
"""


@pytest.mark.parametrize("line", AMOUNTS.strip().splitlines())
def test_amount_is_read_and_written_back(line: str) -> None:
    text, units = line.split()

    assert int(units) == parse_amount(text)
    assert text == format_amount(int(units))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "00",
            "01",
            "1.",
            ".5",
            "1.50",
            "1.0",
            "0.0",
            "1.23456",
            "-1",
            "+1",
            "1e3",
            " 1",
            "1\n",
            "1,5",
            "1_0",
            "٣",
        ),
        *("NaN", "1" * 19),
    ],
)
def test_other_text_is_no_amount(text: str) -> None:
    assert parse_amount(text) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("99999999999999.9999", None),
        ("0.0001", None),
        ("1.00001", "Amount 1.00001 exceeds allowed scale of 4"),
        ("100000000000000", "Amount 100000000000000 exceeds allowed precision of 18"),
        ("123456789012345.1234", "Amount 123456789012345.1234 exceeds allowed precision of 18"),
    ],
)
def test_amount_beyond_the_ledger_has_a_fault(text: str, fault: str | None) -> None:
    assert fault == amount_fault(text)


def test_every_faultless_amount_fits_64_bits() -> None:
    assert AMOUNT_LIMIT - 1 == parse_amount("99999999999999.9999")
    assert 2**63 > AMOUNT_LIMIT


@pytest.mark.parametrize(
    ("value", "units"),
    [
        (0, 0),
        (1000, 10_000_000),
        ("1.50", 15_000),
        ("1.50000", 15_000),
        ("0.0001", 1),
        ("1e3", 10_000_000),
        ("15E-1", 15_000),
        (Decimal("1E+3"), 10_000_000),
        (Decimal("12.3400"), 123_400),
        ("0e999999999", 0),
        ("-0", 0),
        ("99999999999999.9999", AMOUNT_LIMIT - 1),
    ],
)
def test_admin_number_is_read(value: Decimal | int | str, units: int) -> None:
    assert units == parse_decimal(value)


@pytest.mark.parametrize(
    "value",
    [
        "0.00001",
        "1.00001",
        "1e-5",
        "1e999999999",
        "1e-999999999",
        "100000000000000",
        10**14,
        pytest.param(10**5000, id="5001 digits"),
        pytest.param(-(10**5000), id="minus 5001 digits"),
        Decimal("NaN"),
        Decimal("Infinity"),
        "",
        "1.",
        "01",
        " 1",
        "1\n",
        "1_0",
        "٣",
        "0." + "0" * 70,
        True,
        -1,
        "-0.0001",
    ],
)
def test_other_admin_number_is_refused(value: Decimal | int | str) -> None:
    assert parse_decimal(value) is None


def test_admin_number_may_have_to_be_positive() -> None:
    assert parse_decimal("0", at_least=1) is None
    assert parse_decimal("0.0001", at_least=1) == 1


def test_admin_number_may_be_negative() -> None:
    assert parse_decimal("-1.5", at_least=-AMOUNT_LIMIT) == -15_000
    assert parse_decimal("-0.5", at_least=-AMOUNT_LIMIT) == -5_000


@pytest.mark.parametrize(("units", "text"), [(-15_000, "-1.5"), (-1, "-0.0001"), (100_000, "10"), (-10_000, "-1")])
def test_sums_of_the_ledger_are_written(units: int, text: str) -> None:
    assert text == format_amount(units)
    assert Decimal(text) == to_decimal(units)


def test_decimal_is_exact_beyond_the_precision_of_the_context() -> None:
    assert Decimal("1234567890123456789012345678901234.5678") == to_decimal(12345678901234567890123456789012345678)
