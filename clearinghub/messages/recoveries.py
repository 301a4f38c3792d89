"""Stopped partitions and the decisions about them: on topics `workers` and `recoveries`, both compacted."""

from __future__ import annotations

from typing import Final

import msgspec

from clearinghub.messages.codec import VERSION


class Stopped(msgspec.Struct, frozen=True):
    """Why a partition is stopped, and since when, in milliseconds since 1970; `stop_id` names this very stop."""

    code: str
    sentence: str
    remedy: str
    since_ms: int
    stop_id: str


class WorkerAnnouncement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which ledger worker has a partition, and whether the partition is stopped: the record of topic `workers`."""

    url: str
    v: int
    stopped: Stopped | None = None


class Recovery(msgspec.Struct, frozen=True):
    """An operator's decision that a partition goes on past one stop, and never past another."""

    partition: int
    stop_id: str
    code: str
    sentence: str
    reason: str
    by: str
    at_ms: int
    v: int = VERSION

    @property
    def key(self) -> str:
        """The key of the record."""
        return recovery_key(self.partition, self.stop_id)


_RECOVERY: Final = msgspec.json.Decoder(Recovery)
_WORKER: Final = msgspec.json.Decoder(WorkerAnnouncement)


def recovery_key(partition: int, stop_id: str) -> str:
    """Return the key of the decision about a stop."""
    return f"{partition}/{stop_id}"


def encode_recovery(recovery: Recovery) -> bytes:
    return msgspec.json.encode(recovery)


def decode_recovery(value: bytes) -> Recovery:
    """Read a record of topic `recoveries`; raises msgspec.MsgspecError if it is none."""
    return _RECOVERY.decode(value)


def encode_worker(announcement: WorkerAnnouncement) -> bytes:
    return msgspec.json.encode(announcement)


def decode_worker(value: bytes) -> WorkerAnnouncement:
    """Read a record of topic `workers`; raises msgspec.MsgspecError if it is none."""
    return _WORKER.decode(value)
