"""Which headers of a DFSP's request travel with its message: to the ledger, to the other DFSP, to an oracle."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

FORWARDED: Final = frozenset({"accept", "content-type", "date", "traceparent", "tracestate"})
FORWARDED_PREFIX: Final = "fspiop-"

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_UNSAFE_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def forwarded_headers(headers: Mapping[str, str], extra: Collection[str] = ()) -> dict[str, str]:
    """Return the headers that travel with a message (protocol 1.7); all names are in lower case.

    Others belong to the sender's connection, to a gateway, or to the sender's login, and are for the hub alone.
    """
    return {
        name: value
        for name, value in headers.items()
        if name in FORWARDED or name.startswith(FORWARDED_PREFIX) or name in extra
    }


def first_unsafe(headers: Mapping[str, str]) -> str | None:
    """Return the name of the first header that could break a request apart, e.g. by a newline, or None."""
    if not _UNSAFE_VALUE.search("".join(headers.values())) and all(map(_NAME.match, headers)):
        return None
    return next(name for name, value in headers.items() if not is_safe(name, value))


def is_safe(name: str, value: str) -> bool:
    """Return whether a header can be a part of a request: a token in lower case, and a value without control codes."""
    return _NAME.match(name) is not None and _UNSAFE_VALUE.search(value) is None
