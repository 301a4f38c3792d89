"""`Notification`: one callback to deliver, with the bytes of its body."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from clearinghub.messages import NotificationMessage, decode_as, encode, encode_changed
from clearinghub.security.log_values import without_persons


class Notification(NamedTuple):
    """A record of topic `notification`: its message, and the body that is sent as it is.

    `header` is the message as it came, if a later release has added fields to it; they are kept (ADR 26).
    """

    message: NotificationMessage
    body: bytes
    header: bytes | None = None

    @classmethod
    def parse(cls, value: bytes) -> Notification:
        """Return the notification in a record's value.

        Raises:
            MalformedMessageError: the value is no notification of this version.
        """
        message, body = decode_as(NotificationMessage, value)
        header_length = len(value) - len(body) - 1
        if header_length > len(encode(message)) - 1:
            return cls(message, body, value[:header_length])
        return cls(message, body)

    def as_value(self) -> bytes:
        """Return the record's value, from which `parse` reads the notification back."""
        if self.header is not None:
            return self.header + b"\n" + self.body
        return encode(self.message, self.body)

    @property
    def shown_subject(self) -> str:
        """What the callback is about, as logs show it: an id, or a party's path without the party."""
        subject = self.message.id
        return without_persons(subject) if subject.startswith("/") else subject

    def changed(self, **fields: Any) -> Notification:
        """Return a copy with other values for some fields of its message."""
        if self.header is not None:
            return Notification.parse(encode_changed(self.as_value(), **fields))
        return Notification(replace(self.message, **fields), self.body)
