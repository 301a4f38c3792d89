"""Draws the DFSPs and the mixed transfers of a demo from a seed, so that a run can be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT
from sandbox.demo.transfers.expectations import TransferCase, TransferKind

SHARES: Final[Mapping[TransferKind, int]] = {  # percent
    TransferKind.COMMITTED: 40,
    TransferKind.RESERVED: 16,
    TransferKind.REJECTED: 9,
    TransferKind.OVER_CAP: 7,
    TransferKind.OVER_FUNDS: 6,
    TransferKind.TIMED_OUT: 5,
    TransferKind.REPEATED: 6,
    TransferKind.CHANGED: 5,
    TransferKind.BAD_FULFILMENT: 6,
}
TRANSFERS_MIN: Final = 20  # enough for one of every kind
TRANSFERS_MAX: Final = 2_000  # the sum of so many stays within the funds below
TRADING: Final = ("ada", "bea", "cyd")
AMOUNT_UNITS_MAX: Final = 100 * UNITS_PER_CURRENCY_UNIT


@dataclass(frozen=True, slots=True)
class PlannedDfsp:
    """A DFSP that the demo sets up, with its net debit cap and its funds in 1/10,000."""

    name: str
    net_debit_cap_units: int
    funds_units: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The DFSPs and transfers of a run. The `limit_fillers` must have committed before the `cases` are sent.

    Each of them has exactly the amount that its payer's net debit cap or funds allow, so it must commit, and whatever
    that payer sends afterwards must be refused. All other payers can pay all that is planned.
    """

    dfsps: tuple[PlannedDfsp, ...]
    limit_fillers: tuple[TransferCase, ...]
    cases: tuple[TransferCase, ...]


def make_plan(transfers: int, seed: int, suffix: str) -> Plan:
    """Return a plan with so many transfers; `suffix` makes the DFSPs' names differ from those of other runs."""
    assert TRANSFERS_MIN <= transfers <= TRANSFERS_MAX
    draw = Random(seed)  # noqa: S311 - a mix of test data, not a secret
    plenty_units = 1_000_000 * UNITS_PER_CURRENCY_UNIT
    trading = tuple(PlannedDfsp(f"demo-{role}-{suffix}", plenty_units, plenty_units) for role in TRADING)
    capped = PlannedDfsp(f"demo-capped-{suffix}", 100 * UNITS_PER_CURRENCY_UNIT, plenty_units)
    short = PlannedDfsp(f"demo-short-{suffix}", plenty_units, 50 * UNITS_PER_CURRENCY_UNIT)
    limit_fillers = (
        TransferCase(TransferKind.COMMITTED, capped.name, trading[0].name, capped.net_debit_cap_units),
        TransferCase(TransferKind.COMMITTED, short.name, trading[1].name, short.funds_units),
    )
    cases = []
    for kind, count in _counts(transfers).items():
        for _ in range(count - len(limit_fillers) if kind is TransferKind.COMMITTED else count):
            payer, payee = draw.sample(trading, 2)
            bounded = {TransferKind.OVER_CAP: capped, TransferKind.OVER_FUNDS: short}.get(kind, payer)
            cases.append(TransferCase(kind, bounded.name, payee.name, draw.randint(1, AMOUNT_UNITS_MAX)))
    draw.shuffle(cases)
    return Plan((*trading, capped, short), limit_fillers, tuple(cases))


def trading_names(plan: Plan) -> tuple[str, str, str]:
    """Return the DFSPs that can pay all that is planned."""
    ada, bea, cyd = (dfsp.name for dfsp in plan.dfsps[: len(TRADING)])
    return ada, bea, cyd


def _counts(transfers: int) -> dict[TransferKind, int]:
    """Return how many of each kind are sent: its share, at least one; plain commits get what rounding leaves."""
    counts = {kind: max(1, transfers * share // 100) for kind, share in SHARES.items()}
    counts[TransferKind.COMMITTED] += transfers - sum(counts.values())
    return counts
