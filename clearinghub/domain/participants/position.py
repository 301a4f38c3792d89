"""Positions and limits: what an account holds, and whether it may hold more.

Signs follow protocol 4.1: a POSITION is positive when the DFSP owes; a SETTLEMENT account is negative when the scheme
holds funds for the DFSP. All values are integers of 1/10,000 of the currency unit.
"""

from __future__ import annotations

import msgspec

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.rows import Row


class Position(Row, frozen=True, array_like=True):
    """One account of one participant: its value, its limit, its flags, and how often it has changed.

    `net_debit_cap` is None until a limit is set; until then nothing may be reserved. `alarm_percent` is the share of
    the cap from which operators are notified. `reserved` is what settlement and withdrawals hold back, never a
    transfer's reservation, which is part of `value` from the moment of reserving (protocol 3.3).
    """

    participant: str
    currency: str
    account_type: str
    account_id: int
    value: int = 0
    reserved: int = 0
    net_debit_cap: int | None = None
    alarm_percent: int | None = None
    active: bool = False
    change_number: int = 0
    changed_at_ms: int = 0

    def changed_by(self, change: int, now_ms: int) -> Position:
        """Return the account after a movement of `change`; this is the only way a value moves."""
        return msgspec.structs.replace(
            self, value=self.value + change, change_number=self.change_number + 1, changed_at_ms=now_ms
        )


def reserve(position: Position, settlement: Position, amount: int, now_ms: int) -> Position | Rejection:
    """Reserve `amount` on the payer's position: within its funds (else 4001) and its net debit cap (else 4200).

    An amount that exactly exhausts either is allowed (protocol 3.3).
    """
    assert amount >= 0
    assert position.currency == settlement.currency
    effective = position.value + position.reserved
    liquidity = -settlement.value
    if liquidity - effective < amount:
        return Rejection(ErrorCode.PAYER_INSUFFICIENT_LIQUIDITY)
    if position.net_debit_cap is None or position.net_debit_cap - effective < amount:
        return Rejection(ErrorCode.PAYER_LIMIT_ERROR)
    # From here the reservation must succeed.
    held = position.changed_by(amount, now_ms)
    assert held.value + held.reserved <= liquidity
    assert held.value + held.reserved <= position.net_debit_cap
    return held
