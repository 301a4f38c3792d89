"""Nets of settlement windows, added up from the legs of their transfers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

CURRENCY: Final = "USD"
ACCOUNT_TYPE: Final = "POSITION"


class Leg(NamedTuple):
    """One side of a committed transfer; `counterparty` only where nets are kept by pairs."""

    transfer_id: str
    side: str  # "debit" or "credit"
    window: int
    granularity: str
    participant: str
    counterparty: str
    amount: int


class Party(NamedTuple):
    """Who a net belongs to, and under which kind of netting."""

    granularity: str
    participant: str
    counterparty: str


class Sums(NamedTuple):
    """What a party owes (debits) and is owed (credits), and the number of transfers of each."""

    debits: int
    credits: int
    debit_count: int
    credit_count: int


Nets = dict[Party, Sums]


def nets_of(legs: Iterable[Leg]) -> Nets:
    """Return the nets of the legs, by party."""
    parties: dict[Party, list[Leg]] = {}
    for leg in legs:
        parties.setdefault(Party(leg.granularity, leg.participant, leg.counterparty), []).append(leg)
    return {party: _sums(of_party) for party, of_party in parties.items()}


def _sums(legs: Iterable[Leg]) -> Sums:
    debits = [leg.amount for leg in legs if leg.side == "debit"]
    credits_ = [leg.amount for leg in legs if leg.side == "credit"]
    return Sums(sum(debits), sum(credits_), len(debits), len(credits_))
