"""The records of settlement: to a partition as any other, or as the coordinator."""

from __future__ import annotations

from typing import Any

from tests.model.coordinator import Coordinator
from tests.model.effects import Effects
from tests.model.windows import PartitionWindows


def take(line: dict[str, Any], windows: PartitionWindows, coordinator: Coordinator, effects: Effects) -> None:
    """Follow a record of topic `settlement`, or a marker of a window on topic `credit`."""
    match line["kind"]:
        case "window-marker":
            windows.take_marker(line["window"], line["source"], effects, again=line.get("again", False))
        case "close-window":
            windows.leave(line["window"], effects)
        case "forget-window":
            windows.forget(line["window"])
        case "scheme":
            windows.models = line["scheme"]["models"]
        case "window-used":
            coordinator.mark_used(line["window"], effects)
        case "window-report":
            coordinator.take_report(line["window"], line["partition"], line["nets"], effects)
