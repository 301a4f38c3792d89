"""Dispatches the messages of settlement: some are for every partition, some for the coordinator."""

from __future__ import annotations

from typing import Any

from tests.model.coordinator import Coordinator
from tests.model.effects import Effects
from tests.model.windows import PartitionWindows

# A model in a message is a list of these.
_MODEL_FIELDS = (
    "model_id",
    "name",
    "active",
    "granularity",
    "interchange",
    "delay",
    "currency",
    "require_liquidity_check",
    "ledger_account_type",
    "settlement_account_type",
    "auto_position_reset",
)


def rows_of(nets: list[Any]) -> list[list[Any]]:
    """Return the nets of a report, each as one list: group, party, ids, and sums."""
    return [[*group, *party, *ids, *sums] for group, (party, ids, sums) in nets]


def follow(message: dict[str, Any], windows: PartitionWindows, coordinator: Coordinator, effects: Effects) -> None:
    """Follow a record of topic `settlement`, or a marker of a window on topic `credit`."""
    match message["kind"]:
        case "window-marker":
            windows.add_marker(message["window"], message["source"], effects, again=message.get("again", False))
        case "close-window":
            windows.leave(message["window"], effects)
        case "forget-window":
            windows.forget(message["window"], message.get("after", ""), effects)
        case "report-window":
            windows.report(message["window"], message["after"], effects)
        case "publish-window":
            coordinator.publish(message["window"], message["after"], effects)
        case "scheme":
            windows.models = [dict(zip(_MODEL_FIELDS, one, strict=True)) for one in message["models"]]
        case "window-used":
            coordinator.mark_used(message["window"], effects)
        case "window-report":
            coordinator.add_report(message, rows_of(message["nets"]), effects)
