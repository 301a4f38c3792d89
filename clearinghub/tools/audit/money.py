"""Amounts for people: from integers of 1/10,000 of the currency unit."""

from __future__ import annotations

from typing import Final

_UNITS: Final = 10_000


def shown(amount: int, *, signed: bool = False) -> str:
    """`-1,234.5`; with `signed` a plus sign where there is no minus."""
    whole, fraction = divmod(abs(amount), _UNITS)
    sign = "-" if amount < 0 else "+" if signed else ""
    return f"{sign}{whole:,}" + (f".{fraction:04}".rstrip("0") if fraction else "")
