from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clearinghub.domain.settlement.interchange_fee import Charged, FeeRule, fee_of

UNIT = 10_000
NOW_MS = 1_700_000_000_000
RULE = FeeRule("r", "USD", fixed=UNIT)
PAYMENT = Charged("alpha", "beta", "USD", 100 * UNIT, {"transactionType": {"scenario": "TRANSFER"}})


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        ({}, True),
        ({"currency": "EUR"}, False),
        ({"payers": frozenset({"alpha"})}, True),
        ({"payers": frozenset({"beta"})}, False),
        ({"payees": frozenset({"beta"})}, True),
        ({"payees": frozenset({"alpha"})}, False),
        ({"amount_from": 100 * UNIT}, True),
        ({"amount_from": 100 * UNIT + 1}, False),
        ({"amount_below": 100 * UNIT + 1}, True),
        ({"amount_below": 100 * UNIT}, False),
        ({"valid_from_ms": NOW_MS}, True),
        ({"valid_from_ms": NOW_MS + 1}, False),
        ({"valid_until_ms": NOW_MS + 1}, True),
        ({"valid_until_ms": NOW_MS}, False),
        ({"transaction": {"scenario": "TRANSFER"}}, True),
        ({"transaction": {"scenario": "DEPOSIT"}}, False),
    ],
)
def test_which_transfers_a_rule_is_for(changes: dict[str, Any], matches: bool) -> None:
    assert (UNIT if matches else 0) == fee_of([replace(RULE, **changes)], PAYMENT, NOW_MS)


@pytest.mark.parametrize("transaction", [None, {}, {"transactionType": "TRANSFER"}])
def test_a_packet_that_does_not_tell_matches_no_rule_that_asks(transaction: Any) -> None:
    payment = replace(PAYMENT, transaction=transaction)

    assert 0 == fee_of([replace(RULE, transaction={"scenario": "TRANSFER"})], payment, NOW_MS)
    assert UNIT == fee_of([RULE], payment, NOW_MS)


@pytest.mark.parametrize(
    ("changes", "fee"),
    [
        ({"fixed": 0, "percent": 6_000}, 6_000),  # 0.6 % of 100
        ({"percent": 6_000}, 16_000),
        ({"percent": 6_000, "at_most": 15_000}, 15_000),
        ({"fixed": 0, "percent": 1, "at_least": 500}, 500),
        ({"paid_by_payer": False}, -UNIT),
        ({"fixed": 0}, 0),
    ],
)
def test_what_it_costs(changes: dict[str, Any], fee: int) -> None:
    assert fee == fee_of([replace(RULE, **changes)], PAYMENT, NOW_MS)


@pytest.mark.parametrize(("amount", "fee"), [(4_999, 0), (5_000, 1), (15_000, 2)])
def test_half_a_unit_is_rounded_up(amount: int, fee: int) -> None:
    rule = replace(RULE, fixed=0, percent=100)

    assert fee == fee_of([rule], replace(PAYMENT, amount=amount), NOW_MS)


def test_the_first_rule_that_matches_counts_and_nobody_owes_himself() -> None:
    rules = [replace(RULE, currency="EUR", fixed=7), replace(RULE, fixed=5), RULE]

    assert 5 == fee_of(rules, PAYMENT, NOW_MS)
    assert 0 == fee_of(rules, replace(PAYMENT, payee="alpha"), NOW_MS)
    assert 0 == fee_of([], PAYMENT, NOW_MS)
