"""The alarm on a net debit cap: when is a position so near to it that operators are notified (protocol 4.3)?

The decision compares an account before and after a change, and stores nothing: an alarm is raised when the position
rises from below the threshold, so it is raised once, and again only after the position was below in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clearinghub.domain.participants.position import Position

_WHOLE: Final = 100  # per cent


@dataclass(frozen=True, slots=True)
class ThresholdBreach:
    """A position has reached `percent` of its cap. `position` and the cap `limit` are in 1/10,000 units.

    `transfer_id` is the transfer whose reservation did it, or None when the cap was lowered onto the position.
    """

    participant: str
    currency: str
    position: int
    limit: int
    percent: int
    at_ms: int
    transfer_id: str | None


@dataclass(frozen=True, slots=True)
class LimitAdjustment:
    """A cap or its alarm threshold was set; `before` is the cap that was replaced, None for the first."""

    participant: str
    currency: str
    limit: int
    percent: int | None
    before: int | None
    at_ms: int


def decide_breach(before: Position, after: Position, transfer_id: str | None, now_ms: int) -> ThresholdBreach | None:
    """Return the alarm that a change of the account's value or cap raises, or None.

    A position exactly at the threshold has reached it: with 100 per cent none could ever be above.
    """
    if not _is_reached(after) or _is_reached(before):
        return None
    assert after.net_debit_cap is not None
    assert after.alarm_percent is not None
    return ThresholdBreach(
        after.participant,
        after.currency,
        after.value + after.reserved,
        after.net_debit_cap,
        after.alarm_percent,
        now_ms,
        transfer_id,
    )


def decide_adjustment(before: Position, after: Position, now_ms: int) -> LimitAdjustment | None:
    """Return the adjustment of which operators are notified, None if the limit has not changed."""
    same = (before.net_debit_cap, before.alarm_percent) == (after.net_debit_cap, after.alarm_percent)
    if same or after.net_debit_cap is None:
        return None
    return LimitAdjustment(
        after.participant, after.currency, after.net_debit_cap, after.alarm_percent, before.net_debit_cap, now_ms
    )


def _is_reached(account: Position) -> bool:
    """Return whether the position is at its threshold; never without a cap above 0 and an alarm above 0 per cent."""
    cap, percent = account.net_debit_cap, account.alarm_percent
    if not cap or not percent or cap < 0:
        return False
    return (account.value + account.reserved) * _WHOLE >= cap * percent
