from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.participants.participant import SettlementModel
from clearinghub.domain.settlement.netting import (
    GROSS,
    NET,
    ContentSums,
    Net,
    NettingGroup,
    Party,
    SettlementMethod,
    imbalance,
    joined,
    settlement_method_of,
    sums_of,
)
from clearinghub.domain.settlement.window import (
    WindowState,
    add_report,
    begin_closing,
    close,
    fail,
    fault_of,
    open_window,
)

GROUP = NettingGroup("USD", "POSITION", NET)
NOW_MS = 1_700_000_000_000


def model(name: str, currency: str | None = None, *settlement_method: str, active: bool = True) -> SettlementModel:
    delay, granularity, interchange = settlement_method or ("DEFERRED", "NET", "MULTILATERAL")
    return SettlementModel(
        1,
        name,
        active,
        granularity,
        interchange,
        delay,
        currency,
        True,
        "POSITION",
        "SETTLEMENT",
        True,
    )


PAIRS = ("DEFERRED", "NET", "BILATERAL")
CGS = ("IMMEDIATE", "GROSS", "BILATERAL")


@pytest.mark.parametrize(
    ("models", "settlement_method"),
    [
        ([], SettlementMethod()),
        ([model("default")], SettlementMethod()),
        ([model("default", None, *CGS), model("own", "USD")], SettlementMethod()),
        ([model("default"), model("own", "USD", *CGS)], SettlementMethod("SETTLEMENT")),
        ([model("default"), model("own", "USD", *CGS, active=False)], SettlementMethod()),
        ([model("default"), model("own", "EUR", *CGS)], SettlementMethod()),
        ([model("first", "USD", *PAIRS), model("second", "USD", *CGS)], SettlementMethod(by_pairs=True)),
        ([model("never", "USD", "DEFERRED", "GROSS", "BILATERAL")], SettlementMethod()),
    ],
)
def test_the_model_in_force(models: list[SettlementModel], settlement_method: SettlementMethod) -> None:
    assert settlement_method == settlement_method_of(models, "USD", "POSITION")
    assert SettlementMethod() == settlement_method_of(models, "USD", "INTERCHANGE_FEE")
    assert (GROSS if settlement_method.is_gross else NET) == settlement_method.granularity


A, B = Party("a"), Party("b")
A_B, B_A, A_A = Party("a", "b"), Party("b", "a"), Party("a", "a")


@pytest.mark.parametrize(
    ("nets", "fault"),
    [
        ({}, None),
        ({A: Net(5, 0, 1, 0), B: Net(0, 5, 0, 1)}, None),
        ({A: Net(5, 0, 1, 0)}, "USD POSITION NET: 1 debits, 0 credits, together 0.0005"),
        ({A: Net(5, 0, 1, 0), B: Net(0, 5, 0, 2)}, "USD POSITION NET: 1 debits, 2 credits, together 0"),
        ({A_B: Net(5, 0, 1, 0), B_A: Net(0, 5, 0, 1)}, None),
        ({A_A: Net(5, 5, 1, 1)}, None),
        ({A_B: Net(5, 0, 1, 0), B: Net(0, 5, 0, 1)}, "USD POSITION NET: 1 pairs of participants do not agree"),
    ],
)
def test_nets_that_balance_and_others(nets: dict[Party, Net], fault: str | None) -> None:
    assert fault == imbalance(GROUP, sums_of(nets))


def test_many_faults_are_named_in_part() -> None:
    assert "1; 2; 3; and 2 more" == joined(["1", "2", "3", "4", "5"])


@pytest.mark.parametrize("parties", [(A_B, B_A), (B_A, A_B)])
def test_sums_follow_an_entry_that_is_reported_anew(parties: tuple[Party, Party]) -> None:
    first, second = parties
    sums = ContentSums().with_entry(first, None, Net(5, 0, 1, 0), None)
    assert (1, 1) == (sums.entries, sums.disagreements)
    sums = sums.with_entry(second, None, Net(0, 4, 0, 1), Net(5, 0, 1, 0))
    assert (2, 1) == (sums.entries, sums.disagreements)
    sums = sums.with_entry(second, Net(0, 4, 0, 1), Net(0, 5, 0, 1), Net(5, 0, 1, 0))
    assert ContentSums(Net(5, 5, 1, 1), entries=2) == sums


def test_sums_know_whether_all_is_kept_by_pairs() -> None:
    assert not sums_of({A_B: Net(5, 0, 1, 0)}).lacks_pairs
    assert sums_of({A_B: Net(5, 0, 1, 0), B: Net(0, 5, 0, 1)}).lacks_pairs


def reported(*partitions: int) -> Any:
    """Window 1 of two partitions after these have reported."""
    closing: Any = begin_closing(1, replace(open_window(1, NOW_MS), used=True), "r", NOW_MS)
    window: Any = closing.processing
    for partition in partitions:
        window = add_report(window, partition, 2)
    return window


def test_a_window_waits_for_each_partition_once() -> None:
    assert (0,) == reported(0).reported
    with pytest.raises(AssertionError, match="reports window 1 twice"):
        reported(0, 0)


def test_a_window_is_closed_with_its_contents() -> None:
    ids = count(7)
    sums = sums_of({A: Net(5, 0, 1, 0), B: Net(0, 5, 0, 1)})
    closed = close(reported(0, 1), {GROUP: sums}, lambda: next(ids), NOW_MS + 1)
    assert (WindowState.CLOSED, [7], [1]) == (
        closed.state,
        [one.content_id for one in closed.contents],
        [one.transfers for one in closed.contents],
    )


def test_a_window_that_does_not_balance_fails_and_may_be_counted_anew() -> None:
    fault = fault_of({GROUP: sums_of({A: Net(5, 0, 1, 0)})})
    assert "USD POSITION NET: 1 debits, 0 credits, together 0.0005" == fault
    failed = fail(reported(0, 1), fault, NOW_MS)
    assert (WindowState.FAILED, fault) == (failed.state, failed.reason)

    again: Any = begin_closing(1, failed, "repaired", NOW_MS + 2)
    assert (WindowState.PROCESSING, (), None) == (again.processing.state, again.processing.reported, again.opened)


def test_a_window_that_waits_may_be_closed_again_and_keeps_its_reports() -> None:
    again: Any = begin_closing(1, reported(1), "still waiting", NOW_MS + 2)
    assert (WindowState.PROCESSING, (1,), None) == (again.processing.state, again.processing.reported, again.opened)
    assert "still waiting" == again.processing.reason
