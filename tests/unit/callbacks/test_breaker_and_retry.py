from __future__ import annotations

import pytest

from clearinghub.callbacks.breaker import Breaker, BreakerState
from clearinghub.callbacks.sender import backoff_ms, is_worth_repeating


def opened(now_ms: int = 0) -> Breaker:
    breaker = Breaker(failures_max=3, open_ms=100)
    for _ in range(3):
        assert breaker.allow(now_ms)
        breaker.failed(now_ms)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = opened(now_ms=7)
    assert (BreakerState.OPEN, 107) == (breaker.state, breaker.retry_at_ms)
    assert not breaker.allow(106)


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker(failures_max=3, open_ms=100)
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded()
    assert BreakerState.CLOSED is breaker.state


def test_when_the_time_is_over_one_call_goes_out() -> None:
    breaker = opened()
    assert breaker.ready(100)
    assert [True, False, False] == [breaker.allow(100), breaker.allow(100), breaker.allow(10_000)]


def test_its_success_closes() -> None:
    breaker = opened()
    breaker.allow(100)
    breaker.succeeded()
    assert [True, True] == [breaker.allow(100), breaker.allow(100)]


def test_its_failure_opens_for_the_whole_time_again() -> None:
    breaker = opened()
    breaker.allow(100)
    breaker.failed(150)
    assert [False, True] == [breaker.allow(249), breaker.allow(250)]


def test_late_failures_do_not_prolong_the_opening() -> None:
    breaker = opened()
    breaker.failed(99)
    assert breaker.allow(100)


def test_a_late_success_closes() -> None:
    breaker = opened()
    breaker.succeeded()
    assert breaker.allow(1)


@pytest.mark.parametrize(
    ("attempts", "share", "expected_ms"),
    [
        (1, 0.0, 0),
        (1, 0.999, 200),
        (2, 0.999, 400),
        (3, 0.5, 400),
        (8, 0.5, 12_800),
        (9, 0.5, 15_000),
        (5_000, 0.5, 15_000),
    ],
)
def test_the_wait_is_spread_below_a_doubling_ceiling(attempts: int, share: float, expected_ms: int) -> None:
    wait_ms = backoff_ms(attempts, first_ms=200, longest_ms=30_000, random=lambda: share)
    assert expected_ms == wait_ms


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, False), (302, False), (400, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_what_is_worth_repeating(status: int, *, expected: bool) -> None:
    assert expected is is_worth_repeating(status)
