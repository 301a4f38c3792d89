"""The headers of an outgoing callback (protocol 1.7): built for the hub's own callbacks, forwarded for a DFSP's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from clearinghub.messages import NotificationMessage
from clearinghub.messages.callbacks import ALARM_RESOURCE
from clearinghub.messages.headers import first_unsafe, trace_headers

_IMF_DATE: Final = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d( GMT)?\Z"
)


@dataclass(frozen=True, slots=True)
class UnsafeHeader:
    """A header whose name or value would break the request apart."""

    name: str


def outbound_headers(
    message: NotificationMessage, *, hub_name: str, content_version: str, now_ms: int
) -> dict[str, str] | UnsafeHeader:
    """Return all headers of a callback but Host and Content-Length; names are in lower case.

    Args:
        message: the callback; its `source` decides whether headers are built or forwarded.
        hub_name: the source of the hub's own callbacks.
        content_version: `major.minor` of the hub's own messages.
        now_ms: the time of this attempt, in milliseconds since 1970.
    """
    is_own = message.source == hub_name
    headers = _built(message, content_version, now_ms) if is_own else _forwarded(message, now_ms)
    headers["fspiop-http-method"] = message.method
    headers["fspiop-uri"] = message.path
    if "traceparent" not in headers:
        headers |= trace_headers(message.trace)
    unsafe = first_unsafe(headers)
    return headers if unsafe is None else UnsafeHeader(unsafe)


def _built(message: NotificationMessage, content_version: str, now_ms: int) -> dict[str, str]:
    is_alarm = message.resource == ALARM_RESOURCE
    fspiop_type = f"application/vnd.interoperability.{message.resource}+json;version={content_version}"
    headers = {
        "content-type": "application/json" if is_alarm else fspiop_type,
        "date": _http_date(now_ms // 1000),
        "fspiop-source": message.source,
        "fspiop-destination": message.receiver,
    }
    if message.method not in ("PUT", "PATCH") and not is_alarm:
        # A request says which major version its answer shall have (protocol 1.1, 1.2).
        major = content_version.partition(".")[0]
        headers["accept"] = f"application/vnd.interoperability.{message.resource}+json;version={major}"
    for name in ("traceparent", "tracestate"):
        if name in message.headers:
            headers[name] = message.headers[name]
    return headers


def _forwarded(message: NotificationMessage, now_ms: int) -> dict[str, str]:
    headers = {name.lower(): value for name, value in message.headers.items()}
    if message.method in ("PUT", "PATCH"):
        headers.pop("accept", None)  # must not be sent on callbacks (protocol 1.1)
    headers["date"] = _date(headers.get("date"), now_ms)
    _set_participant(headers, "fspiop-source", message.source)
    if "fspiop-destination" in headers or "fspiop-signature" not in headers:
        _set_participant(headers, "fspiop-destination", message.receiver)
    # else: the signature covers no destination, and adding one would break it (protocol 10.1).
    return headers


def _set_participant(headers: dict[str, str], header: str, participant: str) -> None:
    """Set a participant's name, but keep the sender's spelling of the same name, which its signature covers."""
    if headers.get(header, "").lower() != participant.lower():
        headers[header] = participant


def _date(sent: str | None, now_ms: int) -> str:
    """Return the sender's date as an HTTP date: unchanged, converted from ISO 8601, or now if it is neither."""
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
