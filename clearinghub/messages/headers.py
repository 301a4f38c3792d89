"""Which headers of a DFSP's request travel with its message: to the ledger, to the other DFSP, to an oracle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# Headers of the sender's connection to the hub, not of its message (RFC 9110, 7.6.1); those that the hub's own client
# writes anew; the encoding of a body that the hub has decoded; and credentials, which are for the hub alone.
NOT_FORWARDED: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_UNSAFE_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that travel with a message (protocol 1.7); names are in lower case.

    A header that `Connection` names belongs to the sender's connection too.
    """
    forwarded = {name: value for name, value in headers.items() if name not in NOT_FORWARDED}
    connection = headers.get("connection")
    if connection is not None:
        for name in connection.lower().split(","):
            forwarded.pop(name.strip(), None)
    return forwarded


def first_unsafe(headers: Mapping[str, str]) -> str | None:
    """Return the name of the first header that could break a request apart, e.g. by a newline, or None."""
    if not _UNSAFE_VALUE.search("".join(headers.values())) and all(map(_NAME.match, headers)):
        return None
    return next(name for name, value in headers.items() if not is_safe(name, value))


def is_safe(name: str, value: str) -> bool:
    """Return whether a header can be a part of a request: a token in lower case, and a value without control codes."""
    return _NAME.match(name) is not None and _UNSAFE_VALUE.search(value) is None
