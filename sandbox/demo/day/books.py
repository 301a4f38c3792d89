"""The day's own bookkeeping: what must be in every window, account and sum, from what was sent and never from the hub.

Signs as in protocol 4.1 and 9.1: a position and a net are positive for what is owed to the scheme, a settlement account
holds funds as a negative value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sandbox.demo.day.plan import DayTransfer

Account = tuple[str, str]
"""Currency and participant."""


class Gross(NamedTuple):
    """What one participant has paid and was paid, and how often; in 1/10,000."""

    debits: int = 0
    credits: int = 0
    debit_count: int = 0
    credit_count: int = 0

    @property
    def net(self) -> int:
        """Positive for what it owes."""
        return self.debits - self.credits

    def plus(self, other: Gross) -> Gross:
        """Both together."""
        return Gross(*(mine + its for mine, its in zip(self, other, strict=True)))


class DayBooks:
    """Windows, positions, funds, and the hub's own accounts as they must have changed."""

    def __init__(self) -> None:
        self._windows: dict[int, dict[Account, Gross]] = {}
        self._positions: Counter[Account] = Counter()
        self._settlement: Counter[Account] = Counter()
        self._reconciliation: Counter[str] = Counter()
        self._multilateral: Counter[str] = Counter()

    def commit(self, window: int, transfer: DayTransfer) -> None:
        """A transfer has moved money in that window."""
        amount, currency = transfer.amount_units, transfer.currency
        payer, payee = (currency, transfer.payer), (currency, transfer.payee)
        sums = self._windows.setdefault(window, {})
        sums[payer] = sums.get(payer, Gross()).plus(Gross(amount, 0, 1, 0))
        sums[payee] = sums.get(payee, Gross()).plus(Gross(0, amount, 0, 1))
        self._positions[payer] += amount
        self._positions[payee] -= amount

    def gross(self, windows: Iterable[int], currency: str) -> dict[str, Gross]:
        """By participant what these windows must hold."""
        found: dict[str, Gross] = {}
        for window in windows:
            for (of_currency, name), sums in self._windows.get(window, {}).items():
                if of_currency == currency:
                    found[name] = found.get(name, Gross()).plus(sums)
        return dict(sorted(found.items()))

    def settle(self, account: Account, net: int) -> None:
        """A settlement has moved an account by its net, and the hub's account takes the other side (protocol 9.4)."""
        self._positions[account] -= net
        self._multilateral[account[0]] += net

    def unsettle(self, account: Account, net: int) -> None:
        """An abort has moved it back."""
        self.settle(account, -net)

    def add_funds(self, account: Account, amount: int) -> None:
        """Money has come into the scheme's bank account; negative for what went out."""
        self._settlement[account] -= amount
        self._reconciliation[account[0]] += amount

    def position(self, account: Account) -> int:
        """What the POSITION account must hold."""
        return self._positions[account]

    def settlement(self, account: Account) -> int:
        """What the SETTLEMENT account must hold."""
        return self._settlement[account]

    def multilateral(self, currency: str) -> int:
        """By how much HUB_MULTILATERAL_SETTLEMENT must have changed."""
        return self._multilateral[currency]

    def reconciliation(self, currency: str) -> int:
        """By how much HUB_RECONCILIATION must have changed."""
        return self._reconciliation[currency]
