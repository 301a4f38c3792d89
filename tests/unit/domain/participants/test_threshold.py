from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.participants.threshold import LimitAdjustment, ThresholdBreach, decide_adjustment, decide_breach
from tests.unit.domain.samples import NOW_MS, position


def account(value: int, **changes: Any) -> Any:
    return position(value, **({"net_debit_cap": 1_000, "alarm_percent": 80} | changes))


@pytest.mark.parametrize(
    ("before", "after", "alarm"),
    [
        (0, 799, False),
        (799, 800, True),  # exactly at the threshold is reached
        (0, 1_000, True),
        (800, 900, False),  # notified already
        (900, 700, False),  # falling tells nothing, and arms the alarm again:
        (700, 801, True),
        (-500, 799, False),
    ],
)
def test_an_alarm_is_raised_on_the_way_up_only(before: int, after: int, alarm: bool) -> None:
    assert alarm == (decide_breach(account(before), account(after), "t-1", NOW_MS) is not None)


def test_what_it_says() -> None:
    after = account(700, reserved=150)

    breach = decide_breach(account(0), after, "t-1", NOW_MS)
    assert ThresholdBreach("payerfsp", "USD", 850, 1_000, 80, NOW_MS, "t-1") == breach


@pytest.mark.parametrize(
    "changes",
    [
        {"net_debit_cap": None},
        {"net_debit_cap": 0},
        {"net_debit_cap": -10},
        {"alarm_percent": None},
        {"alarm_percent": 0},
    ],
)
def test_without_a_cap_or_an_alarm_there_is_nothing_to_reach(changes: dict[str, Any]) -> None:
    assert decide_breach(account(-5_000, **changes), account(5_000, **changes), "t-1", NOW_MS) is None


def test_a_cap_that_is_lowered_onto_the_position_raises_it_too() -> None:
    before = account(500)

    breach = decide_breach(before, replace(before, net_debit_cap=600), None, NOW_MS)
    assert breach is not None
    assert (500, 600, None) == (breach.position, breach.limit, breach.transfer_id)


def test_a_limit_that_is_set_or_changed_is_notified() -> None:
    unset = account(0, net_debit_cap=None, alarm_percent=None)
    low, high = account(0), account(0, net_debit_cap=2_000)

    assert LimitAdjustment("payerfsp", "USD", 1_000, 80, None, NOW_MS) == decide_adjustment(unset, low, NOW_MS)
    assert LimitAdjustment("payerfsp", "USD", 2_000, 80, 1_000, NOW_MS) == decide_adjustment(low, high, NOW_MS)
    assert decide_adjustment(low, replace(low, alarm_percent=70), NOW_MS) is not None
    assert decide_adjustment(low, replace(low, value=5, active=False), NOW_MS) is None
    assert decide_adjustment(unset, replace(unset, alarm_percent=70), NOW_MS) is None
