"""`Notification`: one callback to deliver, with the bytes of its body."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from clearinghub.messages import NotificationMessage, decode_as, encode


class Notification(NamedTuple):
    """A record of topic `notification`: its message, and the body that is sent as it is."""

    message: NotificationMessage
    body: bytes

    @classmethod
    def parse(cls, value: bytes) -> Notification:
        """Return the notification in a record's value.

        Raises:
            MalformedMessageError: the value is no notification of this version.
        """
        return cls(*decode_as(NotificationMessage, value))

    def as_value(self) -> bytes:
        """Return the record's value, from which `parse` reads the notification back."""
        return encode(self.message, self.body)

    def changed(self, **fields: Any) -> Notification:
        """Return a copy with other values for some fields of its message."""
        return Notification(replace(self.message, **fields), self.body)
