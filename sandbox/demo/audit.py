"""Compares every account of the run with the demo's own books, to the last 1/10,000."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clearinghub.tools.client.admin import AdminClient, AdminError
from sandbox.demo.books import POSITION, RECONCILIATION, SETTLEMENT, Books

POLL_INTERVAL_S: Final = 0.1
QUIET_S: Final = 0.5  # right must stay right


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One account; `seen_units` is None if the hub does not know it."""

    participant: str
    account_type: str
    expected_units: int
    seen_units: int | None

    @property
    def ok(self) -> bool:
        """True if they are equal."""
        return self.expected_units == self.seen_units


class Auditor:
    """Reads accounts from the admin API. `reconciliation_units` is what the hub's own held before the run."""

    def __init__(self, admin: AdminClient, hub_name: str, currency: str, reconciliation_units: int) -> None:
        self._admin = admin
        self._hub_name = hub_name
        self._currency = currency
        self._reconciliation_units = reconciliation_units

    async def audit(self, books: Books, names: Iterable[str], timeout_s: float) -> list[AuditLine]:
        """One line an account, read when all were right, or at the end of `timeout_s`.

        A payee's credit follows the commit in another partition, so right may take a moment; it must then stay.
        """
        everybody = list(names)
        await self.settled(books, everybody, timeout_s)
        await asyncio.sleep(QUIET_S)
        return await self._lines(books, everybody)

    async def settled(self, books: Books, names: Iterable[str], timeout_s: float) -> list[AuditLine]:
        """The same without a second look: for between the payments."""
        everybody = list(names)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        lines = await self._lines(books, everybody)
        while not all(line.ok for line in lines) and loop.time() < deadline_s:
            await asyncio.sleep(POLL_INTERVAL_S)
            lines = await self._lines(books, everybody)
        return lines

    async def _lines(self, books: Books, names: Iterable[str]) -> list[AuditLine]:
        accounts = [(name, account_type) for name in names for account_type in (POSITION, SETTLEMENT)]
        lines = [
            AuditLine(name, account_type, books.balance(name, account_type), await self._seen(name, account_type))
            for name, account_type in accounts
        ]
        reconciliation_units = await self._seen(self._hub_name, RECONCILIATION)
        change_units = None if reconciliation_units is None else reconciliation_units - self._reconciliation_units
        expected_units = books.balance(self._hub_name, RECONCILIATION)
        return [*lines, AuditLine(f"{self._hub_name} (change)", RECONCILIATION, expected_units, change_units)]

    async def _seen(self, name: str, account_type: str) -> int | None:
        try:
            account = await self._admin.account(name, self._currency, account_type)
        except AdminError:
            return None
        return account.value_units if account is not None else None
