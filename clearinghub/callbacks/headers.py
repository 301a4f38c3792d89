"""The headers of an outgoing callback (protocol 1.7): built anew for the hub's own, forwarded for everybody else's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from clearinghub.messages import NotificationMessage
from clearinghub.messages.callbacks import ALARM_RESOURCE

# Of this connection, not of the message (RFC 9110, 7.6.1), or set by the HTTP client itself. `content-encoding`: the
# ingress has decoded the body. Credentials are meant for the hub and must not reach another DFSP.
NOT_FORWARDED: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "host",
        "content-length",
        "content-encoding",
        "authorization",
        "proxy-authorization",
        "proxy-authenticate",
        "cookie",
    }
)

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IMF_DATE: Final = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d( GMT)?\Z"
)


@dataclass(frozen=True, slots=True)
class UnsafeHeader:
    """A header whose name or value cannot go into a request, e.g. with a line break."""

    name: str


def outbound_headers(
    message: NotificationMessage, *, hub_name: str, content_version: str, now_ms: int
) -> dict[str, str] | UnsafeHeader:
    """All headers of the callback but Host and Content-Length; names in lower case.

    Args:
        message: the callback; `source` decides whether its headers are built or forwarded.
        hub_name: the source of the hub's own callbacks.
        content_version: `major.minor` of the hub's own messages.
        now_ms: time of this attempt, milliseconds since the epoch.
    """
    is_own = message.source == hub_name
    headers = _built(message, content_version, now_ms) if is_own else _forwarded(message, now_ms)
    headers["fspiop-http-method"] = message.method
    headers["fspiop-uri"] = message.path
    if message.trace is not None:
        headers.setdefault("traceparent", message.trace)
    return _first_unsafe(headers) or headers


def _built(message: NotificationMessage, content_version: str, now_ms: int) -> dict[str, str]:
    is_alarm = message.resource == ALARM_RESOURCE
    fspiop_type = f"application/vnd.interoperability.{message.resource}+json;version={content_version}"
    headers = {
        "content-type": "application/json" if is_alarm else fspiop_type,
        "date": _http_date(now_ms // 1000),
        "fspiop-source": message.source,
        "fspiop-destination": message.receiver,
    }
    if message.method not in ("PUT", "PATCH") and not is_alarm:  # the answer's major version (protocol 1.1, 1.2)
        major = content_version.partition(".")[0]
        headers["accept"] = f"application/vnd.interoperability.{message.resource}+json;version={major}"
    for name in ("traceparent", "tracestate"):
        if name in message.headers:
            headers[name] = message.headers[name]
    return headers


def _forwarded(message: NotificationMessage, now_ms: int) -> dict[str, str]:
    headers = {name.lower(): value for name, value in message.headers.items()}
    for name in headers.get("connection", "").lower().split(","):
        headers.pop(name.strip(), None)
    for name in NOT_FORWARDED.intersection(headers):
        del headers[name]
    if message.method in ("PUT", "PATCH"):
        headers.pop("accept", None)  # must not be sent on callbacks (protocol 1.1)
    headers["date"] = _date(headers.get("date"), now_ms)
    _set_name(headers, "fspiop-source", message.source)
    if "fspiop-destination" in headers or "fspiop-signature" not in headers:
        _set_name(headers, "fspiop-destination", message.receiver)
    # else: a signature that does not cover the destination is broken by adding one (protocol 10.1).
    return headers


def _set_name(headers: dict[str, str], header: str, participant: str) -> None:
    """Set the participant, but leave the sender's own spelling of the same name: it is under the signature."""
    if headers.get(header, "").lower() != participant.lower():
        headers[header] = participant


def _first_unsafe(headers: dict[str, str]) -> UnsafeHeader | None:
    if not _UNSAFE.search("".join(headers.values())) and all(map(_NAME.match, headers)):
        return None
    return UnsafeHeader(next(name for name in headers if _UNSAFE.search(headers[name]) or not _NAME.match(name)))


def _date(sent: str | None, now_ms: int) -> str:
    """The sender's date as an HTTP date: untouched if it is one, from ISO 8601 if it is that, else now."""
    if sent is None:
        return _http_date(now_ms // 1000)
    if _IMF_DATE.match(sent):
        return sent
    try:
        parsed = datetime.fromisoformat(sent)
        utc = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
        return _http_date(int(utc.timestamp()))
    except (ValueError, OverflowError):
        return _http_date(now_ms // 1000)


@lru_cache(maxsize=16)
def _http_date(epoch_s: int) -> str:
    return formatdate(epoch_s, usegmt=True)
