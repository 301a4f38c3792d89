"""Windows and settlements that are over leave the coordinator's table after a time; their topics keep them.

A window that waits for its settlement stays, however old it is: somebody is owed what is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from agents.settlement.settlements import latest_settlement
from agents.settlement.windows import find_window, latest_window
from clearinghub.domain.settlement.settlement import ABORTED, SETTLED
from clearinghub.domain.settlement.window import WindowState
from clearinghub.engine.record import Punctuator, PunctuatorView, View
from tables.settlements import CONTENTS, SETTLEMENT_WINDOWS, SETTLEMENTS, content_key, settlement_key, window_key

ROWS_AT_ONCE: Final = 20  # of each kind in one punctuator: a round waits for it

OnStates = Callable[[str, Mapping[str, int]], None]
"""Hears "window" or "settlement", and how many of them are in each state, whenever all have been looked at."""


class _Walk:
    """Round and round through the numbers of one kind, some in each punctuator."""

    def __init__(
        self,
        kind: str,
        last: Callable[[View], int],
        look_at: Callable[[View, int, int], str | None],
        on_states: OnStates,
    ) -> None:
        """`look_at` removes a row that is over since before a time; gives the state of one that stays."""
        self._kind = kind
        self._last = last
        self._look_at = look_at
        self._on_states = on_states
        self._next = 1
        self._states: Counter[str] = Counter()

    def go_on(self, view: View, before_ms: int) -> None:
        last = self._last(view)
        end = min(last + 1, self._next + ROWS_AT_ONCE)
        for number in range(self._next, end):
            state = self._look_at(view, number, before_ms)
            if state is not None:
                self._states[state] += 1
        self._next = end
        if end > last:
            states, self._states, self._next = self._states, Counter(), 1
            self._on_states(self._kind, states)


def make_settlement_retention_punctuator(
    coordinator: int, retention_ms: int, on_states: OnStates = lambda _kind, _states: None
) -> Punctuator:
    """On the coordinator's partition: look at some windows and settlements, and let go of what is over and old."""
    walks = (
        _Walk("window", latest_window, _look_at_window, on_states),
        _Walk("settlement", latest_settlement, _look_at_settlement, on_states),
    )

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        if view.partition == coordinator:
            for walk in walks:
                walk.go_on(view, now_ms - retention_ms)

    return punctuate


def _look_at_window(view: View, number: int, before_ms: int) -> str | None:
    window = find_window(view, number)
    if window is None:
        return None
    if window.state is not WindowState.SETTLED or window.changed_at_ms >= before_ms:
        return window.state.value
    for content in window.contents:
        view.delete(CONTENTS, content_key(number, content.netting_group))
    view.delete(SETTLEMENT_WINDOWS, window_key(number))
    return None


def _look_at_settlement(view: View, number: int, before_ms: int) -> str | None:
    settlement = view.get(SETTLEMENTS, settlement_key(number))
    if settlement is None:
        return None
    is_over = settlement.state in (SETTLED, ABORTED) and not settlement.is_moving
    if not is_over or settlement.changed_at_ms >= before_ms:
        return settlement.state.value
    view.delete(SETTLEMENTS, settlement_key(number))
    return None
