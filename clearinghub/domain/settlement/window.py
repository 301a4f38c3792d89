"""Settlement windows: one is open at any time; a closed window has all of its transfers (protocol 9.2).

The window's row is the coordinator's: the partition of the hub's name. Every partition reports what it has of a window
once that is complete (design 7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.netting import GROSS, ContentSums, NettingGroup, imbalance, joined
from clearinghub.rows import Row

FIRST_WINDOW: Final = 1  # open from the start


class WindowState(Enum):
    """States of a window and of its contents, in the reference's words."""

    OPEN = "OPEN"
    PROCESSING = "PROCESSING"
    CLOSED = "CLOSED"
    PENDING_SETTLEMENT = "PENDING_SETTLEMENT"
    SETTLED = "SETTLED"
    ABORTED = "ABORTED"
    FAILED = "FAILED"


SETTLEABLE: Final = frozenset({WindowState.CLOSED, WindowState.ABORTED})
"""States from which a content may become part of a settlement."""

_CLOSABLE: Final = frozenset({WindowState.OPEN, WindowState.PROCESSING, WindowState.FAILED})


class Content(msgspec.Struct, frozen=True, array_like=True):
    """One netting group's part of a window; its nets are another row. `settlement_id` is its latest settlement."""

    content_id: int
    netting_group: NettingGroup
    state: WindowState
    created_at_ms: int
    changed_at_ms: int
    transfers: int
    settlement_id: int | None = None


class Window(Row, frozen=True, array_like=True):
    """One settlement window. `used`: it has a transfer; `reported`: the partitions that have reported all they have."""

    window_id: int
    state: WindowState
    reason: str | None
    created_at_ms: int
    changed_at_ms: int
    used: bool = False
    reported: tuple[int, ...] = ()
    contents: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class Closing:
    """Store both windows and let every partition leave `processing`; `opened` is None if they have left it before."""

    processing: Window
    opened: Window | None


def open_window(window_id: int, now_ms: int) -> Window:
    """Return a new window, which is open."""
    return Window(window_id, WindowState.OPEN, None, now_ms, now_ms)


def begin_closing(window_id: int, window: Window | None, reason: str, now_ms: int) -> Closing | Rejection:
    """Begin to close a window, and open the next.

    A FAILED window may be closed again: all partitions report anew, since what was missing may have arrived. So
    may a window that is PROCESSING: it keeps the reports that it has, and the missing ones are sent once more.
    """
    if window is None:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"Window {window_id} does not exist")
    if window.state not in _CLOSABLE:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"Window {window_id} is not open")
    if not window.used:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"Window {window_id} is empty")
    opened = open_window(window_id + 1, now_ms) if window.state is WindowState.OPEN else None
    if window.state is WindowState.PROCESSING:
        return Closing(replace(window, reason=reason, changed_at_ms=now_ms), None)
    processing = replace(
        window, state=WindowState.PROCESSING, reason=reason, changed_at_ms=now_ms, reported=(), contents=()
    )
    return Closing(processing, opened)


def add_report(window: Window, partition: int, partitions: int) -> Window:
    """Return the window after a partition has reported all of its nets."""
    assert window.state is WindowState.PROCESSING
    assert 0 <= partition < partitions
    assert partition not in window.reported, f"partition {partition} reports window {window.window_id} twice"
    return replace(window, reported=tuple(sorted((*window.reported, partition))))


def fault_of(sums: Mapping[NettingGroup, ContentSums]) -> str | None:
    """Return why a window with these sums cannot be closed, or None."""
    faults = [fault for group, one in sorted(sums.items()) if (fault := imbalance(group, one)) is not None]
    return joined(faults) if faults else None


def fail(window: Window, reason: str, now_ms: int) -> Window:
    """Return a window that has all its reports, and whose nets do not add up."""
    return replace(window, state=WindowState.FAILED, reason=reason, changed_at_ms=now_ms)


def close(
    window: Window, sums: Mapping[NettingGroup, ContentSums], next_id: Callable[[], int], closed_at_ms: int
) -> Window:
    """Return a window that has all its reports, CLOSED, or SETTLED if nothing of it is left to settle.

    Netting groups that were settled gross have nothing left to settle.
    """
    assert window.state is WindowState.PROCESSING
    contents = tuple(
        Content(
            next_id(),
            netting_group,
            WindowState.SETTLED if netting_group.granularity == GROSS else WindowState.CLOSED,
            closed_at_ms,
            closed_at_ms,
            one.net.debit_count,
        )
        for netting_group, one in sorted(sums.items())
    )
    return with_contents(replace(window, changed_at_ms=closed_at_ms), contents)


def with_contents(window: Window, contents: Iterable[Content]) -> Window:
    """Return the window with these contents, in the state that follows from theirs (protocol 9.4, 9.5)."""
    contents = tuple(contents)
    states = {content.state for content in contents}
    if states <= {WindowState.SETTLED} and contents:
        state = WindowState.SETTLED
    elif WindowState.PENDING_SETTLEMENT in states:
        state = WindowState.PENDING_SETTLEMENT
    elif WindowState.ABORTED in states:
        state = WindowState.ABORTED
    elif any(
        content.state is WindowState.SETTLED and content.netting_group.granularity != GROSS for content in contents
    ):
        state = WindowState.PENDING_SETTLEMENT  # a part is settled, and the rest waits for its own settlement
    else:
        state = WindowState.CLOSED
    return replace(window, contents=contents, state=state)


def change_contents(
    window: Window, netting_groups: Iterable[NettingGroup], state: WindowState, settlement_id: int, now_ms: int
) -> Window:
    """Return the window after a settlement has moved some of its contents to `state`."""
    moved = frozenset(netting_groups)
    assert moved <= {content.netting_group for content in window.contents}
    contents = (
        replace(content, state=state, settlement_id=settlement_id, changed_at_ms=now_ms)
        if content.netting_group in moved
        else content
        for content in window.contents
    )
    return replace(with_contents(window, contents), changed_at_ms=now_ms)
