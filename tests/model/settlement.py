"""Dispatches the messages of settlement: some are for every partition, some for the coordinator."""

from __future__ import annotations

from typing import Any

from tests.model.coordinator import Coordinator
from tests.model.effects import Effects
from tests.model.windows import PartitionWindows


def follow(message: dict[str, Any], windows: PartitionWindows, coordinator: Coordinator, effects: Effects) -> None:
    """Follow a record of topic `settlement`, or a marker of a window on topic `credit`."""
    match message["kind"]:
        case "window-marker":
            windows.add_marker(message["window"], message["source"], effects, again=message.get("again", False))
        case "close-window":
            windows.leave(message["window"], effects)
        case "forget-window":
            windows.forget(message["window"])
        case "scheme":
            windows.models = message["scheme"]["models"]
        case "window-used":
            coordinator.mark_used(message["window"], effects)
        case "window-report":
            coordinator.add_report(message["window"], message["partition"], message["nets"], effects)
