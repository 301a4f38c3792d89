"""The coordinator's punctuator: the first window, and the schedule."""

from __future__ import annotations

import json
from typing import Any

from agents.context import LedgerContext
from agents.settlement.schedule import make_window_punctuator
from agents.settlement.windows import find_window, latest_window, on_window_used
from agents.turn import Turn
from clearinghub.domain.settlement.window import WindowState
from clearinghub.messages.settlement import WindowUsedMessage
from tests.fakes import FakeParticipants, MemoryView, Offsets

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def hourly(now_ms: int) -> int:
    return (now_ms // HOUR_MS + 1) * HOUR_MS


def mark_used(view: MemoryView, window: int) -> None:
    record = Offsets("settlement").record(b"", START_MS)
    turn = Turn(record, view, LedgerContext("Hub", FakeParticipants()), None, START_MS)
    on_window_used(turn, WindowUsedMessage(window=window), b"")


def closings(view: MemoryView) -> list[Any]:
    return [one.header["window"] for one in view.take() if one.topic == "settlement" and one.partition == 0]


def test_the_first_window_is_opened_once_and_by_the_coordinator_alone() -> None:
    coordinator, other = MemoryView(1, 2), MemoryView(0, 2)
    punctuate = make_window_punctuator(1, None)

    for view in (coordinator, other, coordinator):
        punctuate(view, START_MS)
    assert [{"kind": "window", "state": "OPEN", "settlementWindowId": 1}] == [
        {key: row[key] for key in ("kind", "state", "settlementWindowId")}
        for row in (json.loads(one.value) for one in coordinator.take())
    ]
    assert {} == other.tables


def test_a_due_time_closes_once_however_often_and_whoever_looks() -> None:
    view = MemoryView(0, 2)
    make_window_punctuator(0, hourly)(view, START_MS)
    mark_used(view, 1)
    assert [] == closings(view)

    due_ms = hourly(START_MS)
    for late_ms in (-1, 0, 1, 1_000):  # a new owner of the partition has the same rows
        make_window_punctuator(0, hourly)(view, due_ms + late_ms)
    assert [1] == closings(view)
    assert 2 == latest_window(view)
    closing = find_window(view, 1)
    assert closing is not None
    assert (WindowState.PROCESSING, "closed by schedule") == (closing.state, closing.reason)


def test_times_that_nobody_saw_are_made_up_for_once() -> None:
    view = MemoryView(0, 2)
    punctuate = make_window_punctuator(0, hourly)
    punctuate(view, START_MS)
    mark_used(view, 1)

    punctuate(view, START_MS + 10 * HOUR_MS)
    mark_used(view, 2)
    punctuate(view, START_MS + 10 * HOUR_MS + 1)
    assert [1] == closings(view)


def test_an_empty_window_stays_open_until_the_next_time() -> None:
    view = MemoryView(0, 2)
    punctuate = make_window_punctuator(0, hourly)
    for hours in range(3):
        punctuate(view, START_MS + hours * HOUR_MS)
    assert [] == closings(view)

    mark_used(view, 1)
    punctuate(view, START_MS + 4 * HOUR_MS)
    assert [1] == closings(view)


def test_a_new_schedule_that_is_due_sooner_counts_at_once() -> None:
    view = MemoryView(0, 2)
    make_window_punctuator(0, lambda now_ms: now_ms + 24 * HOUR_MS)(view, START_MS)
    mark_used(view, 1)

    make_window_punctuator(0, hourly)(view, START_MS + 1)
    make_window_punctuator(0, hourly)(view, hourly(START_MS))
    assert [1] == closings(view)


def test_a_removed_or_changed_schedule_leaves_nothing_due() -> None:
    for between in (
        make_window_punctuator(0, None),
        make_window_punctuator(0, lambda now_ms: now_ms + 365 * 24 * HOUR_MS, 7),
    ):
        view = MemoryView(0, 2)
        make_window_punctuator(0, hourly, 1)(view, START_MS)
        mark_used(view, 1)

        months_later_ms = START_MS + 2_000 * HOUR_MS
        between(view, months_later_ms - 5)
        make_window_punctuator(0, hourly, 1)(view, months_later_ms)
        assert [] == closings(view)
        make_window_punctuator(0, hourly, 1)(view, hourly(months_later_ms))
        assert [1] == closings(view)
