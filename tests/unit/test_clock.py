"""The broker's time, as a process knows it from the records that it writes."""

from __future__ import annotations

import pytest

from clearinghub.clock import BrokerClock

NOW_MS = 1_700_000_000_000


class Wall:
    """A clock that is ahead of the true time, or slow."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms
        self.true_ms = NOW_MS

    def __call__(self) -> int:
        return self.true_ms + self.ahead_ms


def write(clock: BrokerClock, wall: Wall, there_ms: int = 2, back_ms: int = 3) -> None:
    """Write a record that takes so long to the broker, whose clock is right, and back."""
    sent_ms = wall()
    wall.true_ms += there_ms
    appended_ms = wall.true_ms
    wall.true_ms += back_ms
    clock.note(sent_ms, appended_ms, wall())


@pytest.mark.parametrize("ahead_ms", [-600_000, -2_000, 0, 1_000, 10_000])
def test_the_brokers_time_is_known_to_the_milliseconds_of_one_answer(ahead_ms: int) -> None:
    wall = Wall(ahead_ms)
    clock = BrokerClock(wall)

    write(clock, wall, back_ms=40)
    write(clock, wall)
    write(clock, wall, there_ms=900, back_ms=900)

    assert 0 <= wall.true_ms - clock.now_ms() <= 3, "never ahead of the broker"
    assert abs(clock.surely_apart_ms - abs(ahead_ms)) <= 3


def test_without_an_answer_the_process_trusts_its_own_clock() -> None:
    wall = Wall(5_000)
    clock = BrokerClock(wall)

    assert (wall(), 0) == (clock.now_ms(), clock.surely_apart_ms)


@pytest.mark.parametrize("jump_ms", [-5_000, 5_000])
def test_a_clock_that_was_set_is_known_after_the_next_answer(jump_ms: int) -> None:
    wall = Wall(0)
    clock = BrokerClock(wall)
    write(clock, wall)

    wall.ahead_ms = jump_ms
    write(clock, wall)

    assert 0 <= wall.true_ms - clock.now_ms() <= 3


def test_a_clock_that_was_set_back_while_a_record_was_under_way_teaches_nothing() -> None:
    clock = BrokerClock(lambda: NOW_MS)

    clock.note(NOW_MS, NOW_MS - 5, NOW_MS - 1_000)

    assert 0 == clock.lead_ms
