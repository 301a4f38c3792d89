"""Who takes part in the demo and what is sent: drawn from a seed, so that a run can be had again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT
from sandbox.demo.kinds import Kind

SHARES: Final[Mapping[Kind, int]] = {  # percent
    Kind.COMMITTED: 40,
    Kind.RESERVED: 16,
    Kind.REJECTED: 9,
    Kind.OVER_CAP: 7,
    Kind.OVER_FUNDS: 6,
    Kind.TIMED_OUT: 5,
    Kind.REPEATED: 6,
    Kind.CHANGED: 5,
    Kind.BAD_FULFILMENT: 6,
}
TRANSFERS_MIN: Final = 20  # so that every kind occurs
TRANSFERS_MAX: Final = 2_000  # whose sum stays within the funds below
TRADING: Final = ("ada", "bea", "cyd")
AMOUNT_UNITS_MAX: Final = 100 * UNITS_PER_CURRENCY_UNIT


@dataclass(frozen=True, slots=True)
class Player:
    """A DFSP of the demo; amounts are integers of 1/10,000."""

    name: str
    net_debit_cap_units: int
    funds_units: int


@dataclass(frozen=True, slots=True)
class Case:
    """A transfer to send."""

    kind: Kind
    payer: str
    payee: str
    amount_units: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run. The `openers` must have committed before the `cases` are sent.

    An opener takes exactly the room that its payer has, which must pass; whatever that payer sends afterwards must be
    refused. All other payers have more room than they can use.
    """

    players: tuple[Player, ...]
    openers: tuple[Case, ...]
    cases: tuple[Case, ...]


def make_plan(transfers: int, seed: int, suffix: str) -> Plan:
    """A plan for so many transfers; `suffix` keeps the names of one run apart from those of the next."""
    assert TRANSFERS_MIN <= transfers <= TRANSFERS_MAX
    draw = Random(seed)  # noqa: S311 - a mix of test data, not a secret
    plenty_units = 1_000_000 * UNITS_PER_CURRENCY_UNIT
    trading = tuple(Player(f"demo-{role}-{suffix}", plenty_units, plenty_units) for role in TRADING)
    capped = Player(f"demo-capped-{suffix}", 100 * UNITS_PER_CURRENCY_UNIT, plenty_units)
    short = Player(f"demo-short-{suffix}", plenty_units, 50 * UNITS_PER_CURRENCY_UNIT)
    openers = (
        Case(Kind.COMMITTED, capped.name, trading[0].name, capped.net_debit_cap_units),
        Case(Kind.COMMITTED, short.name, trading[1].name, short.funds_units),
    )
    cases = []
    for kind, count in _counts(transfers).items():
        for _ in range(count - len(openers) if kind is Kind.COMMITTED else count):
            payer, payee = draw.sample(trading, 2)
            bounded = {Kind.OVER_CAP: capped, Kind.OVER_FUNDS: short}.get(kind, payer)
            cases.append(Case(kind, bounded.name, payee.name, draw.randint(1, AMOUNT_UNITS_MAX)))
    draw.shuffle(cases)
    return Plan((*trading, capped, short), openers, tuple(cases))


def trading_names(plan: Plan) -> tuple[str, str, str]:
    """The DFSPs that have room for all that they are to pay."""
    ada, bea, cyd = (player.name for player in plan.players[: len(TRADING)])
    return ada, bea, cyd


def _counts(transfers: int) -> dict[Kind, int]:
    """How many of each kind: its share, at least one; the plain commits take what rounding leaves."""
    counts = {kind: max(1, transfers * share // 100) for kind, share in SHARES.items()}
    counts[Kind.COMMITTED] += transfers - sum(counts.values())
    return counts
