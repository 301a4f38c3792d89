"""Draws the DFSPs and the transfers of a day from a seed, so that a day can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT
from sandbox.dfsp.behaviour import Behaviour

ROLES: Final = ("amber", "birch", "coral", "dune", "ember")
CURRENCIES: Final = ("KES", "TZS", "UGX")
FUNDS_UNITS: Final = 1_000_000 * UNITS_PER_CURRENCY_UNIT
CAP_UNITS: Final = 500_000 * UNITS_PER_CURRENCY_UNIT
AMOUNT_UNITS_MAX: Final = 200 * UNITS_PER_CURRENCY_UNIT
TRANSFERS_MIN: Final = 60  # enough for some in every currency and window
TRANSFERS_MAX: Final = 2_000  # the sum of so many stays within the net debit caps
SHARES: Final[Mapping[Behaviour, int]] = {  # percent
    Behaviour.COMMIT: 75,
    Behaviour.RESERVE: 15,
    Behaviour.REJECT: 7,
    Behaviour.WRONG_FULFILMENT: 3,
}
COMMITS: Final = frozenset({Behaviour.COMMIT, Behaviour.RESERVE})


@dataclass(frozen=True, slots=True)
class DayTransfer:
    """A transfer that is to be sent; `behaviour` is what its payee's DFSP does with it."""

    behaviour: Behaviour
    payer: str
    payee: str
    currency: str
    amount_units: int

    @property
    def commits(self) -> bool:
        return self.behaviour in COMMITS


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The DFSPs (`names`) and transfers of a day. `traders` are the DFSPs of each currency; not every DFSP has all."""

    names: tuple[str, ...]
    traders: Mapping[str, tuple[str, ...]]
    transfers: tuple[DayTransfer, ...]

    @property
    def currencies(self) -> tuple[str, ...]:
        return tuple(self.traders)

    @property
    def accounts(self) -> list[tuple[str, str]]:
        """The currency and the DFSP's name of each account."""
        return [(currency, name) for currency, names in self.traders.items() for name in names]


def make_day(count: int, seed: int, suffix: str, currencies: Sequence[str] = CURRENCIES) -> DayPlan:
    """Return a day with so many transfers; `suffix` makes the DFSPs' names differ from those of other days.

    All DFSPs trade in the first currency, all but one in the second, and so on. In each currency every trader pays and
    is paid at least once in each third of the day, so that it has a part in every window.
    """
    assert TRANSFERS_MIN <= count <= TRANSFERS_MAX
    draw = Random(seed)  # noqa: S311 - a mix of test data, not a secret
    names = tuple(f"day-{role}-{suffix}" for role in ROLES)
    traders = {currency: names[: len(names) - index] for index, currency in enumerate(currencies)}
    transfers: list[DayTransfer] = []
    for third in range(3):
        share = count * (third + 1) // 3 - count * third // 3
        rounds = [
            _transfer(draw, Behaviour.COMMIT, currency, payer, payee)
            for currency, of_currency in traders.items()
            for payer, payee in zip(of_currency, (*of_currency[1:], of_currency[0]), strict=True)
        ]
        rest = [_drawn(draw, traders) for _ in range(share - len(rounds))]
        part = [*rounds, *rest]
        draw.shuffle(part)
        transfers += part
    return DayPlan(names, traders, tuple(transfers))


def _drawn(draw: Random, traders: Mapping[str, tuple[str, ...]]) -> DayTransfer:
    currency = draw.choice(sorted(traders))
    payer, payee = draw.sample(traders[currency], 2)
    (behaviour,) = draw.choices(list(SHARES), list(SHARES.values()))
    return _transfer(draw, behaviour, currency, payer, payee)


def _transfer(draw: Random, behaviour: Behaviour, currency: str, payer: str, payee: str) -> DayTransfer:
    return DayTransfer(behaviour, payer, payee, currency, draw.randint(1, AMOUNT_UNITS_MAX))
