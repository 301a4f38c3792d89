"""The alarm on a net debit cap: when does a position come so near to it that operators want to hear (protocol 4.3)?

The decision compares an account before and after a change, and remembers nothing: an alarm is raised when the account
comes from below the threshold, so it is raised once, and again only after the position has fallen below in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clearinghub.domain.participants.position import Position

_WHOLE: Final = 100  # per cent


@dataclass(frozen=True, slots=True)
class ThresholdBreach:
    """A position has reached `percent` of its cap. `position` is what is held, `limit` the cap, in 1/10,000 units.

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
    """A cap, or its alarm, is set for the first time or anew; `before` is the cap that it replaces, or None."""

    participant: str
    currency: str
    limit: int
    percent: int | None
    before: int | None
    at_ms: int


def decide_breach(before: Position, after: Position, transfer_id: str | None, now_ms: int) -> ThresholdBreach | None:
    """The alarm that a change of the account, of its cap or of its value, raises; None if it raises none.

    Exactly at the threshold counts as reached: at 100 per cent nothing could ever be above it.
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
    """What there is to tell of the account's limit; None if it is what it was."""
    same = (before.net_debit_cap, before.alarm_percent) == (after.net_debit_cap, after.alarm_percent)
    if same or after.net_debit_cap is None:
        return None
    return LimitAdjustment(
        after.participant, after.currency, after.net_debit_cap, after.alarm_percent, before.net_debit_cap, now_ms
    )


def _is_reached(account: Position) -> bool:
    """No cap, a cap that leaves no room for any debit, or an alarm of 0 per cent: nothing can be reached."""
    cap, percent = account.net_debit_cap, account.alarm_percent
    if not cap or not percent or cap < 0:
        return False
    return (account.value + account.reserved) * _WHOLE >= cap * percent
