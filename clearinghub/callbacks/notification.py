"""One callback to deliver, as it stands on topic `notification`: its line and its body's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from clearinghub.messages import VERSION, MalformedMessageError, decode_fields, encode

KIND: Final = "notification"
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
ALARM_RESOURCE: Final = "alarms"
"""What the hub tells a participant's operators: plain JSON, no resource of the API Definition."""


class Failure(NamedTuple):
    """Whom the hub tells when a callback cannot be delivered; the fields are those of `messages.FailureMessage`."""

    receiver: str
    endpoint: str
    path: str
    variables: Mapping[str, str]
    no_endpoint_only: bool = False


class Notification(NamedTuple):
    """A callback to one receiver; the fields are those of `messages.NotificationMessage`, `transfer_id` its `id`."""

    notification_id: str
    transfer_id: str
    receiver: str
    source: str
    method: str
    resource: str
    endpoint: str
    path: str
    variables: Mapping[str, str]
    headers: Mapping[str, str]
    trace: str | None
    body: bytes
    failure: Failure | None = None
    deliver_by_ms: int | None = None  # milliseconds since 1970

    @property
    def queue(self) -> str:
        """Whose queue and breaker it goes through: those of payments must not suffer from an alarm's dead endpoint."""
        return f"{self.receiver} {ALARM_RESOURCE}" if self.resource == ALARM_RESOURCE else self.receiver

    @classmethod
    def parse(cls, value: bytes) -> Notification:
        """The notification in a record's value.

        Raises:
            MalformedMessageError: the value is no notification of this version.
        """
        line, body = decode_fields(value)
        if line.get("kind") != KIND:
            raise MalformedMessageError(f"kind {line.get('kind')!r}")
        notification = cls(
            notification_id=_text(line, "notification_id"),
            transfer_id=_text(line, "id"),
            receiver=_text(line, "receiver"),
            source=_text(line, "source"),
            method=_text(line, "method"),
            resource=_text(line, "resource"),
            endpoint=_text(line, "endpoint"),
            path=_text(line, "path"),
            variables=_texts(line, "variables"),
            headers=_texts(line, "headers"),
            trace=None if line.get("trace") is None else _text(line, "trace"),
            body=body,
            failure=_failure(line),
            deliver_by_ms=_deliver_by_ms(line),
        )
        if notification.method not in METHODS:
            raise MalformedMessageError(f"method {notification.method!r}")
        return notification

    def as_value(self) -> bytes:
        """The record's value that `parse` reads back: what a dead letter keeps so that it can be replayed."""
        line: dict[str, object] = {
            "v": VERSION,
            "kind": KIND,
            "notification_id": self.notification_id,
            "id": self.transfer_id,
            "receiver": self.receiver,
            "source": self.source,
            "method": self.method,
            "resource": self.resource,
            "endpoint": self.endpoint,
            "path": self.path,
            "variables": self.variables,
            "headers": self.headers,
            "trace": self.trace,
        }
        if self.failure is not None:
            line["failure"] = self.failure._asdict()
        if self.deliver_by_ms is not None:
            line["deliver_by_ms"] = self.deliver_by_ms
        return encode(line, self.body)


def _failure(line: Mapping[str, Any]) -> Failure | None:
    told = line.get("failure")
    if told is None:
        return None
    if not isinstance(told, dict):
        raise MalformedMessageError("failure is no object")
    return Failure(
        receiver=_text(told, "receiver"),
        endpoint=_text(told, "endpoint"),
        path=_text(told, "path"),
        variables=_texts(told, "variables"),
        no_endpoint_only=told.get("no_endpoint_only") is True,
    )


def _deliver_by_ms(line: Mapping[str, Any]) -> int | None:
    at_ms = line.get("deliver_by_ms")
    if at_ms is not None and type(at_ms) is not int:
        raise MalformedMessageError("deliver_by_ms is no integer")
    return at_ms


def _text(line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    if not isinstance(value, str):
        raise MalformedMessageError(f"{name} is no text")
    return value


def _texts(line: Mapping[str, Any], name: str) -> dict[str, str]:
    value = line.get(name)
    if not isinstance(value, dict):
        raise MalformedMessageError(f"{name} is no object")
    for text in value.values():
        if not isinstance(text, str):
            raise MalformedMessageError(f"{name} holds what is no text")
    return value
