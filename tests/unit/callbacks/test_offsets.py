from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghub.callbacks.offsets import OffsetTracker

A = ("notification", 0)
B = ("notification", 1)


def test_the_watermark_stops_before_the_oldest_open_record() -> None:
    tracker = OffsetTracker()
    for offset in (5, 6, 9):
        tracker.add(A, offset, offset + 1)
    tracker.done(A, 9)
    tracker.done(A, 6)
    assert {} == tracker.committable()
    tracker.done(A, 5)
    assert {A: 10} == tracker.committable()


def test_the_next_offset_is_the_one_given_not_the_one_that_follows() -> None:
    tracker = OffsetTracker()
    tracker.add(A, 5, 8)
    tracker.done(A, 5)
    assert {A: 8} == tracker.committable()


def test_what_is_committed_is_not_offered_again_and_what_failed_to_commit_is() -> None:
    tracker = OffsetTracker()
    tracker.add(A, 0, 1)
    tracker.add(B, 0, 1)
    tracker.done(A, 0)
    tracker.done(B, 0)
    tracker.committed({A: 1})
    assert {B: 1} == tracker.committable()


def test_a_record_settled_twice_or_never_read_moves_nothing() -> None:
    tracker = OffsetTracker()
    for offset in (0, 1, 2):
        tracker.add(A, offset, offset + 1)
    for offset in (0, 0, 7):
        tracker.done(A, offset)
    tracker.done(B, 0)
    assert {A: 1} == tracker.committable()


def test_it_is_full_at_its_capacity_and_not_afterwards() -> None:
    tracker = OffsetTracker(capacity=2)
    tracker.add(A, 0, 1)
    tracker.add(A, 1, 2)
    tracker.done(A, 1)
    assert [True, False] == [tracker.full(A), tracker.full(B)]
    with pytest.raises(ValueError, match="more than 2"):
        tracker.add(A, 2, 3)
    tracker.done(A, 0)
    assert not tracker.full(A)


@pytest.mark.parametrize(("offset", "next_offset"), [(4, 5), (5, 6), (6, 6)])
def test_offsets_that_do_not_grow_are_a_bug(offset: int, next_offset: int) -> None:
    tracker = OffsetTracker()
    tracker.add(A, 5, 6)
    with pytest.raises(ValueError, match="after 5"):
        tracker.add(A, offset, next_offset)


@settings(deadline=None)  # other work shares the machine
@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=60), data=st.data())
def test_the_watermark_is_that_of_the_slow_and_obvious_tracker(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Whatever the order of settling, compare with sorting all that is open after every step."""
    tracker = OffsetTracker()
    read: dict[int, int] = {}
    unsettled: set[int] = set()
    last, end = -1, 0
    for gap, width in steps:
        offset = last = end + gap
        end = read[offset] = offset + width
        tracker.add(A, offset, read[offset])
        unsettled.add(offset)
        for settled in data.draw(st.sets(st.sampled_from(sorted(unsettled)), max_size=2)):
            unsettled.remove(settled)
            tracker.done(A, settled)
        first_open = min(unsettled, default=last + 1)
        closed = [read[offset] for offset in read if offset < first_open]
        assert ({A: closed[-1]} if closed else {}) == tracker.committable()
        assert len(tracker._windows[A].settled) <= len(tracker._windows[A].open)
