"""Dead letters: what is known of a record that could not be processed, and the record's own value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog

from clearinghub.engine.config import EngineConfig
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.pending_changes import PendingChanges
from clearinghub.engine.record import VALUE_BYTES_MAX, Record

log = structlog.get_logger(__name__)

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


def poison_record_letter(record: Record, error: BaseException, decision: PartitionStoppedError | None = None) -> bytes:
    """Return the dead letter of a poison record: a record whose handler raised `error`.

    `decision` is the stop past which an operator has decided to go on.
    """
    header: dict[str, str | int] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestampMs": record.timestamp_ms,
        "error": error_text(error),
    }
    if decision is not None:
        header["decision"] = decision.stop_id
    return encode_dead_letter(header, record.value)


def error_text(error: BaseException) -> str:
    """Return the error as text that every encoder accepts: it may quote invalid Unicode from outside."""
    return repr(error)[:1000].encode(errors="replace").decode()


def dead_letter_record(
    config: EngineConfig,
    record: Record,
    error: Exception,
    pending: PendingChanges,
    decision: PartitionStoppedError | None = None,
) -> None:
    """Send a poison record to the dead-letter topic, and answer its sender.

    With a `decision` the ledger wrote the record itself, and nobody waits for an answer.
    """
    key = (record.key or b"").decode(errors="replace")
    letter = poison_record_letter(record, error, decision)
    pending.emit_to_partition(config.dead_letter_topic, record.partition, key, letter)
    pending.release()
    config.on_dead_letter(record.topic)
    if config.on_poison_record is None or decision is not None:
        return
    try:
        config.on_poison_record(record, pending)
        pending.release()
    except Exception:  # the record may be too broken to say who sent it
        pending.roll_back()
        log.exception(
            "poison-record-sender-not-notified", topic=record.topic, partition=record.partition, offset=record.offset
        )
