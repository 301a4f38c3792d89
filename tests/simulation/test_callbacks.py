"""The offsets of the role `callbacks`, from one assignment to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.config import Settings
from clearinghub.engine.batch import Batch
from clearinghub.engine.record import Record
from clearinghub.roles.callbacks import callbacks_config
from tests.simulation.disk import Disk
from tests.simulation.loop import Process
from tests.simulation.workers import SimulatedCallbacks


@dataclass
class Group:
    """The consumer, as far as it commits offsets."""

    committed: dict[TP, int] = field(default_factory=dict)
    epoch: int = 1

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        self.committed.update(offsets)
        return True


class App(SimulatedCallbacks):
    """The app of the role `callbacks`, without its other parts."""

    process, disk = Process("callbacks"), Disk()


async def test_what_was_settled_before_a_rebalance_is_not_committed_after_it() -> None:
    """Another worker may have had the partition in between: its offsets must not go back."""
    trackers: list[OffsetTracker] = []

    def make_agent(tracker: OffsetTracker) -> Any:
        trackers.append(tracker)
        return {}

    app = App(callbacks_config(Settings(data_dir=Path("none"))), make_agent, lambda _partition, _waited_ms: None)
    group = app.consumer = Group()
    trackers[0].add(("notification", 2), 12, 13)
    trackers[0].done(("notification", 2), 12)

    await app.close_partitions()
    await app.commit_settled()

    assert {} == group.committed


class FailingAgent:
    """An agent that raises at the first record of its second batch."""

    def __init__(self, tracker: OffsetTracker) -> None:
        self._tracker = tracker
        self._batches = 0

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        self._batches += 1
        if self._batches == 2:
            raise ValueError("refused")
        for record in records:
            self._tracker.add(("notification", record.partition), record.offset, next_offset)
            self._tracker.done(("notification", record.partition), record.offset)

    def revoke(self) -> None: ...


async def test_after_a_batch_at_which_the_agent_raised_nothing_is_read_or_committed() -> None:
    """Faust restarts the agent at the next batch while the process is ending."""
    app = App(
        callbacks_config(Settings(data_dir=Path("none"))),
        lambda tracker: {"notification": FailingAgent(tracker)},  # type: ignore[dict-item]
        lambda _partition, _waited_ms: None,
    )
    group = app.consumer = Group()

    await app.on_batch("notification", batch(10))
    with pytest.raises(ValueError, match="refused"):
        await app.on_batch("notification", batch(11))
    app._fail(ValueError())
    await app.on_batch("notification", batch(12))
    await app.commit_settled()

    assert {TP("notification", 0): 11} == group.committed


def batch(offset: int) -> Batch:
    record: Any = SimpleNamespace(offset=offset, timestamp=1, key=b"k", value=b"v")
    return Batch("notification", 0, 1, offset, offset + 1, [record])
