"""Windows and settlements as the topics tell them: the nets counted anew, and every move that a settlement made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from clearinghub.tools.audit.life import COMMITTED
from clearinghub.tools.audit.money import shown
from clearinghub.tools.audit.records import INTERCHANGE_FEE, MULTILATERAL, POSITION, TRANSFER, Change, account_name
from clearinghub.tools.audit.rules import Findings, Rule

_NOT_CLOSED: Final = frozenset({"OPEN", "PROCESSING"})
_RECIPIENTS_MOVED: Final = frozenset({"PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED", "SETTLED"})
_SENDERS_MOVED: Final = frozenset({"PS_TRANSFERS_COMMITTED", "SETTLED"})


class Sums(NamedTuple):
    """The debits and credits of one participant in one netting_group of one window."""

    debits: int
    credits: int
    debit_count: int
    credit_count: int

    def plus(self, other: Sums) -> Sums:
        """Both together."""
        return Sums(*(mine + its for mine, its in zip(self, other, strict=True)))


NettingGroupOf = tuple[str, str, str]
"""Currency, ledger account type and granularity."""


Counted = dict[tuple[NettingGroupOf, str], Sums]
"""By netting_group and participant."""


@dataclass(slots=True)
class Window:
    """What was seen of a window: counted from its transfers, and as the ledger told it when it closed."""

    state: str = "OPEN"
    reason: str | None = None
    changed_ms: int = 0
    counted: Counted = field(default_factory=dict)
    told: Counted = field(default_factory=dict)


class Settlements:
    """Puts windows and settlements together; judged at the cut."""

    def __init__(self, findings: Findings, hub_name: str, settle_ms: int, *, is_whole: bool) -> None:
        """`is_whole`: the topics still have every transfer from the first on."""
        self._findings = findings
        self._hub_name = hub_name
        self._settle_ms = settle_ms
        self._is_whole = is_whole
        self._windows: dict[int, Window] = {}
        self._rows: dict[int, tuple[int, dict[str, Any]]] = {}
        self._settlement_of: dict[str, int] = {}
        self._moved: dict[int, Counter[tuple[str, str]]] = {}

    def window_told(self, row: dict[str, Any], at_ms: int) -> None:
        """A record of topic `settlement-windows`."""
        window = self._windows.setdefault(row["settlementWindowId"], Window())
        window.changed_ms = at_ms
        if row["kind"] == "window":
            window.state, window.reason = row["state"], row["reason"]
            return
        netting_group = (row["currency"], row["ledgerAccountType"], row["granularity"])
        for net in row["nets"]:
            sums = Sums(net["debits"], net["credits"], net["debitCount"], net["creditCount"])
            _add(window.told, (netting_group, net["participant"]), sums)

    def settlement_told(self, row: dict[str, Any], at_ms: int) -> None:
        """A record of topic `settlements`."""
        number = row["settlementId"]
        self._rows[number] = (at_ms, row)
        for account in row["accounts"]:
            for leg in account["legs"]:
                self._settlement_of[leg["transferId"]] = number

    def committed(self, row: dict[str, Any]) -> None:
        """A final state, topic `transfers`."""
        if row["window"] is None or row["kind"] != TRANSFER or row["state"] not in COMMITTED:
            return
        window = self._windows.setdefault(row["window"], Window())
        netting_group = (row["currency"], POSITION, "GROSS" if row["state"] == "SETTLED" else "NET")
        _add(window.counted, (netting_group, row["payer"]), Sums(row["amount"], 0, 1, 0))
        _add(window.counted, (netting_group, row["payee"]), Sums(0, row["amount"], 0, 1))
        fee = row["interchangeFee"]
        if fee:
            of_fees = (row["currency"], INTERCHANGE_FEE, "NET")
            owing, owed = (row["payer"], row["payee"]) if fee > 0 else (row["payee"], row["payer"])
            _add(window.counted, (of_fees, owing), Sums(abs(fee), 0, 1, 0))
            _add(window.counted, (of_fees, owed), Sums(0, abs(fee), 0, 1))

    def moved(self, change: Change) -> bool:
        """An account was moved for a settlement; False if by none that is known."""
        number = self._settlement_of.get(change.transfer_id)
        if number is None:
            return False
        self._moved.setdefault(number, Counter())[change.transfer_id, change.account] += change.change
        return True

    def sums_of_window(self, number: int) -> Counted:
        """What the transfers that name a window add up to."""
        window = self._windows.get(number)
        return {} if window is None else dict(window.counted)

    def sums_of_settlement(self, number: int) -> Counted:
        """What the transfers of a settlement's windows add up to, as far as it settles them."""
        _at_ms, row = self._rows.get(number, (0, {"contents": []}))
        found: Counted = {}
        for content in row["contents"]:
            netting_group = (content["currency"], content["ledgerAccountType"], "NET")
            for key, sums in self.sums_of_window(content["settlementWindowId"]).items():
                if key[0] == netting_group:
                    _add(found, key, sums)
        return found

    def pending(self, cut_ms: int) -> list[str]:
        """What does not fit together, and may yet: a record is on its way, or an account about to be moved."""
        windows = (
            f"window {number}"
            for number, window in self._windows.items()
            if _window_fault(window) is not None and self._is_young(window.changed_ms, cut_ms)
        )
        settlements = (
            f"settlement {number}"
            for number, (at_ms, row) in self._rows.items()
            if self._settlement_fault(row) is not None and (_is_moving(row) or self._is_young(at_ms, cut_ms))
        )
        return [*windows, *settlements] if self._is_whole else []

    def on_their_way(self, pending: list[str], currency: str) -> int:
        """What the accounts hold too much or too little for settlements that are pending."""
        total = 0
        for number, moved in self._moved.items():
            if f"settlement {number}" in pending:
                total += sum(change for (_id, account), change in moved.items() if f"/{currency}/" in account)
        return total

    def close(self, pending: list[str]) -> None:
        """Judge all but what is pending."""
        if not self._is_whole:
            self._findings.leave_out(Rule.WINDOW_NETS, "the first transfers are no longer kept")
            self._findings.leave_out(Rule.SETTLEMENT, "the first transfers are no longer kept")
            return
        for number, window in sorted(self._windows.items()):
            if window.state not in _NOT_CLOSED and f"window {number}" not in pending:
                self._findings.check(Rule.WINDOW_NETS, f"window {number}", _window_fault(window))
        for number, (_at_ms, row) in sorted(self._rows.items()):
            if f"settlement {number}" not in pending:
                self._findings.check(Rule.SETTLEMENT, f"settlement {number}", self._settlement_fault(row))

    def _is_young(self, at_ms: int, cut_ms: int) -> bool:
        return cut_ms - at_ms < self._settle_ms

    def _settlement_fault(self, row: dict[str, Any]) -> str | None:
        expected = Counter(dict(self._due(row)))
        found = self._moved.get(row["settlementId"], Counter())
        for transfer_id, account in sorted(expected.keys() | found.keys()):
            due, is_there = expected[transfer_id, account], found[transfer_id, account]
            if due != is_there:
                return f"{account} was moved by {shown(is_there)} for {transfer_id}, {shown(due)} expected"
        nets: Counter[str] = Counter()
        for account in row["accounts"]:
            nets[account["currency"]] += account["net"]
        odd = [currency for currency, net in nets.items() if net]
        return f"nets in {', '.join(odd)} do not add up to zero" if odd else None

    def _due(self, row: dict[str, Any]) -> Iterator[tuple[tuple[str, str], int]]:
        """By how much each account must have been moved, and the hub's against it."""
        for account in row["accounts"]:
            name = account_name(account["participant"], account["currency"], row["ledgerAccountType"])
            contra = account_name(self._hub_name, account["currency"], MULTILATERAL)
            for leg in account["legs"]:
                states = _RECIPIENTS_MOVED if leg["net"] < 0 else _SENDERS_MOVED
                if row["movesPositions"] and leg["net"] and account["state"] in states:
                    yield (leg["transferId"], name), -leg["net"]
                    yield (leg["transferId"], contra), leg["net"]


def _is_moving(row: dict[str, Any]) -> bool:
    return any(account["moving"] for account in row["accounts"])


def _window_fault(window: Window) -> str | None:
    if window.state == "FAILED":
        return f"FAILED: {window.reason}"
    if window.state in _NOT_CLOSED:
        return None
    for key in sorted(window.counted.keys() | window.told.keys()):
        counted, told = window.counted.get(key), window.told.get(key)
        if counted != told:
            (currency, _type, granularity), participant = key
            return f"{participant} {currency} {granularity}: told {_words(told)}, its transfers are {_words(counted)}"
    if sum(sums.debits - sums.credits for sums in window.told.values()):
        return "its nets do not add up to zero"
    return None


def _words(sums: Sums | None) -> str:
    if sums is None:
        return "nothing"
    return f"{shown(sums.debits)} in {sums.debit_count} debits and {shown(sums.credits)} in {sums.credit_count} credits"


def _add(all_sums: Counted, key: tuple[NettingGroupOf, str], sums: Sums) -> None:
    before = all_sums.get(key)
    all_sums[key] = sums if before is None else before.plus(sums)
