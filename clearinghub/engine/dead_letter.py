"""The form of a dead letter: what is known of a record that could not be processed, and the record's own value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from clearinghub.engine.record import VALUE_BYTES_MAX, Record

VERSION: Final = 1
DEAD_VALUE_BYTES_MAX: Final = VALUE_BYTES_MAX - 16 * 1024  # the header needs room too


def encode_dead_letter(header: Mapping[str, Any], value: bytes) -> bytes:
    """Return the value of a dead letter: the header as JSON, a newline, the value.

    A value that would make the dead letter too large for the broker is left out. It can be read from its own topic;
    `bytesLeftOut` is its length.
    """
    fits = len(value) <= DEAD_VALUE_BYTES_MAX
    left_out = 0 if fits else len(value)
    encoded = orjson.dumps({"v": VERSION, "kind": "dead-letter", **header, "bytesLeftOut": left_out})
    return encoded + b"\n" + (value if fits else b"")


def poison_record_letter(record: Record, error: BaseException) -> bytes:
    """Return the dead letter of a poison record: a record whose handler raised `error`."""
    header = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestampMs": record.timestamp_ms,
        "error": error_text(error),
    }
    return encode_dead_letter(header, record.value)


def error_text(error: BaseException) -> str:
    """Return the error as text that every encoder accepts: it may quote invalid Unicode from outside."""
    return repr(error)[:1000].encode(errors="replace").decode()
