"""Arguments and options that several commands have, and how their values are read.

A reader takes the text of the command line and returns the value; it raises typer.BadParameter, whose sentence is shown
with the command's usage.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from clearinghub.domain.money import AMOUNT_LIMIT, parse_decimal
from clearinghub.tools.client.names import full_endpoint_type, is_participant_name

SECONDS_MAX: Final = 600
SETTLE_S: Final = 10

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_NUMBER_LIMIT: Final = 10**12


def base_url(text: str) -> str:
    """Read an http or https URL."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise typer.BadParameter(f"{text!r} is not an http URL such as http://127.0.0.1:4001")
    return text


def seconds(value: str | int) -> int:
    """Read whole seconds, at most ten minutes; Typer passes an option's default as the number that it is."""
    text = str(value)
    if not text.isdecimal() or not 1 <= int(text) <= SECONDS_MAX:
        raise typer.BadParameter(f"{text!r} is not 1 to {SECONDS_MAX} seconds")
    return int(text)


def participant_name(text: str) -> str:
    """Read a name that a participant may have."""
    if not is_participant_name(text):
        raise typer.BadParameter(f"{text!r} is no name: 2 to 30 letters, digits, dots, dashes, underscores")
    return text


def currency(text: str) -> str:
    """Read a currency code; whether the scheme has the currency is for the hub to say."""
    if _CURRENCY.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} is no currency code such as USD")
    return text


def amount_units(text: str) -> int:
    """Read a positive amount in currency units; returns it in 1/10,000."""
    return _units(text, at_least=1)


def cap_units(text: str) -> int:
    """Read a net debit cap in currency units; returns it in 1/10,000.

    A cap below zero stops even a DFSP that is owed money.
    """
    return _units(text, at_least=1 - AMOUNT_LIMIT)


def number(text: str) -> int:
    """Read the number of a window or a settlement."""
    if not text.isdecimal() or not 1 <= int(text) < _NUMBER_LIMIT:
        raise typer.BadParameter(f"{text!r} is no number such as 1")
    return int(text)


def percent(text: str) -> int:
    """Read whole per cent, 0 to 100."""
    if not text.isdecimal() or int(text) > 100:  # noqa: PLR2004 - per cent
        raise typer.BadParameter(f"{text!r} is not 0 to 100 per cent")
    return int(text)


def transfer_id(text: str) -> str:
    """Read a UUID or a ULID; returns a UUID in lower case."""
    if _UUID.fullmatch(text):
        return text.lower()
    if not _ULID.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is neither a UUID nor a ULID")
    return text


def endpoint_type(text: str) -> str:
    """Read an endpoint type (protocol 5.4), whose usual prefix may be left out; returns the whole type."""
    known = full_endpoint_type(text)
    if known is None:
        raise typer.BadParameter(f"{text!r} is no endpoint type such as TRANSFER_POST")
    return known


def moment(text: str) -> str:
    """Read a day, which begins at midnight, or a time; UTC unless it has an offset. Returns the API's form."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-10-01 or 2026-10-01T17:00:00Z") from None
    zoned = found.isoformat(timespec="milliseconds")
    return zoned if found.tzinfo is not None else f"{zoned}Z"


def whole(least: int, most: int | None = None) -> Callable[[str | int], int]:
    """Return a reader of whole numbers within bounds."""

    def read(value: str | int) -> int:
        text = str(value)
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            bounds = f"{least} or more" if most is None else f"from {least} to {most}"
            raise typer.BadParameter(f"{text!r} is not a number {bounds}")
        return int(text)

    return read


def one_of(*choices: str) -> dict[str, Any]:
    """Return the settings of an option that takes one of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise typer.BadParameter(f"{text!r} is none of {', '.join(choices)}")
        return text

    return {"parser": read, "metavar": "|".join(choices), "autocompletion": lambda: list(choices)}


def _units(text: str, *, at_least: int) -> int:
    units = parse_decimal(text, at_least=at_least)
    if units is None:
        raise typer.BadParameter(f"{text!r} is no amount: digits, a point, up to four decimals")
    return units


def negative_numbers() -> dict[str, Any]:
    """Return the settings of a command one of whose arguments may be a negative number, which looks like an option."""
    return {"ignore_unknown_options": True}


# Arguments and options that several commands have.
Name = Annotated[str, typer.Argument(metavar="NAME", parser=participant_name, help="The participant's name.")]
AnyName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", parser=participant_name, help="Only this participant's.", show_default=False),
]
Currency = Annotated[str, typer.Argument(metavar="CURRENCY", parser=currency, help="A code such as USD.")]
SettleS = Annotated[
    int,
    typer.Option(
        "--settle-s",
        metavar="SECONDS",
        parser=seconds,
        help="How long a record may be on its way between two partitions.",
    ),
]
Wait = Annotated[int, typer.Option("--wait", metavar="SECONDS", help="The longest wait for the hub to be up.")]
