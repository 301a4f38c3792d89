"""Which headers of a DFSP's request travel with its message: to the ledger, to the other DFSP, to an oracle."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

FORWARDED: Final = frozenset({"accept", "content-type", "date", "traceparent", "tracestate"})
FORWARDED_PREFIX: Final = "fspiop-"

TRACESTATE_LENGTH_MAX: Final = 512  # what W3C asks everybody to pass on

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE: Final = re.compile(r"[\t -~]+")
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


def trace_of(headers: Mapping[str, str]) -> str | None:
    """Return the W3C trace context of a request: its traceparent and, after a blank, its tracestate if it has one.

    It is None without a valid traceparent. Of a long tracestate the last members are left out, as W3C says.
    """
    traceparent = headers.get("traceparent")
    if traceparent is None or _TRACEPARENT.fullmatch(traceparent) is None:
        return None
    tracestate = headers.get("tracestate")
    if not tracestate or _TRACESTATE.fullmatch(tracestate) is None:
        return traceparent
    if len(tracestate) > TRACESTATE_LENGTH_MAX:
        # Cut after the last member that ends in time; a single member that is longer is dropped.
        tracestate = tracestate[: TRACESTATE_LENGTH_MAX + 1].rpartition(",")[0]
    tracestate = tracestate.strip()
    return f"{traceparent} {tracestate}" if tracestate else traceparent


def trace_headers(trace: str | None) -> dict[str, str]:
    """Return the headers of a trace context, as `trace_of` has made it from a request's."""
    if trace is None:
        return {}
    traceparent, _, tracestate = trace.partition(" ")
    return {"traceparent": traceparent, "tracestate": tracestate} if tracestate else {"traceparent": traceparent}


def first_unsafe(headers: Mapping[str, str]) -> str | None:
    """Return the name of the first header that could break a request apart, e.g. by a newline, or None."""
    if not _UNSAFE_VALUE.search("".join(headers.values())) and all(map(_NAME.match, headers)):
        return None
    return next(name for name, value in headers.items() if not is_safe(name, value))


def is_safe(name: str, value: str) -> bool:
    """Return whether a header can be a part of a request: a token in lower case, and a value without control codes."""
    return _NAME.match(name) is not None and _UNSAFE_VALUE.search(value) is None
