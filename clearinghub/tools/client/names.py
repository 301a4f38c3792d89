"""Checks of names, so that a typing error is found before anything is sent."""

from __future__ import annotations

import re
from typing import Final

from clearinghub.domain.participants.endpoints import is_endpoint_type

ENDPOINT_PREFIX: Final = "FSPIOP_CALLBACK_URL_"

# Equal to the pattern in web/admin/schemas.py, which a test compares. `..` would be a step in a path.
_NAME: Final = re.compile(r"(?!limits$)(?=.*[A-Za-z0-9])[A-Za-z0-9._-]{2,30}")


def is_participant_name(text: str) -> bool:
    """Return whether a participant may have this name."""
    return _NAME.fullmatch(text) is not None


def full_endpoint_type(text: str) -> str | None:
    """Return the endpoint type (protocol 5.4) that a text means, or None; the usual prefix may be left out."""
    return next((known for known in (text, ENDPOINT_PREFIX + text) if is_endpoint_type(known)), None)


def short_endpoint_type(text: str) -> str:
    """Return an endpoint type without the usual prefix."""
    return text.removeprefix(ENDPOINT_PREFIX)
