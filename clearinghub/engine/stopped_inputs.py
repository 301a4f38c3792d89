"""The inputs of a partition that have stopped before a record that may not be dead-lettered (ADR 25).

Such a record is decided by another release of the code, or becomes a dead letter by an operator's decision about this
very record.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import structlog

from clearinghub.engine.config import EngineConfig, goes_past
from clearinghub.engine.dead_letter import error_text
from clearinghub.engine.errors import PartitionStoppedError, StoppedInput
from clearinghub.engine.record import Record, View

log = structlog.get_logger(__name__)

INPUT_STOPPED: Final = "input-stopped"
DECISION_POLL_S: Final = 2.0
_REMEDY: Final = (
    "Install a release that can decide this record and start the worker again: it goes on by itself. Or decide with "
    "`clearinghub recover {partition} --reason TEXT` that it becomes a dead letter, for `clearinghub requeue`."
)


def input_stop(record: Record, error: BaseException) -> PartitionStoppedError:
    """Return why an input stops before a record whose handler raised `error`; it names no other record."""
    written = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")
    place = f"{record.topic}/{record.partition}"
    return PartitionStoppedError(
        INPUT_STOPPED,
        f"partition {record.partition}: {place} stops before offset {record.offset}, written at {written}: its handler "
        f"raises {type(error).__name__}.",
        _REMEDY.format(partition=record.partition),
    )


class StoppedInputs:
    """The stopped inputs of one partition at work."""

    def __init__(self, config: EngineConfig, partition: int) -> None:
        self.by_topic: dict[str, StoppedInput] = {}
        self._config = config
        self._partition = partition
        self._has_changed = False

    def dead_letter_or_stop(self, record: Record, error: Exception) -> PartitionStoppedError | None:
        """Stop a record's input; return the stop if an operator has decided that it becomes a dead letter instead."""
        stop = input_stop(record, error)
        if goes_past(self._config, self._partition, stop):
            return stop
        stopped = StoppedInput(record.topic, record.offset, error_text(error), self._config.broker_ms(), stop)
        self.by_topic[record.topic] = stopped
        self._has_changed = True
        log.error(
            "input-stopped",
            topic=record.topic,
            partition=self._partition,
            offset=record.offset,
            error=stopped.error,
            stop=stop.stop_id,
            remedy=stop.remedy,
        )
        return None

    def resume_decided(self) -> None:
        """Let the inputs go on about which an operator has decided meanwhile."""
        for topic in [one.topic for one in self._all if self._config.is_accepted(self._partition, one.stop)]:
            del self.by_topic[topic]
            self._has_changed = True

    @property
    def poll_s(self) -> float | None:
        """After how many seconds to look for a decision; None if no input is stopped."""
        return DECISION_POLL_S if self.by_topic else None

    @property
    def _all(self) -> Collection[StoppedInput]:
        return self.by_topic.values()

    def announce_changes(self, view: View) -> None:
        """Let the other processes know which inputs are stopped, in the round in which that changes."""
        if self._has_changed and self._config.on_inputs_stopped is not None:
            self._config.on_inputs_stopped(view, tuple(self._all))
        self._has_changed = False
