"""What every account must hold, computed from the plan alone, and its comparison with what the hub reports."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clearinghub.tools.client.admin import AdminClient, AdminError
from sandbox.demo.transfers.expectations import EXPECTED, TransferCase

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"
RECONCILIATION: Final = "HUB_RECONCILIATION"
POLL_INTERVAL_S: Final = 0.1
QUIET_S: Final = 0.5  # balances that are right must stay right


class ExpectedBalances:
    """The balances that accounts must have, in 1/10,000, from what was sent and never from the hub's answers.

    Signs are those of protocol 4.1: a position is positive if it is owed to the scheme.
    """

    def __init__(self, hub_name: str) -> None:
        self._hub_name = hub_name
        self._balances: Counter[tuple[str, str]] = Counter()

    def add_funds(self, name: str, amount_units: int) -> None:
        """Book funds in: the settlement account shows them as a negative value, the hub's account as a positive one."""
        self._balances[name, SETTLEMENT] -= amount_units
        self._balances[self._hub_name, RECONCILIATION] += amount_units

    def add_transfer(self, case: TransferCase) -> None:
        """Book a finished transfer: both positions move if its kind must commit, otherwise nothing does."""
        if EXPECTED[case.kind].is_committed:
            self.move(case.payer, case.payee, case.amount_units)

    def move(self, payer: str, payee: str, amount_units: int) -> None:
        """Book a committed transfer in both positions."""
        self._balances[payer, POSITION] += amount_units
        self._balances[payee, POSITION] -= amount_units

    def balance(self, name: str, account_type: str) -> int:
        """Return what a participant's account must hold, in 1/10,000."""
        return self._balances[name, account_type]


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """One account's comparison; `seen_units` is None if the hub does not know the account."""

    participant: str
    account_type: str
    expected_units: int
    seen_units: int | None

    @property
    def ok(self) -> bool:
        return self.expected_units == self.seen_units


class BalanceChecker:
    """Compares accounts on the admin API with ExpectedBalances.

    `reconciliation_units` is what the hub's reconciliation account held before the run.
    """

    def __init__(self, admin: AdminClient, hub_name: str, currency: str, reconciliation_units: int) -> None:
        self._admin = admin
        self._hub_name = hub_name
        self._currency = currency
        self._reconciliation_units = reconciliation_units

    async def check_at_end(
        self, expected: ExpectedBalances, names: Iterable[str], timeout_s: float
    ) -> list[AccountCheck]:
        """Wait until all accounts are right, at most `timeout_s`, then return what they hold a moment later.

        A payee's credit follows the commit on another partition, so accounts may be late; once right they must stay so.
        """
        everybody = list(names)
        await self.check(expected, everybody, timeout_s)
        await asyncio.sleep(QUIET_S)
        return await self._compare(expected, everybody)

    async def check(self, expected: ExpectedBalances, names: Iterable[str], timeout_s: float) -> list[AccountCheck]:
        """Return every account as soon as all are right, or as they are after `timeout_s`."""
        everybody = list(names)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        checks = await self._compare(expected, everybody)
        while not all(check.ok for check in checks) and loop.time() < deadline_s:
            await asyncio.sleep(POLL_INTERVAL_S)
            checks = await self._compare(expected, everybody)
        return checks

    async def _compare(self, expected: ExpectedBalances, names: Iterable[str]) -> list[AccountCheck]:
        accounts = [(name, account_type) for name in names for account_type in (POSITION, SETTLEMENT)]
        checks = [
            AccountCheck(name, account_type, expected.balance(name, account_type), await self._seen(name, account_type))
            for name, account_type in accounts
        ]
        reconciliation_units = await self._seen(self._hub_name, RECONCILIATION)
        change_units = None if reconciliation_units is None else reconciliation_units - self._reconciliation_units
        expected_units = expected.balance(self._hub_name, RECONCILIATION)
        return [*checks, AccountCheck(f"{self._hub_name} (change)", RECONCILIATION, expected_units, change_units)]

    async def _seen(self, name: str, account_type: str) -> int | None:
        try:
            account = await self._admin.account(name, self._currency, account_type)
        except AdminError:
            return None
        return account.value_units if account is not None else None
