"""What the sender of a message hears of the hub when the message could not be passed on (protocol 2.3, 5.4, 7.1)."""

from __future__ import annotations

from typing import Final

import orjson

from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.reason import Reason, ReasonCode
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection

NO_ENDPOINT: Final = frozenset({ReasonCode.UNKNOWN_RECEIVER, ReasonCode.NO_ENDPOINT, ReasonCode.BAD_ENDPOINT})

_REFUSED_STATUSES: Final = range(400, 500)
_EXTENSION_VALUE_LENGTH_MAX: Final = 128  # API Definition v1.1, ExtensionValue
_TRACING: Final = ("traceparent", "tracestate")


def failure_callback(notification: Notification, reason: Reason, hub_name: str) -> Notification | None:
    """The hub's own PUT .../error to whoever `notification.failure` names; None if nobody is to be told of this.

    Its id is derived, so that one that is written twice is known as one. It names nobody in turn: a failure of its own
    ends on the dead letter.
    """
    failure = notification.failure
    if failure is None or (failure.no_endpoint_only and reason.code not in NO_ENDPOINT):
        return None
    error = ErrorInformation.of(_rejection(notification, reason), _extensions(notification, reason))
    return Notification(
        notification_id=f"{notification.notification_id}-failure",
        transfer_id=notification.transfer_id,
        receiver=failure.receiver,
        source=hub_name,
        method="PUT",
        resource=notification.resource,
        endpoint=failure.endpoint,
        path=failure.path,
        variables=failure.variables,
        headers={name: notification.headers[name] for name in _TRACING if name in notification.headers},
        trace=notification.trace,
        body=orjson.dumps(error.as_json()),
    )


def for_dead_letter(notification: Notification) -> Notification | None:
    """What is kept of a callback that is given up, to be replayed on demand; None for what is worth nothing later.

    Nobody is told of its failure a second time.
    """
    return None if notification.deliver_by_ms is not None else notification._replace(failure=None)


def _rejection(notification: Notification, reason: Reason) -> Rejection:
    if reason.code in NO_ENDPOINT:
        detail = f"No {notification.endpoint} endpoint found for {notification.receiver}"
        return Rejection(ErrorCode.DESTINATION_COMMUNICATION_ERROR, detail)
    if reason.code is ReasonCode.REFUSED and reason.status in _REFUSED_STATUSES:
        return Rejection(ErrorCode.CLIENT_ERROR, f"{notification.receiver} refused the request")
    if reason.code is ReasonCode.UNSAFE_HEADER:
        return Rejection(ErrorCode.MALFORMED_SYNTAX, f"Invalid {reason.detail} header")
    if reason.code is ReasonCode.INTERNAL_ERROR:
        return Rejection(ErrorCode.INTERNAL_SERVER_ERROR)
    return Rejection(ErrorCode.DESTINATION_COMMUNICATION_ERROR, "Failed to send HTTP request to host")


def _extensions(notification: Notification, reason: Reason) -> dict[str, object]:
    """As protocol 2.3 lists them, without URL and answer: a DFSP's addresses are no other DFSP's affair."""
    values = {
        "sourceFsp": notification.source,
        "destinationFsp": notification.receiver,
        "method": notification.method,
        "status": "" if reason.status is None else str(reason.status),
    }
    pairs = [{"key": key, "value": value[:_EXTENSION_VALUE_LENGTH_MAX]} for key, value in values.items() if value]
    return {"extension": pairs}
