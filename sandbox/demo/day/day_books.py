"""The day's own books: what every window and account must hold, from what was sent and never from the hub's answers.

Signs as in protocol 4.1 and 9.1: positions and nets are positive for what is owed to the scheme; a settlement account
shows funds as a negative value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sandbox.demo.day.day_plan import DayTransfer

Account = tuple[str, str]
"""The currency and the participant of a POSITION and a SETTLEMENT account."""


class Gross(NamedTuple):
    """The sums, in 1/10,000, and the numbers of the transfers that one participant paid and received."""

    debits: int = 0
    credits: int = 0
    debit_count: int = 0
    credit_count: int = 0

    @property
    def net(self) -> int:
        """The amount that the participant owes; negative if it is owed."""
        return self.debits - self.credits

    def plus(self, other: Gross) -> Gross:
        return Gross(*(mine + its for mine, its in zip(self, other, strict=True)))


class DayBooks:
    """What windows, positions and funds must hold, and by how much the hub's own accounts must have changed."""

    def __init__(self) -> None:
        self._windows: dict[int, dict[Account, Gross]] = {}
        self._positions: Counter[Account] = Counter()
        self._settlement: Counter[Account] = Counter()
        self._reconciliation: Counter[str] = Counter()
        self._multilateral: Counter[str] = Counter()

    def commit(self, window: int, transfer: DayTransfer) -> None:
        """Book a committed transfer in a window and in both positions."""
        amount, currency = transfer.amount_units, transfer.currency
        payer, payee = (currency, transfer.payer), (currency, transfer.payee)
        sums = self._windows.setdefault(window, {})
        sums[payer] = sums.get(payer, Gross()).plus(Gross(amount, 0, 1, 0))
        sums[payee] = sums.get(payee, Gross()).plus(Gross(0, amount, 0, 1))
        self._positions[payer] += amount
        self._positions[payee] -= amount

    def gross(self, windows: Iterable[int], currency: str) -> dict[str, Gross]:
        """Return what these windows must hold in a currency, by participant."""
        found: dict[str, Gross] = {}
        for window in windows:
            for (of_currency, name), sums in self._windows.get(window, {}).items():
                if of_currency == currency:
                    found[name] = found.get(name, Gross()).plus(sums)
        return dict(sorted(found.items()))

    def settle(self, account: Account, net: int) -> None:
        """Book an account's net in a settlement, and the other side in the hub's account (protocol 9.4)."""
        self._positions[account] -= net
        self._multilateral[account[0]] += net

    def unsettle(self, account: Account, net: int) -> None:
        """Book back a net that an aborted settlement had moved."""
        self.settle(account, -net)

    def add_funds(self, account: Account, amount: int) -> None:
        """Book money that came into the scheme's bank account; a negative amount for money that left it."""
        self._settlement[account] -= amount
        self._reconciliation[account[0]] += amount

    def position(self, account: Account) -> int:
        """Return what the POSITION account must hold, in 1/10,000."""
        return self._positions[account]

    def settlement(self, account: Account) -> int:
        """Return what the SETTLEMENT account must hold, in 1/10,000."""
        return self._settlement[account]

    def multilateral(self, currency: str) -> int:
        """Return by how much HUB_MULTILATERAL_SETTLEMENT must have changed."""
        return self._multilateral[currency]

    def reconciliation(self, currency: str) -> int:
        """Return by how much HUB_RECONCILIATION must have changed."""
        return self._reconciliation[currency]
