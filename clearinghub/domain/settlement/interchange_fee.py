"""Interchange fees: what one DFSP of a transfer owes the other for it, by the scheme's rules (protocol 9.6).

A fee is decided once, when the transfer is reserved, and stored with it; it is booked when the transfer commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

INTERCHANGE_FEE: Final = "INTERCHANGE_FEE"  # the accounts, and the entries on them
_PERCENT_WHOLE: Final = 100 * 10_000  # `percent` is in 1/10,000 of one per cent


@dataclass(frozen=True, slots=True)
class FeeRule:
    """One rule: which transfers it applies to, and what they cost. Amounts in 1/10,000 of the unit, times in ms.

    An empty set of names and a bound of None match all. `transaction` holds what the TransactionType in the ILP packet
    must say, by key, e.g. {"scenario": "TRANSFER"}. With `paid_by_payer`, the payer's DFSP owes the fee to the payee's.
    """

    name: str
    currency: str
    payers: frozenset[str] = frozenset()
    payees: frozenset[str] = frozenset()
    transaction: Mapping[str, str] = field(default_factory=dict)
    amount_from: int = 0
    amount_below: int | None = None
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    paid_by_payer: bool = True
    fixed: int = 0
    percent: int = 0
    at_least: int = 0
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Charged:
    """The facts of a transfer on which rules depend; `transaction` is the one in its packet, None if it has none."""

    payer: str
    payee: str
    currency: str
    amount: int
    transaction: Mapping[str, object] | None


def fee_of(rules: Iterable[FeeRule], charged: Charged, now_ms: int) -> int:
    """Return what the payer's DFSP owes the payee's, by the first rule that matches; 0 if none does.

    The fee is negative if the payee's DFSP owes it.
    """
    for rule in rules:
        if _matches(rule, charged, now_ms):
            fee = _amount(rule, charged.amount)
            return fee if rule.paid_by_payer else -fee
    return 0


def _matches(rule: FeeRule, charged: Charged, now_ms: int) -> bool:
    return (
        charged.currency == rule.currency
        and charged.payer != charged.payee
        and (not rule.payers or charged.payer in rule.payers)
        and (not rule.payees or charged.payee in rule.payees)
        and charged.amount >= rule.amount_from
        and (rule.amount_below is None or charged.amount < rule.amount_below)
        and (rule.valid_from_ms is None or now_ms >= rule.valid_from_ms)
        and (rule.valid_until_ms is None or now_ms < rule.valid_until_ms)
        and _is_transaction(rule, charged.transaction)
    )


def _is_transaction(rule: FeeRule, transaction: Mapping[str, object] | None) -> bool:
    if not rule.transaction:
        return True
    kind = None if transaction is None else transaction.get("transactionType")
    if not isinstance(kind, dict):
        return False
    return all(kind.get(key) == value for key, value in rule.transaction.items())


def _amount(rule: FeeRule, amount: int) -> int:
    """Return fixed part plus percentage, rounded half up to 1/10,000 of the unit, within the rule's bounds."""
    fee = rule.fixed + (2 * amount * rule.percent + _PERCENT_WHOLE) // (2 * _PERCENT_WHOLE)
    fee = max(fee, rule.at_least)
    return fee if rule.at_most is None else min(fee, rule.at_most)
