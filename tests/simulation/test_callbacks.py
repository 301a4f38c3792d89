"""The callbacks' offsets from one assignment to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faust.types import TP

from clearinghub.config import Settings
from clearinghub.delivery.offsets import OffsetTracker
from clearinghub.hub.callbacks import callbacks_config
from tests.simulation.disk import Disk
from tests.simulation.loop import Process
from tests.simulation.workers import SimulatedCallbacks


@dataclass
class Group:
    """The consumer, as far as it takes offsets."""

    committed: dict[TP, int] = field(default_factory=dict)

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        self.committed.update(offsets)
        return True


class App(SimulatedCallbacks):
    """An app of the callbacks on its own."""

    process, disk = Process("callbacks"), Disk()


async def test_what_was_settled_before_a_rebalance_is_not_committed_after_it() -> None:
    """Another worker may have had the partition in between: its offsets must not go back to where they were."""
    trackers: list[OffsetTracker] = []

    def make_agent(tracker: OffsetTracker) -> Any:
        trackers.append(tracker)

    app = App(callbacks_config(Settings(data_dir=Path("none"))), make_agent, lambda _partition, _waited_ms: None)
    group = app.consumer = Group()
    trackers[0].add(("notification", 2), 12, 13)
    trackers[0].done(("notification", 2), 12)

    await app.close_partitions()
    await app.commit_settled()

    assert {} == group.committed
