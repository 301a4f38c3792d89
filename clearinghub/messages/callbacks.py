"""The records of callbacks: `notification`, and the dead letters of callbacks that were given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from clearinghub.messages.codec import Message

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

ALARM_RESOURCE: Final = "alarms"
"""Messages to a participant's operators: plain JSON, and no resource of the API Definition."""


class FailureMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The hub's own PUT .../error that is sent when a callback cannot be delivered.

    `endpoint` is the receiver's endpoint type for errors, `path` the service path, e.g. `/quotes/{id}/error`. With
    `no_endpoint_only` the error is sent only if the callback had no endpoint: in all other cases it may have arrived.
    """

    receiver: str
    endpoint: str
    path: str
    variables: Mapping[str, str]
    no_endpoint_only: bool = False


class NotificationMessage(Message, frozen=True, kw_only=True, tag="notification"):
    """One callback to deliver, on topic `notification`, keyed by the receiver; its body follows the header.

    `id` names what the callback is about, e.g. a transfer: the callbacks of one id to one receiver stay in order.
    `source` is the callback's FSPIOP-Source. If that is the hub, the headers are built anew; otherwise the sender's
    `headers` are forwarded (protocol 1.7). `endpoint` is the receiver's endpoint type, whose URL template is rendered
    with `variables`. `path` is the service path (FSPIOP-URI). From `deliver_by_ms` on, in milliseconds since 1970, the
    callback is worthless: no attempt begins, and no dead letter keeps it (ADR 12).
    """

    notification_id: str
    id: str
    receiver: str
    source: str
    method: Method
    resource: str
    endpoint: str
    path: str
    variables: Mapping[str, str]
    headers: Mapping[str, str]
    failure: FailureMessage | None = None
    deliver_by_ms: int | None = None

    @property
    def queue(self) -> str:
        """The name of the queue and breaker: a receiver's alarms have their own, so that they delay no payment."""
        return f"{self.receiver} {ALARM_RESOURCE}" if self.resource == ALARM_RESOURCE else self.receiver


class ParkedMessage(Message, frozen=True, kw_only=True, tag="parked"):
    """A callback that waits on topic `parked` for its receiver; the record's value of its notification follows.

    It is on the partition of the same number as its notification, keyed by `queue`. `subject` is the notification's
    `id`, whose callbacks stay in order. `since_ms` says when the callback was parked, `not_before_ms` when its next
    attempt is due, both in milliseconds since 1970. `writer` and `number` identify one parking, so that a record that
    was written twice is known as one.
    """

    queue: str
    subject: str
    since_ms: int
    writer: str
    number: int
    attempts: int = 0
    not_before_ms: int = 0


class ParkedProgressMessage(Message, frozen=True, kw_only=True, tag="parked-progress"):
    """All callbacks of `queue` before the offset `before` of this partition of topic `parked` are settled.

    The group's committed offset cannot say so while an older callback of another receiver is still parked.
    """

    queue: str
    before: int


class DeadLetterMessage(Message, frozen=True, kw_only=True, tag="dead-letter"):
    """A record that the callbacks role has given up, on topic `dead-letter`; the record's value follows the header.

    An undelivered callback has `receiver`, `detail`, `status` (of the last HTTP answer) and `attempts`; a record that
    cannot be read has its `partition` and `offset`, and, if an operator has decided that, `decision`: the id of the
    stop. The value is left out if it is too large for the broker: `bytes_left_out` is its size then.
    """

    topic: str
    error: str
    timestamp_ms: int = msgspec.field(name="timestampMs")
    bytes_left_out: int = msgspec.field(default=0, name="bytesLeftOut")
    partition: int | msgspec.UnsetType = msgspec.UNSET
    offset: int | msgspec.UnsetType = msgspec.UNSET
    receiver: str | msgspec.UnsetType = msgspec.UNSET
    detail: str | msgspec.UnsetType = msgspec.UNSET
    status: int | msgspec.UnsetType | None = msgspec.UNSET
    attempts: int | msgspec.UnsetType = msgspec.UNSET
    decision: str | msgspec.UnsetType = msgspec.UNSET
