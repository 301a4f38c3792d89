"""Rates of participants: who is ahead waits, and nobody waits for another."""

from __future__ import annotations

import pytest

from clearinghub.security.limits import BURST_S, NAMES_MAX, RateLimit


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sent(limit: RateLimit, clock: Clock, name: str, seconds: float, a_second: int) -> int:
    """Send at a steady pace for some seconds; return how many were admitted."""
    admitted = 0
    for _ in range(int(seconds * a_second)):
        clock.now_s += 1 / a_second
        if limit.admits(name):
            limit.charge(name)
            admitted += 1
    return admitted


def test_within_its_rate_everything_of_a_participant_passes(clock: Clock) -> None:
    assert 900 == sent(RateLimit(100, clock), clock, "alpha", 10, 90)


def test_beyond_its_rate_a_participant_gets_its_rate_and_a_burst_once(clock: Clock) -> None:
    limit = RateLimit(100, clock)

    assert sent(limit, clock, "alpha", 10, 1_000) == pytest.approx(100 * (10 + BURST_S), abs=2)
    assert sent(limit, clock, "alpha", 10, 1_000) == pytest.approx(100 * 10, abs=2)


def test_one_that_runs_wild_leaves_others_theirs(clock: Clock) -> None:
    limit = RateLimit(100, clock)
    for _ in range(1_000):
        limit.charge("alpha")

    assert not limit.admits("alpha")
    assert limit.admits("beta")


def test_what_is_larger_than_a_burst_passes_once_and_is_paid_off(clock: Clock) -> None:
    limit = RateLimit(1_000, clock)

    limit.charge("alpha", 10_000)
    assert not limit.admits("alpha")
    clock.now_s += 8.1
    assert limit.admits("alpha")


def test_a_rate_of_zero_is_no_limit(clock: Clock) -> None:
    assert 1_000 == sent(RateLimit(0, clock), clock, "alpha", 1, 1_000)


def test_names_that_are_not_ahead_are_forgotten(clock: Clock) -> None:
    limit = RateLimit(100, clock)
    limit.charge("ahead", 100_000)
    for number in range(NAMES_MAX * 2):
        clock.now_s += 0.1
        limit.charge(str(number))

    assert len(limit._paid_at_s) <= NAMES_MAX
    assert not limit.admits("ahead") or clock.now_s > 2_000
