"""The demo's own bookkeeping: what every account must hold, from the plan alone and never from the hub."""

from __future__ import annotations

from collections import Counter
from typing import Final

from sandbox.demo.kinds import EXPECTED
from sandbox.demo.plan import Case

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"
RECONCILIATION: Final = "HUB_RECONCILIATION"


class Books:
    """Balances by participant and account type, in 1/10,000; signs as in protocol 4.1."""

    def __init__(self, hub_name: str) -> None:
        self._hub_name = hub_name
        self._balances: Counter[tuple[str, str]] = Counter()

    def add_funds(self, name: str, amount_units: int) -> None:
        """Funds in: a settlement account holds them as a negative value, the hub's reconciliation mirrors them."""
        self._balances[name, SETTLEMENT] -= amount_units
        self._balances[self._hub_name, RECONCILIATION] += amount_units

    def add_transfer(self, case: Case) -> None:
        """A finished transfer moves both positions if it committed, else nothing."""
        if EXPECTED[case.kind].is_committed:
            self.move(case.payer, case.payee, case.amount_units)

    def move(self, payer: str, payee: str, amount_units: int) -> None:
        """What a committed transfer does to both positions."""
        self._balances[payer, POSITION] += amount_units
        self._balances[payee, POSITION] -= amount_units

    def balance(self, name: str, account_type: str) -> int:
        """What the account must hold."""
        return self._balances[name, account_type]
