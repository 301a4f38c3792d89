"""The hub's error callback to the sender of a message that could not be forwarded (protocol 2.3, 5.4, 7.1)."""

from __future__ import annotations

from typing import Final

import orjson

from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.sender import Reason, ReasonCode
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.messages import NotificationMessage

NO_ENDPOINT: Final = frozenset({ReasonCode.UNKNOWN_RECEIVER, ReasonCode.NO_ENDPOINT, ReasonCode.BAD_ENDPOINT})

_REFUSED_STATUSES: Final = range(400, 500)
_EXTENSION_VALUE_LENGTH_MAX: Final = 128  # API Definition v1.1, ExtensionValue
_TRACING: Final = ("traceparent", "tracestate")


def failure_callback(message: NotificationMessage, reason: Reason, hub_name: str) -> Notification | None:
    """Return the hub's PUT .../error that `message.failure` asks for, or None if nobody is to be notified.

    Its id is derived from the undelivered callback's, so a second copy of it is known as the same. It has no `failure`
    of its own: if it cannot be delivered either, it ends on the dead letter.
    """
    failure = message.failure
    if failure is None or (failure.no_endpoint_only and reason.code not in NO_ENDPOINT):
        return None
    error = ErrorInformation.of(_rejection(message, reason), _extensions(message, reason))
    callback = NotificationMessage(
        notification_id=f"{message.notification_id}-failure",
        id=message.id,
        receiver=failure.receiver,
        source=hub_name,
        method="PUT",
        resource=message.resource,
        endpoint=failure.endpoint,
        path=failure.path,
        variables=failure.variables,
        headers={name: message.headers[name] for name in _TRACING if name in message.headers},
        trace=message.trace,
    )
    return Notification(callback, orjson.dumps(error.as_json()))


def for_dead_letter(notification: Notification) -> Notification | None:
    """Return what the dead letter keeps of an undelivered callback, or None if a later replay would be worthless.

    It is kept without its `failure`, whose receiver must not be notified a second time after a replay.
    """
    return None if notification.message.deliver_by_ms is not None else notification.changed(failure=None)


def _rejection(message: NotificationMessage, reason: Reason) -> Rejection:
    if reason.code in NO_ENDPOINT:
        detail = f"No {message.endpoint} endpoint found for {message.receiver}"
        return Rejection(ErrorCode.DESTINATION_COMMUNICATION_ERROR, detail)
    if reason.code is ReasonCode.REFUSED and reason.status in _REFUSED_STATUSES:
        return Rejection(ErrorCode.CLIENT_ERROR, f"{message.receiver} refused the request")
    if reason.code is ReasonCode.UNSAFE_HEADER:
        return Rejection(ErrorCode.MALFORMED_SYNTAX, f"Invalid {reason.detail} header")
    if reason.code is ReasonCode.INTERNAL_ERROR:
        return Rejection(ErrorCode.INTERNAL_SERVER_ERROR)
    return Rejection(ErrorCode.DESTINATION_COMMUNICATION_ERROR, "Failed to send HTTP request to host")


def _extensions(message: NotificationMessage, reason: Reason) -> dict[str, object]:
    """Return the extensionList of protocol 2.3 without URL and answer: no DFSP may learn another's addresses."""
    values = {
        "sourceFsp": message.source,
        "destinationFsp": message.receiver,
        "method": message.method,
        "status": "" if reason.status is None else str(reason.status),
    }
    pairs = [{"key": key, "value": value[:_EXTENSION_VALUE_LENGTH_MAX]} for key, value in values.items() if value]
    return {"extension": pairs}
