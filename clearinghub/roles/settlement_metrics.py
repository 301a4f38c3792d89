"""How many settlement windows and settlements stand how, by the worker that coordinates them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import Gauge

from clearinghub.domain.settlement.settlement import SettlementState
from clearinghub.domain.settlement.window import WindowState

WINDOWS = Gauge("clearinghub_settlement_windows", "Settlement windows in the coordinator's table", ["state"])
SETTLEMENTS = Gauge("clearinghub_settlements", "Settlements in the coordinator's table", ["state"])
_GAUGES: Final = {"window": (WINDOWS, WindowState), "settlement": (SETTLEMENTS, SettlementState)}


def show_states(kind: str, states: Mapping[str, int]) -> None:
    """All of a kind were counted; a state that none is in is shown as 0."""
    gauge, known = _GAUGES[kind]
    for state in known:
        gauge.labels(state.value).set(states.get(state.value, 0))


def show_nothing() -> None:
    """The coordinator's partition is another worker's."""
    WINDOWS.clear()
    SETTLEMENTS.clear()
