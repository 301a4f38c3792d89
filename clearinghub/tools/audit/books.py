"""The books: every record is entered in the order of time; at the end they are closed and must balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from clearinghub.messages import DeadLetterMessage, MalformedMessageError, decode, decode_as
from clearinghub.messages.bulk import BulkFulfilMessage, BulkPrepareMessage, decode_fulfil_body
from clearinghub.messages.commands import CommandMessage
from clearinghub.messages.transfers import CreditMessage, FulfilMessage, PrepareMessage
from clearinghub.tools.audit.accounts import Accounts
from clearinghub.tools.audit.life import Life, Move, Phase, due_moves, judge
from clearinghub.tools.audit.records import (
    CHANGE,
    EVENT,
    FINAL_STATE,
    INITIAL_POSITION,
    POSITION,
    RECONCILIATION,
    SETTLED_TYPES,
    SETTLEMENT,
    SETTLEMENT_CHANGE,
    SETTLEMENT_ENTRIES,
    TRANSFER,
    TRANSFER_ENTRIES,
    WINDOW,
    Entry,
    account_name,
    read,
    terms_of_bulk,
    terms_of_command,
    terms_of_prepare,
)
from clearinghub.tools.audit.rules import Findings, Rule
from clearinghub.tools.audit.settlements import Settlements
from clearinghub.tools.audit.transfers import Kept, Transfers
from clearinghub.tools.client.money import shown_amount

WRITTEN_BY_THE_LEDGER: Final = frozenset(
    {"credit", "events", "positions", "settlement-windows", "settlements", "transfers"}
)
ADVANCE_EVERY: Final = 1_000  # records


@dataclass(frozen=True, slots=True)
class Balance:
    """What accounts hold together in a currency at the cut (`total`), and why; in 1/10,000 of its unit."""

    rule: Rule
    currency: str
    total: int
    in_flight: int
    on_their_way: int
    initial: int

    @property
    def expected(self) -> int:
        return self.in_flight + self.on_their_way + self.initial


@dataclass(frozen=True, slots=True)
class Closing:
    """The books at the cut: how many transfers are how far, and the balances of each currency.

    `pending` are transfers of which a record was still on its way; they are neither right nor wrong yet.
    """

    finished: int
    in_flight: int
    undecided: int
    unjudged: int
    pending: tuple[str, ...]
    balances: tuple[Balance, ...]


class Books:
    """Everything that the records so far say, and what is wrong with it."""

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
        self._readers: dict[str, Callable[[Entry], None]] = {
            "bulk-fulfil": self._read_bulk_fulfil,
            "bulk-prepare": self._read_bulk_prepare,
            "command": self._read_command,
            "credit": self._read_credit,
            "dead-letter": self._read_dead_letter,
            "events": self._read_event,
            "fulfil": self._read_fulfil,
            "positions": self._read_change,
            "settlement-windows": self._read_window,
            "settlements": self._read_settlement,
            "prepare": self._read_prepare,
            "transfers": self._read_final_state,
        }

    def enter(self, entry: Entry) -> None:
        """Enter one record; dead letters and events come before all others, which are judged by them."""
        self.records += 1
        fault = None
        try:
            self._readers[entry.topic](entry)
        except (KeyError, MalformedMessageError, TypeError, ValueError, msgspec.MsgspecError) as error:
            fault = repr(error)
        if entry.topic in WRITTEN_BY_THE_LEDGER:  # a request that cannot be read is refused by the ledger
            self.findings.check(Rule.READABLE, f"{entry.topic}-{entry.partition}-{entry.offset}", fault)
        if self.records % ADVANCE_EVERY == 0:
            self._transfers.advance(entry.at_ms)

    @property
    def settlements(self) -> Settlements:
        """Windows and settlements, with the sums of their transfers."""
        return self._settlements

    def pending(self, cut_ms: int) -> list[Life]:
        """Return the transfers of which something is missing that may still be on its way."""
        return [life for life in self._transfers.open() if self._is_pending(life, cut_ms)]

    def is_pending(self, cut_ms: int) -> bool:
        """Return whether something may still be on its way."""
        return bool(self.pending(cut_ms) or self._settlements.pending(cut_ms))

    def close(self, cut_ms: int) -> Closing:
        """Judge what is not judged yet, and balance the books."""
        phases: Counter[Phase] = Counter()
        due: list[Move] = []
        pending = self.pending(cut_ms)
        ids = {id(life) for life in pending}
        for life in self._transfers.open():
            if id(life) in ids:
                continue
            verdict = judge(life, self._hub_name)
            for rule, fault in verdict.checks:
                self.findings.check(rule, life.transfer_id, fault)
            due += due_moves(life)
            if verdict.phase is not Phase.UNDECIDED or (life.requests[0].kind == TRANSFER and not life.of_bulk):
                phases[verdict.phase] += 1
        unsettled = self._settlements.pending(cut_ms)
        self._settlements.close(unsettled)
        balances = self._balances(due, [move for life in pending for move in life.moves], unsettled)
        for balance in balances:
            self.findings.check(balance.rule, balance.currency, _imbalance(balance))
        self._leave_out()
        return Closing(
            finished=self._transfers.finished + phases[Phase.FINISHED],
            in_flight=phases[Phase.IN_FLIGHT],
            undecided=phases[Phase.UNDECIDED],
            unjudged=self._transfers.unjudged,
            pending=(*(life.transfer_id for life in pending), *unsettled),
            balances=balances,
        )

    def _is_pending(self, life: Life, cut_ms: int) -> bool:
        is_young = cut_ms - life.last_ms < self._settle_ms
        return is_young and judge(life, self._hub_name).phase is Phase.AMISS

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

    # One method for the records of each topic.

    def _read_prepare(self, entry: Entry) -> None:
        if entry[:3] not in self._dead:
            message, _body = decode_as(PrepareMessage, entry.value)
            self._transfers.request(message.id, entry.partition, terms_of_prepare(message), entry.at_ms)

    def _read_bulk_prepare(self, entry: Entry) -> None:
        if entry[:3] not in self._dead:
            message, body = decode_as(BulkPrepareMessage, entry.value)
            for transfer_id, terms in terms_of_bulk(message, body):
                self._transfers.request(transfer_id, entry.partition, terms, entry.at_ms, of_bulk=True)

    def _read_command(self, entry: Entry) -> None:
        if entry[:3] in self._dead:
            return
        request = terms_of_command(decode_as(CommandMessage, entry.value)[0])
        if request is not None:
            self._transfers.request(request[0], entry.partition, request[1], entry.at_ms)

    def _read_fulfil(self, entry: Entry) -> None:
        message, _body = decode_as(FulfilMessage, entry.value)
        if message.action in ("commit", "reserve"):
            self._transfers.answer(message.id, message.source)

    def _read_bulk_fulfil(self, entry: Entry) -> None:
        message, body = decode(entry.value)
        if isinstance(message, BulkFulfilMessage) and message.action == "fulfil":
            for result in decode_fulfil_body(body).individual_transfer_results:
                if result.error is None:
                    self._transfers.answer(result.transfer_id, message.source)

    def _read_credit(self, entry: Entry) -> None:
        message, _body = decode(entry.value)
        if not isinstance(message, CreditMessage):
            return  # a window's marker
        is_dead = entry[:3] in self._dead
        self._transfers.credit(message.id, message.participant, message.account_type, is_dead=is_dead)

    def _read_final_state(self, entry: Entry) -> None:
        final = read(FINAL_STATE, entry.value)
        self._transfers.finish(entry.partition, final, entry.at_ms)
        self._settlements.count(final)

    def _read_change(self, entry: Entry) -> None:
        change = read(CHANGE, entry.value)
        self._accounts.change(change, entry.at_ms)
        if change.entry_type.startswith(SETTLEMENT_ENTRIES):
            if not self._settlements.move(change):  # then it is of a transfer that was settled at its commit
                self._transfers.move(change, entry.partition, entry.at_ms)
        elif change.entry_type in TRANSFER_ENTRIES:
            self._transfers.move(change, entry.partition, entry.at_ms)
        elif change.entry_type == INITIAL_POSITION and change.account_type == POSITION:
            self._initial[change.currency] += change.change
            self.findings.check(Rule.REQUESTED, change.transfer_id, None)
        else:
            self.findings.check(Rule.REQUESTED, change.transfer_id, f"{change.entry_type} on {change.account}")

    def _read_event(self, entry: Entry) -> None:
        event = read(EVENT, entry.value)
        if event.event == "limit-adjustment":
            account = account_name(event.participant, event.currency, POSITION)
            self._accounts.caps.adjust(account, entry.at_ms, event.limit, event.before)

    def _read_window(self, entry: Entry) -> None:
        self._settlements.change_window(read(WINDOW, entry.value), entry.at_ms)

    def _read_settlement(self, entry: Entry) -> None:
        self._settlements.change_settlement(read(SETTLEMENT_CHANGE, entry.value), entry.at_ms)

    def _read_dead_letter(self, entry: Entry) -> None:
        message, _record = decode_as(DeadLetterMessage, entry.value)
        if message.partition is not msgspec.UNSET and message.offset is not msgspec.UNSET:
            self._dead.add((message.topic, message.partition, message.offset))


def _moved(moves: Iterable[Move], currency: str, account_types: tuple[str, ...]) -> int:
    """Return by how much these moves move accounts of these types."""
    ends = tuple(f"/{currency}/{account_type}" for account_type in account_types)
    return sum(change for account, change in moves if account.endswith(ends))


def _imbalance(balance: Balance) -> str | None:
    if balance.total == balance.expected:
        return None
    reasons = [f"{shown_amount(balance.in_flight)} in flight", f"{shown_amount(balance.on_their_way)} on their way"]
    if balance.rule is Rule.POSITIONS:
        reasons.append(f"{shown_amount(balance.initial)} initially")
    return f"{shown_amount(balance.total)} on the accounts, {' + '.join(reasons)} expected"
