"""Accounts as their changes show them: balances that must continue, and the room that reservations had."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clearinghub.tools.audit.records import POSITION, PRINCIPLE_VALUE, SETTLEMENT, Change, account_name
from clearinghub.tools.audit.rules import Findings, Rule
from clearinghub.tools.client.money import shown_amount

CAP_SLACK_MS: Final = 2_000
"""A cap and a reservation of one transaction have times that differ by its length; no topic says which was first."""


class Caps:
    """The net debit caps of all accounts and since when each counts, from topic `events`."""

    def __init__(self) -> None:
        self._times_ms: dict[str, list[int]] = {}
        self._caps: dict[str, list[int]] = {}
        self._before: dict[str, int | None] = {}

    def adjust(self, account: str, at_ms: int, cap: int, before: int | None) -> None:
        """Record that a cap was set in place of `before`."""
        self._before.setdefault(account, before)
        times_ms = self._times_ms.setdefault(account, [])
        index = bisect_right(times_ms, at_ms)
        times_ms.insert(index, at_ms)
        self._caps.setdefault(account, []).insert(index, cap)

    def loosest(self, account: str, at_ms: int) -> int | None:
        """Return the highest cap that may have counted at that time; None if none is known."""
        times_ms = self._times_ms.get(account)
        if times_ms is None:
            return None
        caps = self._caps[account]
        first = bisect_left(times_ms, at_ms - CAP_SLACK_MS)
        end = bisect_right(times_ms, at_ms + CAP_SLACK_MS)
        in_force = caps[first - 1] if first > 0 else self._before[account]
        candidates = caps[first:end] if in_force is None else [in_force, *caps[first:end]]
        return max(candidates, default=None)


@dataclass(slots=True)
class Account:
    """The balance of one account, and the number of its last change."""

    participant: str
    currency: str
    account_type: str
    value: int = 0
    number: int = 0


class Accounts:
    """Follows every account from its first change on."""

    def __init__(self, findings: Findings, *, is_whole: bool) -> None:
        """`is_whole`: the topics still have every account's first change."""
        self.caps = Caps()
        self.without_cap = 0  # reservations whose cap is on no topic
        self._findings = findings
        self._is_whole = is_whole
        self._accounts: dict[str, Account] = {}

    def change(self, change: Change, at_ms: int) -> None:
        """Check a change of an account and take it over."""
        name = change.account
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account(change.participant, change.currency, change.account_type)
            if not self._is_whole:
                account.value, account.number = change.value - change.change, change.number - 1
        self._findings.check(Rule.RUNNING_BALANCE, name, _gap(account, change))
        account.value, account.number = change.value, change.number
        if change.account_type == POSITION and change.entry_type == PRINCIPLE_VALUE and change.change > 0:
            self._check_room(change, at_ms)

    def total(self, currency: str, account_types: Iterable[str]) -> int:
        """Return what all accounts of these types hold together."""
        types = frozenset(account_types)
        return sum(
            account.value
            for account in self._accounts.values()
            if account.currency == currency and account.account_type in types
        )

    def currencies(self) -> list[str]:
        """Return the currencies in which there is an account."""
        return sorted({account.currency for account in self._accounts.values()})

    def _check_room(self, change: Change, at_ms: int) -> None:
        held = change.value + change.reserved
        settlement = self._accounts.get(account_name(change.participant, change.currency, SETTLEMENT))
        if settlement is not None or self._is_whole:
            funds = 0 if settlement is None else -settlement.value
            fault = (
                f"{change.account} is {shown_amount(held)}, its funds are {shown_amount(funds)}"
                if held > funds
                else None
            )
            self._findings.check(Rule.FUNDS, change.transfer_id, fault)
        cap = self.caps.loosest(change.account, at_ms)
        if cap is None:
            self.without_cap += 1
            return
        fault = f"{change.account} is {shown_amount(held)}, its cap is {shown_amount(cap)}" if held > cap else None
        self._findings.check(Rule.CAP, change.transfer_id, fault)


def _gap(account: Account, change: Change) -> str | None:
    faults = []
    if change.number != account.number + 1:
        faults.append(f"change {change.number} follows change {account.number}")
    if change.value != account.value + change.change:
        faults.append(
            f"change {change.number} of {shown_amount(change.change, signed=True)} by {change.transfer_id} makes "
            f"{shown_amount(account.value)} to {shown_amount(change.value)}"
        )
    return "; ".join(faults) or None
