"""Windows and settlements as the topics show them: the nets added up anew, and every move that a settlement made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from clearinghub.tools.audit.life import COMMITTED, SETTLED
from clearinghub.tools.audit.records import (
    INTERCHANGE_FEE,
    MULTILATERAL,
    POSITION,
    TRANSFER,
    Change,
    FinalState,
    Leg,
    SettledAccount,
    SettledLegs,
    SettlementChange,
    WindowChange,
    WindowNets,
    account_name,
)
from clearinghub.tools.audit.rules import Findings, Rule
from clearinghub.tools.client.money import shown_amount

_NOT_CLOSED: Final = frozenset({"OPEN", "PROCESSING"})
_RECIPIENTS_MOVED: Final = frozenset({"PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED", "SETTLED"})
_SENDERS_MOVED: Final = frozenset({"PS_TRANSFERS_COMMITTED", "SETTLED"})


class Sums(NamedTuple):
    """The debits and credits of one participant in one netting group, and how many there are of each."""

    debits: int
    credits: int
    debit_count: int
    credit_count: int

    def plus(self, other: Sums) -> Sums:
        return Sums(*(mine + its for mine, its in zip(self, other, strict=True)))

    def __str__(self) -> str:
        debits, credits_ = shown_amount(self.debits), shown_amount(self.credits)
        return f"{debits} in {self.debit_count} debits and {credits_} in {self.credit_count} credits"


NettingGroupOf = tuple[str, str, str]
"""Currency, ledger account type and granularity."""

NOTHING: Final = Sums(0, 0, 0, 0)


class Tallies:
    """The sums of participants by netting group."""

    def __init__(self) -> None:
        self._sums: dict[tuple[NettingGroupOf, str], Sums] = {}

    @property
    def sums(self) -> Mapping[tuple[NettingGroupOf, str], Sums]:
        """The sums by netting group and participant."""
        return self._sums

    def add(self, group: NettingGroupOf, participant: str, sums: Sums) -> None:
        """Add to what a participant has in a netting group."""
        self._sums[group, participant] = self._sums.get((group, participant), NOTHING).plus(sums)

    def add_transfer(self, currency: str, names: tuple[str, str], amount: int, fee: int, *, is_gross: bool) -> None:
        """Add a committed transfer between payer and payee (`names`); a negative fee is owed by the payee."""
        payer, payee = names
        group = (currency, POSITION, "GROSS" if is_gross else "NET")
        self.add(group, payer, Sums(amount, 0, 1, 0))
        self.add(group, payee, Sums(0, amount, 0, 1))
        if fee:
            of_fees = (currency, INTERCHANGE_FEE, "NET")
            owing, owed = (payer, payee) if fee > 0 else (payee, payer)
            self.add(of_fees, owing, Sums(abs(fee), 0, 1, 0))
            self.add(of_fees, owed, Sums(0, abs(fee), 0, 1))


@dataclass(slots=True)
class Window:
    """What was seen of a window: the sums of its transfers, and the nets that the ledger published when it closed."""

    state: str = "OPEN"
    reason: str | None = None
    changed_ms: int = 0
    counted: Tallies = field(default_factory=Tallies)
    published: Tallies = field(default_factory=Tallies)


@dataclass(slots=True)
class Settlement:
    """What was seen of a settlement: its last change, its accounts, and their legs by account."""

    changed_ms: int = 0
    record: SettlementChange | None = None
    accounts: dict[int, SettledAccount] = field(default_factory=dict)
    legs: dict[int, list[Leg]] = field(default_factory=dict)

    @property
    def is_moving(self) -> bool:
        """Whether it is being made, or an account of it is moving."""
        return self.record is None or any(account.moving for account in self.accounts.values())


class Settlements:
    """Puts windows and settlements together; they are judged at the cut."""

    def __init__(self, findings: Findings, hub_name: str, settle_ms: int, *, is_whole: bool) -> None:
        """`is_whole`: the topics still have every transfer from the first on."""
        self._findings = findings
        self._hub_name = hub_name
        self._settle_ms = settle_ms
        self._is_whole = is_whole
        self._windows: dict[int, Window] = {}
        self._settlements: dict[int, Settlement] = {}
        self._settlement_of: dict[str, int] = {}
        self._moved: dict[int, Counter[tuple[str, str]]] = {}

    def change_window(self, record: WindowChange | WindowNets, at_ms: int) -> None:
        """Take a record of topic `settlement-windows` in."""
        window = self._windows.setdefault(record.settlement_window_id, Window())
        window.changed_ms = at_ms
        if isinstance(record, WindowChange):
            window.state, window.reason = record.state, record.reason
            return
        group = (record.currency, record.ledger_account_type, record.granularity)
        for net in record.nets:
            sums = Sums(net.debits, net.credits, net.debit_count, net.credit_count)
            window.published.add(group, net.participant, sums)

    def change_settlement(self, record: SettlementChange | SettledAccount | SettledLegs, at_ms: int) -> None:
        """Take a record of topic `settlements` in."""
        number = record.settlement_id
        settlement = self._settlements.setdefault(number, Settlement())
        settlement.changed_ms = at_ms
        if isinstance(record, SettlementChange):
            settlement.record = record
        elif isinstance(record, SettledAccount):
            settlement.accounts[record.account_id] = record
        else:
            settlement.legs.setdefault(record.account_id, []).extend(record.legs)
            for leg in record.legs:
                self._settlement_of[leg.transfer_id] = number

    def count(self, final: FinalState) -> None:
        """Count a final state in its window, if it is a committed transfer's."""
        if final.window is None or final.kind != TRANSFER or final.state not in COMMITTED:
            return
        window = self._windows.setdefault(final.window, Window())
        names = (final.payer, final.payee)
        is_gross = final.state == SETTLED
        window.counted.add_transfer(final.currency, names, final.amount, final.interchange_fee, is_gross=is_gross)

    def move(self, change: Change) -> bool:
        """Record that an account was moved for a settlement; returns False if no settlement seen so far does that."""
        number = self._settlement_of.get(change.transfer_id)
        if number is None:
            return False
        self._moved.setdefault(number, Counter())[change.transfer_id, change.account] += change.change
        return True

    def sums_of_window(self, number: int) -> Mapping[tuple[NettingGroupOf, str], Sums]:
        """Return the sums of the transfers that name a window."""
        window = self._windows.get(number)
        return {} if window is None else window.counted.sums

    def sums_of_settlement(self, number: int) -> Mapping[tuple[NettingGroupOf, str], Sums]:
        """Return the sums of the transfers of a settlement's windows, as far as it settles them."""
        found = Tallies()
        record = self._settlements[number].record if number in self._settlements else None
        if record is not None:
            for content in record.contents:
                group = (content.currency, content.ledger_account_type, "NET")
                for (its_group, participant), sums in self.sums_of_window(content.settlement_window_id).items():
                    if its_group == group:
                        found.add(group, participant, sums)
        return found.sums

    def pending(self, cut_ms: int) -> list[str]:
        """Return what is not right and may become so: a record is on its way, or an account is about to be moved."""
        windows = (
            f"window {number}"
            for number, window in self._windows.items()
            if _window_fault(window) is not None and self._is_young(window.changed_ms, cut_ms)
        )
        settlements = (
            f"settlement {number}"
            for number, one in self._settlements.items()
            if self._settlement_fault(number, one) is not None
            and (one.is_moving or self._is_young(one.changed_ms, cut_ms))
        )
        return [*windows, *settlements] if self._is_whole else []

    def on_their_way(self, pending: list[str], currency: str) -> int:
        """Return what the accounts hold too much or too little for settlements that are pending."""
        total = 0
        for number, moved in self._moved.items():
            if f"settlement {number}" in pending:
                total += sum(change for (_id, account), change in moved.items() if f"/{currency}/" in account)
        return total

    def close(self, pending: list[str]) -> None:
        """Judge all windows and settlements but those that are pending."""
        if not self._is_whole:
            self._findings.leave_out(Rule.WINDOW_NETS, "the first transfers are no longer kept")
            self._findings.leave_out(Rule.SETTLEMENT, "the first transfers are no longer kept")
            return
        for number, window in sorted(self._windows.items()):
            if window.state not in _NOT_CLOSED and f"window {number}" not in pending:
                self._findings.check(Rule.WINDOW_NETS, f"window {number}", _window_fault(window))
        for number, one in sorted(self._settlements.items()):
            if f"settlement {number}" not in pending:
                self._findings.check(Rule.SETTLEMENT, f"settlement {number}", self._settlement_fault(number, one))

    def _is_young(self, at_ms: int, cut_ms: int) -> bool:
        return cut_ms - at_ms < self._settle_ms

    def _settlement_fault(self, number: int, one: Settlement) -> str | None:
        if one.record is None:
            return "it was begun and is not whole: the record of the settlement itself is missing"
        if len(one.accounts) != one.record.accounts:
            return f"it has {one.record.accounts} accounts, and {len(one.accounts)} are on the topic"
        for account_id, account in sorted(one.accounts.items()):
            if sum(leg.net for leg in one.legs.get(account_id, ())) != account.net:
                return f"the legs of {account.participant} {account.currency} do not add up to its net"
        expected = Counter(dict(self._due(one.record, one)))
        found = self._moved.get(number, Counter())
        for transfer_id, name in sorted(expected.keys() | found.keys()):
            due, is_there = expected[transfer_id, name], found[transfer_id, name]
            if due != is_there:
                moved = f"{name} was moved by {shown_amount(is_there)} for {transfer_id}"
                return f"{moved}, {shown_amount(due)} expected"
        nets: Counter[str] = Counter()
        for settled in one.accounts.values():
            nets[settled.currency] += settled.net
        odd = [currency for currency, net in nets.items() if net]
        return f"nets in {', '.join(odd)} do not add up to zero" if odd else None

    def _due(self, record: SettlementChange, one: Settlement) -> Iterator[tuple[tuple[str, str], int]]:
        """Return by how much each account must have been moved, and the hub's against it, by transfer and account."""
        for account_id, account in one.accounts.items():
            name = account_name(account.participant, account.currency, record.ledger_account_type)
            contra = account_name(self._hub_name, account.currency, MULTILATERAL)
            for leg in one.legs.get(account_id, ()):
                states = _RECIPIENTS_MOVED if leg.net < 0 else _SENDERS_MOVED
                if record.moves_positions and leg.net and account.state in states:
                    yield (leg.transfer_id, name), -leg.net
                    yield (leg.transfer_id, contra), leg.net


def _window_fault(window: Window) -> str | None:
    if window.state == "FAILED":
        return f"FAILED: {window.reason}"
    if window.state in _NOT_CLOSED:
        return None
    all_counted, all_published = window.counted.sums, window.published.sums
    for key in sorted(all_counted.keys() | all_published.keys()):
        counted, published = all_counted.get(key), all_published.get(key)
        if counted != published:
            (currency, _type, granularity), participant = key
            of_ledger, of_transfers = published or "nothing", counted or "nothing"
            return f"{participant} {currency} {granularity}: told {of_ledger}, its transfers are {of_transfers}"
    if sum(sums.debits - sums.credits for sums in all_published.values()):
        return "its nets do not add up to zero"
    return None
