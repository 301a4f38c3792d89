"""What a partition does with what only a later release knows: it stops, since that may move money (ADR 26)."""

from __future__ import annotations

from typing import Final

from agents.context import LedgerContext
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.record import Record
from clearinghub.messages import UnknownMessageError

REMEDY: Final = (
    "Start this partition's worker in the release that wrote it: `clearinghub admin features list` shows which run."
)


def check_known_level(context: LedgerContext, partition: int, level: int) -> None:
    """Check that this release knows a feature level.

    Raises:
        PartitionStoppedError: it does not.
    """
    if level > context.highest_level:
        sentence = f"partition {partition} is at feature level {level}, and this release knows {context.highest_level}"
        raise PartitionStoppedError("unknown-feature-level", sentence, REMEDY)


def unknown_message(record: Record, error: UnknownMessageError) -> PartitionStoppedError:
    """Return the error that stops the partition of a message that only a later release knows."""
    place = f"{record.topic}/{record.partition} at {record.offset}"
    return PartitionStoppedError("unknown-message", f"{place} is a message of a later release: {error}", REMEDY)
