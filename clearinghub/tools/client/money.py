"""Amounts as people and the admin API write them; the tools keep them in 1/10,000 of the currency unit."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT, format_amount


def units(amount: Decimal | int | str) -> int:
    """Read an amount in currency units, of either sign; returns it in 1/10,000.

    Raises:
        ValueError: not a number, or finer than four decimals.
    """
    try:
        scaled = Decimal(amount) * UNITS_PER_CURRENCY_UNIT
        whole = int(scaled)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise ValueError(f"{amount!r} is no amount") from error
    if whole != scaled:
        raise ValueError(f"{amount} is finer than four decimals")
    return whole


def shown_amount(amount_units: int, *, signed: bool = False) -> str:
    """Return an amount for people, as `-1,234.5`; with `signed` a plus sign where there is no minus."""
    sign = "-" if amount_units < 0 else "+" if signed else ""
    whole, point, fraction = format_amount(abs(amount_units)).partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"
