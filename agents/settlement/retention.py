"""Settled windows and finished settlements leave the coordinator's table after a time; their topics keep them.

A window that waits for its settlement stays, however old it is: somebody is owed what is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from msgspec.structs import replace

from agents.settlement.settlements import find_settlement, latest_settlement, put_settlement
from agents.settlement.windows import find_window, latest_window
from clearinghub.domain.settlement.settlement import ABORTED, ABORTING, LEAVING, SETTLED
from clearinghub.domain.settlement.window import WindowState
from clearinghub.engine.record import Punctuator, PunctuatorView, TableSpec, View
from clearinghub.rows import AnyRow
from tables.settlements import (
    ACCOUNTS,
    ENTRIES,
    LEGS,
    SETTLEMENT_WINDOWS,
    SETTLEMENTS,
    SUMS,
    accounts_prefix,
    entries_prefix,
    legs_prefix,
    settlement_key,
    sums_key,
    window_key,
)

ROWS_AT_ONCE: Final = 20  # of each type in one punctuation: a round waits for it
DELETED_AT_ONCE: Final = 200  # entries, legs or accounts of one of them; the rest when it is visited again

OnStates: TypeAlias = Callable[[str, Mapping[str, int]], None]
"""Is called with "window" or "settlement" and the number of rows in each state, whenever all have been visited."""


class IncrementalScan:
    """Visit at most ROWS_AT_ONCE numbers a run, then start over after the last.

    `visit` is called with a number and a time. If the row of that number was finished before the time, it deletes the
    row and returns None; else it returns the row's state.
    """

    def __init__(
        self,
        kind: str,
        latest: Callable[[View], int],
        visit: Callable[[View, int, int], str | None],
        on_states: OnStates,
    ) -> None:
        self._kind = kind
        self._latest = latest
        self._visit = visit
        self._on_states = on_states
        self._next = 1
        self._states: Counter[str] = Counter()

    def run(self, view: View, before_ms: int) -> None:
        """Visit the next numbers; report the states after the last."""
        latest = self._latest(view)
        end = min(latest + 1, self._next + ROWS_AT_ONCE)
        for number in range(self._next, end):
            state = self._visit(view, number, before_ms)
            if state is not None:
                self._states[state] += 1
        self._next = end
        if end > latest:
            states, self._states, self._next = self._states, Counter(), 1
            self._on_states(self._kind, states)


def make_settlement_retention_punctuator(
    coordinator: int, retention_ms: int, on_states: OnStates = lambda _kind, _states: None
) -> Punctuator:
    """Return the punctuator that deletes finished windows and settlements on the coordinator's partition."""
    scans = (
        IncrementalScan("window", latest_window, _visit_window, on_states),
        IncrementalScan("settlement", latest_settlement, _visit_settlement, on_states),
    )

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        if view.partition == coordinator:
            for scan in scans:
                scan.run(view, now_ms - retention_ms)

    return punctuate


def _visit_window(view: View, number: int, before_ms: int) -> str | None:
    window = find_window(view, number)
    if window is None:
        return None
    if window.state is not WindowState.SETTLED or window.changed_at_ms >= before_ms:
        return window.state.value
    state: str = window.state.value
    for content in window.contents:
        view.delete(SUMS, sums_key(number, content.netting_group))  # without them, its nets are no longer kept
    if _delete_some(view, ENTRIES, entries_prefix(number)):
        return state
    view.delete(SETTLEMENT_WINDOWS, window_key(number))
    return None


def _visit_settlement(view: View, number: int, before_ms: int) -> str | None:
    settlement = find_settlement(view, number)
    if settlement is None:
        return None
    state: str = settlement.state.value
    is_finished = settlement.state in (SETTLED, ABORTED) and not settlement.moving and settlement.stage != ABORTING
    if not is_finished or settlement.changed_at_ms >= before_ms:
        return state
    if settlement.stage != LEAVING:
        put_settlement(view, replace(settlement, stage=LEAVING))
    if _delete_some(view, LEGS, legs_prefix(number)) or _delete_some(view, ACCOUNTS, accounts_prefix(number)):
        return state
    view.delete(SETTLEMENTS, settlement_key(number))
    return None


def _delete_some(view: View, table: TableSpec[AnyRow], prefix: str) -> bool:
    """Delete some rows whose keys begin with `prefix`; return whether there are more."""
    keys = view.keys(table, prefix, "", DELETED_AT_ONCE)
    for key in keys:
        view.delete(table, key)
    return len(keys) == DELETED_AT_ONCE
