"""How partitions are, which are stopped, and the decisions about them.

Stops are announced on topic `workers`, decisions on topic `recoveries`, both compacted. Workers report over HTTP.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from clearinghub.messages.codec import VERSION


class Stopped(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a partition is stopped, and since when, in milliseconds since 1970; `stop_id` names this very stop.

    `topic` is the input that is stopped, if it is that alone.
    """

    code: str
    sentence: str
    remedy: str
    since_ms: int
    stop_id: str
    topic: str = ""


class WorkerAnnouncement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which ledger worker has a partition, and what of it is stopped: the record of topic `workers`."""

    url: str
    v: int
    stopped: Stopped | None = None
    inputs: tuple[Stopped, ...] = ()

    @property
    def stops(self) -> tuple[Stopped, ...]:
        """All that is stopped: the partition, or inputs of it."""
        return self.inputs if self.stopped is None else (self.stopped, *self.inputs)


class ReportedState(StrEnum):
    """What a partition does, as operators see it."""

    WORKING = "working"
    OPENING = "opening"
    STOPPED = "stopped"
    INPUT_STOPPED = "input-stopped"
    LOST = "lost"
    NO_WORKER = "no-worker"  # no worker says that it has the partition


class PartitionReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a partition is, as its worker reports it; times are in milliseconds since 1970.

    `since_ms` is when the state began, `waiting_since_ms` when the oldest record that waits was written; each is None
    if that is not known, or nothing waits.
    """

    partition: int
    state: ReportedState
    since_ms: int | None = None
    waiting_since_ms: int | None = None
    last_failure: str = ""
    reopenings: int = 0
    stops: tuple[Stopped, ...] = ()
    worker: str = ""


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
_REPORTS: Final = msgspec.json.Decoder(list[PartitionReport])


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


def encode_reports(reports: list[PartitionReport]) -> bytes:
    return msgspec.json.encode(reports)


def decode_reports(value: bytes) -> list[PartitionReport]:
    """Read a worker's reports; raises msgspec.MsgspecError if they are none."""
    return _REPORTS.decode(value)
