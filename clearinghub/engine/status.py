"""How an assigned partition is, for health, metrics, queries and operators."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from clearinghub.engine.errors import StoppedInput


class PartitionState(StrEnum):
    """What an assigned partition does."""

    RECOVERING = "recovering"  # it is being opened, for the first time or again
    READY = "ready"
    STOPPED = "stopped"  # an operator must decide
    LOST = "lost"  # another worker has fenced it; a rebalance or a new opening follows


class StoppedPartition(NamedTuple):
    """Why a partition of this worker does not work, and since when, in milliseconds since 1970."""

    code: str
    sentence: str
    remedy: str
    since_ms: int
    stop_id: str = ""


class PartitionStatus(NamedTuple):
    """An assigned partition: its state and since when, its last failure, how often it was opened again, its stops.

    `waiting_since_ms` is when its oldest waiting record was written. Times are in milliseconds since 1970.
    """

    number: int
    state: PartitionState
    since_ms: int
    waiting_since_ms: int | None
    last_failure: str
    reopenings: int
    stopped: StoppedPartition | None
    stopped_inputs: tuple[StoppedInput, ...]
