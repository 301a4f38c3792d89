"""Reads the accounts of the day from the admin API and compares them with the day's books."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clearinghub.tools.client.admin import AdminClient
from sandbox.demo.day.day_books import Account, DayBooks
from sandbox.demo.day.day_plan import DayPlan
from sandbox.demo.day.problems import Problems

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"
MULTILATERAL: Final = "HUB_MULTILATERAL_SETTLEMENT"
RECONCILIATION: Final = "HUB_RECONCILIATION"
POLL_INTERVAL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's id and its balance in 1/10,000, as the hub returned them."""

    account_id: int
    value_units: int


class Accounts:
    """The accounts of a day's DFSPs and of the hub. All methods that read raise AdminError.

    Of the hub's own accounts, only the change since `begin` is compared.
    """

    def __init__(self, admin: AdminClient, hub_name: str, plan: DayPlan) -> None:
        self._admin = admin
        self._hub_name = hub_name
        self._plan = plan
        self._before: dict[tuple[str, str], int] = {}
        self.balances: dict[tuple[Account, str], Balance] = {}

    async def begin(self) -> None:
        """Note the balances of the hub's own accounts at the beginning of the day."""
        await self._read([self._hub_name])
        for currency in self._plan.currencies:
            for account_type in (MULTILATERAL, RECONCILIATION):
                self._before[currency, account_type] = self._value((currency, self._hub_name), account_type) or 0

    def account_id(self, account: Account, account_type: str) -> int:
        """Return the id of an account that was read before."""
        return self.balances[account, account_type].account_id

    async def check(self, when: str, books: DayBooks, problems: Problems, within_s: float = 0.0) -> None:
        """Compare every account with the books; differences count when they are still there after `within_s`."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        while True:
            await self._read([*self._plan.names, self._hub_name])
            if all(expected == seen for _what, expected, seen in self._pairs(books)) or loop.time() >= deadline_s:
                break
            await asyncio.sleep(POLL_INTERVAL_S)
        for what, expected, seen in self._pairs(books):
            problems.check_amount(f"{when}: {what}", expected, seen)

    def _pairs(self, books: DayBooks) -> Iterable[tuple[str, int, int | None]]:
        for account in self._plan.accounts:
            currency, name = account
            yield f"{name} {POSITION} {currency}", books.position(account), self._value(account, POSITION)
            yield f"{name} {SETTLEMENT} {currency}", books.settlement(account), self._value(account, SETTLEMENT)
        for currency in self._plan.currencies:
            for account_type, expected in (
                (MULTILATERAL, books.multilateral(currency)),
                (RECONCILIATION, books.reconciliation(currency)),
            ):
                seen = self._value((currency, self._hub_name), account_type)
                changed = None if seen is None else seen - self._before[currency, account_type]
                yield f"change of {self._hub_name} {account_type} {currency}", expected, changed

    def _value(self, account: Account, account_type: str) -> int | None:
        balance = self.balances.get((account, account_type))
        return None if balance is None else balance.value_units

    async def _read(self, names: Iterable[str]) -> None:
        for name in names:
            for account in await self._admin.accounts(name):
                balance = Balance(account.account_id, account.value_units)
                self.balances[(account.currency, name), account.account_type] = balance
