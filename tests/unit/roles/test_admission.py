"""Admission control: which share of new requests is admitted, as records wait longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clearinghub.config import Settings
from clearinghub.roles.admission import Admission

FULL_MS = 500
NONE_MS = 2_500


def admission_with(**waiting_ms: int) -> Admission:
    """`p0=100`: records of partition 0 wait 100 ms."""
    return Admission(lambda partition: waiting_ms.get(f"p{partition}", 0), FULL_MS, NONE_MS)


@pytest.mark.parametrize(
    ("waiting_ms", "admitted"),
    [(0, 1_000), (500, 1_000), (501, 999), (1_000, 750), (1_500, 500), (2_500, 0), (9_999, 0)],
)
def test_the_longer_records_wait_the_less_is_admitted(waiting_ms: int, admitted: int) -> None:
    admission = admission_with(p0=waiting_ms)

    admitted_of_1000 = sum(admission.admits(0) for _ in range(1_000))

    assert abs(admitted_of_1000 - admitted) <= 1
    assert 1_000 - admitted_of_1000 == admission.refused


def test_a_crowded_partition_refuses_nobody_elses_requests() -> None:
    admission = admission_with(p0=9_999)

    assert [False, True] == [admission.admits(0), admission.admits(1)]


def test_refusals_are_spread_and_do_not_come_in_a_row() -> None:
    admission = admission_with(p0=1_500)

    assert {1} == {sum(admission.admits(0) for _ in range(2)) for _ in range(50)}


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_waiting_longer_never_admits_more(one_ms: int, other_ms: int) -> None:
    admission = admission_with(p0=min(one_ms, other_ms), p1=max(one_ms, other_ms))

    assert 0 <= admission.share(1) <= admission.share(0) <= 1


def test_settings_that_leave_no_slope_are_refused() -> None:
    with pytest.raises(ValidationError, match="must be above overload_full_ms"):
        Settings(overload_full_ms=600, overload_none_ms=600)
