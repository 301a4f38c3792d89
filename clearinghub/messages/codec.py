r"""The form of a record's value on Kafka: a header that the hub reads, a newline, and a body that it only passes on.

A value is `<JSON object>\n<body>`. The header is small and decoded by every reader. The body is what the sender wrote,
byte for byte, so that its signature stays valid (protocol 1.7). The JSON encoder never writes a raw newline, so the
first newline ends the header.
"""

from __future__ import annotations

from typing import Final

import msgspec

VERSION: Final = 1

_ENCODER: Final = msgspec.json.Encoder()
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class MalformedMessageError(Exception):
    """A record of our own topics that cannot be read: a bug, or a foreign writer."""


class UnknownMessageError(MalformedMessageError):
    """A message of a kind or version that only a later release knows."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every header carries; `kind`, written first, says which message it is.

    `v` is the version of the header's form. `trace` is the W3C trace context of the request that led to this
    record (`trace_of`). Subclasses repeat `frozen` and `kw_only`.
    """

    v: int = VERSION
    trace: str | None = None


def encode(header: object, body: bytes = b"") -> bytes:
    """Return the record's value: the header as JSON, a newline, the body."""
    return _ENCODER.encode(header) + b"\n" + body


def split(value: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of a value's header and of its body.

    Raises:
        MalformedMessageError: the value has no newline, so no header.
    """
    header, newline, body = value.partition(b"\n")
    if not newline:
        raise MalformedMessageError("the record has no header")
    return header, body


def encode_changed(value: bytes, **changes: object) -> bytes:
    """Return a record's value with other values for some fields of its header.

    For a message that is passed on: what a later release has added to it stays, although this release cannot read it.
    """
    header, body = split(value)
    fields = _FIELDS.decode(header)
    fields.update({name: msgspec.Raw(_ENCODER.encode(one)) for name, one in changes.items()})
    return encode(fields, body)


def field_of(value: bytes, name: str) -> msgspec.Raw:
    """Return one field of a record's header, as it is encoded there."""
    return _FIELDS.decode(split(value)[0])[name]
