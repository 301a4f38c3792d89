"""The books: every record goes in, in the order of time; at the end they are closed and must balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from clearinghub.messages import MalformedMessageError, decode_fields
from clearinghub.tools.audit.accounts import Accounts
from clearinghub.tools.audit.life import Life, Move, Standing, due_moves, judge
from clearinghub.tools.audit.money import shown
from clearinghub.tools.audit.records import (
    INITIAL_POSITION,
    POSITION,
    RECONCILIATION,
    SETTLED_TYPES,
    SETTLEMENT,
    SETTLEMENT_ENTRIES,
    TRANSFER,
    TRANSFER_ENTRIES,
    Entry,
    account_name,
    change_of,
    final_of,
    lines_of_bulk,
    row_of,
    terms_of_command,
    terms_of_prepare,
)
from clearinghub.tools.audit.rules import Findings, Rule
from clearinghub.tools.audit.settlements import Settlements
from clearinghub.tools.audit.transfers import Kept, Transfers

WRITTEN_BY_THE_LEDGER: Final = frozenset(
    {"credit", "events", "positions", "settlement-windows", "settlements", "transfers"}
)
ADVANCE_EVERY: Final = 1_000  # records


@dataclass(frozen=True, slots=True)
class Balance:
    """A currency at the cut, in 1/10,000 of its unit. `expected` is what `total` must be."""

    rule: Rule
    currency: str
    total: int
    in_flight: int
    on_their_way: int
    initial: int

    @property
    def expected(self) -> int:
        """What the accounts must hold together."""
        return self.in_flight + self.on_their_way + self.initial


@dataclass(frozen=True, slots=True)
class Closing:
    """The books at the cut: how many transfers stand how, and the balances of each currency.

    `pending` are transfers of which a record was still on its way; they are neither right nor wrong yet.
    """

    finished: int
    in_flight: int
    undecided: int
    unjudged: int
    pending: tuple[str, ...]
    balances: tuple[Balance, ...]


class Books:
    """All that is known from the records so far."""

    def __init__(self, hub_name: str, settle_ms: int, kept: Kept) -> None:
        """`settle_ms`: how long a record may be on its way from one partition to another."""
        self.findings = Findings()
        self.records = 0
        self._hub_name = hub_name
        self._settle_ms = settle_ms
        self._is_whole = kept.books_ms == 0
        self._accounts = Accounts(self.findings, is_whole=self._is_whole)
        self._transfers = Transfers(self.findings, hub_name, settle_ms, kept)
        self._settlements = Settlements(self.findings, hub_name, settle_ms, is_whole=self._is_whole)
        self._initial: Counter[str] = Counter()
        self._dead: set[tuple[str, int, int]] = set()
        self._takers: dict[str, Callable[[Entry], None]] = {
            "bulk-fulfil": self._take_bulk_fulfil,
            "bulk-prepare": self._take_bulk_prepare,
            "command": self._take_command,
            "credit": self._take_credit,
            "dead-letter": self._take_dead_letter,
            "events": self._take_event,
            "fulfil": self._take_fulfil,
            "positions": self._take_change,
            "settlement-windows": self._take_window,
            "settlements": self._take_settlement,
            "prepare": self._take_prepare,
            "transfers": self._take_ending,
        }

    def take(self, entry: Entry) -> None:
        """One record; dead letters and events before all others, for these need them."""
        self.records += 1
        fault = None
        try:
            self._takers[entry.topic](entry)
        except (KeyError, MalformedMessageError, TypeError, ValueError) as error:
            fault = repr(error)
        if entry.topic in WRITTEN_BY_THE_LEDGER:  # what others write badly, the ledger refuses
            self.findings.check(Rule.READABLE, f"{entry.topic}-{entry.partition}-{entry.offset}", fault)
        if self.records % ADVANCE_EVERY == 0:
            self._transfers.advance(entry.at_ms)

    @property
    def settlements(self) -> Settlements:
        """Windows and settlements, as counted."""
        return self._settlements

    def pending(self, cut_ms: int) -> list[Life]:
        """Transfers of which something is missing that may still be on its way."""
        return [life for life in self._transfers.open() if self._is_pending(life, cut_ms)]

    def is_pending(self, cut_ms: int) -> bool:
        """Something may still be on its way."""
        return bool(self.pending(cut_ms) or self._settlements.pending(cut_ms))

    def close(self, cut_ms: int) -> Closing:
        """Judge what is left, and balance the books."""
        standings: Counter[Standing] = Counter()
        due: list[Move] = []
        pending = self.pending(cut_ms)
        ids = {id(life) for life in pending}
        for life in self._transfers.open():
            if id(life) in ids:
                continue
            verdict = judge(life, self._hub_name)
            for rule, fault in verdict.looked_at:
                self.findings.check(rule, life.transfer_id, fault)
            due += due_moves(life)
            if verdict.standing is not Standing.UNDECIDED or (life.asked[0].kind == TRANSFER and not life.of_bulk):
                standings[verdict.standing] += 1
        unsettled = self._settlements.pending(cut_ms)
        self._settlements.close(unsettled)
        balances = self._balances(due, [move for life in pending for move in life.moves], unsettled)
        for balance in balances:
            self.findings.check(balance.rule, balance.currency, _imbalance(balance))
        self._leave_out()
        return Closing(
            finished=self._transfers.finished + standings[Standing.FINISHED],
            in_flight=standings[Standing.IN_FLIGHT],
            undecided=standings[Standing.UNDECIDED],
            unjudged=self._transfers.unjudged,
            pending=(*(life.transfer_id for life in pending), *unsettled),
            balances=balances,
        )

    def _is_pending(self, life: Life, cut_ms: int) -> bool:
        is_young = cut_ms - life.last_ms < self._settle_ms
        return is_young and judge(life, self._hub_name).standing is Standing.AMISS

    def _balances(self, due: list[Move], pending: list[Move], unsettled: list[str]) -> tuple[Balance, ...]:
        if not self._is_whole:
            return ()
        balances = []
        for currency in self._accounts.currencies():
            settling = self._settlements.on_their_way(unsettled, currency)
            for rule, types, initial, beside in (
                (Rule.POSITIONS, SETTLED_TYPES, self._initial[currency], settling),
                (Rule.RECONCILIATION, (SETTLEMENT, RECONCILIATION), 0, 0),
            ):
                total = self._accounts.total(currency, types)
                held, moving = _moved(due, currency, types), _moved(pending, currency, types)
                balances.append(Balance(rule, currency, total, held, moving + beside, initial))
        return tuple(balances)

    def _leave_out(self) -> None:
        if not self._is_whole:
            for rule in (Rule.POSITIONS, Rule.RECONCILIATION):
                self.findings.leave_out(rule, "the first changes of the accounts are no longer kept")
        if self._accounts.without_cap:
            reason = f"{self._accounts.without_cap:,} reservations of which no topic tells the cap"
            self.findings.leave_out(Rule.CAP, reason)

    # One record of each topic.

    def _take_prepare(self, entry: Entry) -> None:
        if entry[:3] not in self._dead:
            line, _body = decode_fields(entry.value)
            self._transfers.asked(line["id"], entry.partition, terms_of_prepare(line), entry.at_ms)

    def _take_bulk_prepare(self, entry: Entry) -> None:
        if entry[:3] not in self._dead:
            line, body = decode_fields(entry.value)
            for transfer_id, terms in lines_of_bulk(line, body):
                self._transfers.asked(transfer_id, entry.partition, terms, entry.at_ms, of_bulk=True)

    def _take_command(self, entry: Entry) -> None:
        if entry[:3] in self._dead:
            return
        asked = terms_of_command(decode_fields(entry.value)[0])
        if asked is not None:
            self._transfers.asked(asked[0], entry.partition, asked[1], entry.at_ms)

    def _take_fulfil(self, entry: Entry) -> None:
        line, _body = decode_fields(entry.value)
        if line["action"] in ("commit", "reserve"):
            self._transfers.answered(line["id"], line["source"])

    def _take_bulk_fulfil(self, entry: Entry) -> None:
        line, body = decode_fields(entry.value)
        if line["kind"] == "bulk-fulfil" and line["action"] == "fulfil":
            for result in orjson.loads(body).get("individualTransferResults", ()):
                if "errorInformation" not in result:
                    self._transfers.answered(result["transferId"], line["source"])

    def _take_credit(self, entry: Entry) -> None:
        line, _body = decode_fields(entry.value)
        if line["kind"] != "credit":
            return  # a window's marker
        is_dead = entry[:3] in self._dead
        self._transfers.credited(line["id"], line["participant"], line["account_type"], is_dead=is_dead)

    def _take_ending(self, entry: Entry) -> None:
        row = row_of(entry.value)
        self._transfers.ended(row["transferId"], entry.partition, final_of(row), entry.at_ms)
        self._settlements.committed(row)

    def _take_change(self, entry: Entry) -> None:
        change = change_of(row_of(entry.value))
        self._accounts.take(change, entry.at_ms)
        if change.entry_type.startswith(SETTLEMENT_ENTRIES):
            if not self._settlements.moved(change):  # then it is of a transfer that was settled at its commit
                self._transfers.moved(change, entry.partition, entry.at_ms)
        elif change.entry_type in TRANSFER_ENTRIES:
            self._transfers.moved(change, entry.partition, entry.at_ms)
        elif change.entry_type == INITIAL_POSITION and change.account_type == POSITION:
            self._initial[change.currency] += change.change
            self.findings.check(Rule.ASKED_FOR, change.transfer_id, None)
        else:
            self.findings.check(Rule.ASKED_FOR, change.transfer_id, f"{change.entry_type} on {change.account}")

    def _take_event(self, entry: Entry) -> None:
        row = row_of(entry.value)
        if row["event"] == "limit-adjustment":
            account = account_name(row["participant"], row["currency"], POSITION)
            self._accounts.caps.adjusted(account, entry.at_ms, row["limit"], row["before"])

    def _take_window(self, entry: Entry) -> None:
        self._settlements.window_told(row_of(entry.value), entry.at_ms)

    def _take_settlement(self, entry: Entry) -> None:
        self._settlements.settlement_told(row_of(entry.value), entry.at_ms)

    def _take_dead_letter(self, entry: Entry) -> None:
        about: dict[str, Any] = orjson.loads(entry.value.partition(b"\n")[0])
        if "offset" in about:
            self._dead.add((about["topic"], about["partition"], about["offset"]))


def _moved(moves: Iterable[Move], currency: str, account_types: tuple[str, ...]) -> int:
    """By how much these moves move accounts of these types."""
    ends = tuple(f"/{currency}/{account_type}" for account_type in account_types)
    return sum(change for account, change in moves if account.endswith(ends))


def _imbalance(balance: Balance) -> str | None:
    if balance.total == balance.expected:
        return None
    told = [f"{shown(balance.in_flight)} in flight", f"{shown(balance.on_their_way)} on their way"]
    if balance.rule is Rule.POSITIONS:
        told.append(f"{shown(balance.initial)} initially")
    return f"{shown(balance.total)} on the accounts, {' + '.join(told)} expected"
