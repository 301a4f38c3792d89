"""Money as text and as an integer: read, check and format an amount.

Inside the hub an amount is an integer of 1/10,000 of the currency unit. The ledger holds 18 digits, four of them after
the point (protocol 4.1, DECIMAL(18,4)). As an integer that is less than 10**18, so every amount fits the 64 bits that
the encoders of records and rows allow.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

SCALE: Final = 4
PRECISION: Final = 18
UNITS_PER_CURRENCY_UNIT: Final = 10**SCALE
AMOUNT_LIMIT: Final = 10**PRECISION  # the first integer that the ledger cannot hold

_WHOLE_DIGITS_MAX: Final = PRECISION - SCALE
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{0,3}[1-9]))?")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_LENGTH_MAX: Final = 64  # far more than any number of 18 digits needs, and quick to check


def parse_amount(text: str) -> int | None:
    """Return an FSPIOP Amount as an integer of 1/10,000, or None if the text is no Amount (protocol 1.4).

    The API Definition's pattern allows 18 digits before the point; `amount_fault` says what the ledger can hold.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups(default="")
    return int(whole + fraction.ljust(SCALE, "0"))


def amount_fault(text: str) -> str | None:
    """Return why the ledger cannot hold an amount, in the reference's words, or None (protocol 3.2, step 4).

    `text` is a plain decimal number without sign, exponent or leading zeros. The reference lets an amount of 15 to 18
    digits before the point pass and fails in its database; here it is refused, with the text about precision.
    """
    whole, _, fraction = text.partition(".")
    if len(fraction) > SCALE:
        return f"Amount {text} exceeds allowed scale of {SCALE}"
    if len(whole) > _WHOLE_DIGITS_MAX:
        return f"Amount {text} exceeds allowed precision of {PRECISION}"
    return None


def parse_decimal(value: Decimal | int | str, *, at_least: int = 0) -> int | None:
    """Return an amount or limit of the admin API as an integer of 1/10,000; None if it is too large or too small.

    Args:
        value: a JSON number, as a Decimal, an int or a text; trailing zeros and an exponent are allowed.
        at_least: the smallest integer that is accepted: 0 for limits, 1 for amounts that must be positive.
    """
    if isinstance(value, int) and abs(value) >= AMOUNT_LIMIT:
        return None  # before str(), which refuses very long integers
    text = str(value)
    if len(text) > _NUMBER_LENGTH_MAX or _JSON_NUMBER.fullmatch(text) is None:
        return None
    units = _scaled(Decimal(text))
    return units if units is not None and units >= at_least else None


def format_amount(amount: int) -> str:
    """Return the amount as FSPIOP text, without trailing zeros; the text is a valid JSON number too."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), UNITS_PER_CURRENCY_UNIT)
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:0{SCALE}d}".rstrip("0")


def to_decimal(amount: int) -> Decimal:
    """Return the amount in currency units, exactly."""
    return Decimal(format_amount(amount))


def _scaled(number: Decimal) -> int | None:
    """Return the number times 10,000, or None if it has too many digits before or after the point."""
    if number.is_zero():
        return 0
    # The exponent comes from outside: check the size before a text of that length is made.
    if not -SCALE <= number.adjusted() < _WHOLE_DIGITS_MAX:
        return None
    whole, _, fraction = format(number, "f").partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > SCALE:
        return None
    return int(whole + fraction.ljust(SCALE, "0"))
