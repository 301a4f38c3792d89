"""The punctuator that opens the first settlement window and closes windows by the schedule, if there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import structlog

from agents.settlement.closing import close_window
from agents.settlement.windows import LATEST, latest_window, put_open_window
from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.window import FIRST_WINDOW, open_window
from clearinghub.engine.record import Punctuator, PunctuatorView
from tables.counters import COUNTERS

log = structlog.get_logger(__name__)

DUE: Final = "window-due"  # counter: when the schedule closes the open window, in milliseconds since 1970
DUE_BY: Final = "window-due-by"  # counter: the number of the schedule by which it is due
SCHEDULED: Final = "closed by schedule"

NextDue: TypeAlias = Callable[[int], int]
"""Returns the schedule's next time after a time, both in milliseconds since 1970."""


def make_window_punctuator(coordinator: int, next_due: NextDue | None, schedule: int = 0) -> Punctuator:
    """Return the punctuator of windows, which acts on the coordinator's partition only.

    The next due time is stored, so each time is used once, whichever worker owns the partition. If several times passed
    while no worker owned it, the window is closed once. If the stored time is of another schedule (`schedule` is the
    number of this one), it is replaced.
    """

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        if view.partition != coordinator:
            return
        if view.get(COUNTERS, LATEST) is None:
            put_open_window(view, open_window(FIRST_WINDOW, now_ms))
        if next_due is None:
            if view.get(COUNTERS, DUE) is not None:
                view.delete(COUNTERS, DUE)
            return
        due_ms = view.get(COUNTERS, DUE) if view.get(COUNTERS, DUE_BY) == schedule else None
        if due_ms is not None and now_ms >= due_ms:
            closed = close_window(view, latest_window(view), SCHEDULED, now_ms)
            if isinstance(closed, Rejection):
                log.info("window-not-closed", reason=closed.description)
        if due_ms is None or now_ms >= due_ms or due_ms > next_due(now_ms):
            view.put(COUNTERS, DUE, next_due(now_ms))
            view.put(COUNTERS, DUE_BY, schedule)

    return punctuate
