"""Hand-made records of the audited topics, in the order in which a test writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from clearinghub.domain.bulk.fulfil import ItemResult
from clearinghub.domain.participants.funds_request import FundsRequest
from clearinghub.messages import VERSION, DeadLetterMessage, encode
from clearinghub.messages.bulk import (
    BulkFulfilBody,
    BulkFulfilMessage,
    BulkItem,
    BulkPrepareBody,
    BulkPrepareMessage,
    Money,
    encode_body,
)
from clearinghub.messages.commands import CommandMessage, RecordFundsIn, ReserveFundsOut, encode_command
from clearinghub.messages.settlement import WindowMarkerMessage
from clearinghub.messages.transfers import CreditMessage, FulfilAction, FulfilMessage, PrepareMessage
from clearinghub.tools.audit.books import Books, Closing
from clearinghub.tools.audit.records import Entry
from clearinghub.tools.audit.transfers import Kept

START_MS = 1_700_000_000_000
SETTLE_MS = 10_000
AMOUNT = 1_000_000
FUNDS = 100_000_000
WHOLE = Kept()
PAYER, PAYEE = "payer", "payee"
PAYER_PARTITION, PAYEE_PARTITION, HUB_PARTITION = 0, 1, 2
PARTITIONS = {PAYER: PAYER_PARTITION, PAYEE: PAYEE_PARTITION, "Hub": HUB_PARTITION}


@dataclass
class Topics:
    """Writes records with times a millisecond apart; accounts continue by themselves unless a test says otherwise."""

    kept: Kept = WHOLE
    now_ms: int = START_MS
    entries: list[Entry] = field(default_factory=list)
    values: dict[tuple[str, str], int] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def write(self, topic: str, partition: int, value: bytes) -> int:
        """Append a record; returns its offset."""
        self.now_ms += 1
        self.entries.append(Entry(topic, partition, len(self.entries), self.now_ms, value))
        return len(self.entries) - 1

    def prepare(self, transfer_id: str = "t-1", payer: str = PAYER, payee: str = PAYEE, amount: int = AMOUNT) -> int:
        message = PrepareMessage(
            id=transfer_id,
            source=payer,
            payer=payer,
            payee=payee,
            amount=amount,
            currency="XTS",
            condition="c",
            expires_at_ms=self.now_ms,
            hash="h",
            headers={},
        )
        return self.write("prepare", PARTITIONS[payer], encode(message, b"{}"))

    def fulfil(self, transfer_id: str = "t-1", source: str = PAYEE, action: FulfilAction = "commit") -> None:
        message = FulfilMessage(id=transfer_id, action=action, source=source, hash="h", headers={})
        self.write("fulfil", PAYER_PARTITION, encode(message, b"{}"))

    def bulk(self, *transfer_ids: str, amount: int = AMOUNT) -> int:
        message = BulkPrepareMessage(
            id="b-1",
            source=PAYER,
            payer=PAYER,
            payee=PAYEE,
            expires_at_ms=self.now_ms,
            hash="h",
            amounts=(amount,) * len(transfer_ids),
            hashes=("h",) * len(transfer_ids),
        )
        items = tuple(
            BulkItem(
                transfer_id=one,
                transfer_amount=Money(currency="XTS", amount=str(amount)),
                ilp_packet="p",
                condition="c",
            )
            for one in transfer_ids
        )
        body = BulkPrepareBody(
            bulk_transfer_id="b-1",
            bulk_quote_id="q-1",
            payer_fsp=PAYER,
            payee_fsp=PAYEE,
            individual_transfers=items,
            expiration="2030-01-01T00:00:00.000Z",
        )
        return self.write("bulk-prepare", PAYER_PARTITION, encode(message, encode_body(body)))

    def bulk_fulfil(self, *results: ItemResult, source: str = PAYEE) -> None:
        message = BulkFulfilMessage(id="b-1", action="fulfil", source=source, hash="h")
        body = BulkFulfilBody(individual_transfer_results=results)
        self.write("bulk-fulfil", PAYER_PARTITION, encode(message, msgspec.json.encode(body)))

    def funds(self, transfer_id: str, amount: int = FUNDS, *, out: bool = False) -> int:
        request = FundsRequest(transfer_id, 1, amount, "XTS", "h", "reference")
        command = ReserveFundsOut(request=request) if out else RecordFundsIn(request=request)
        message = CommandMessage(participant=PAYER, correlation_id="c", reply_to="i", command=encode_command(command))
        return self.write("command", PAYER_PARTITION, encode(message))

    def credit(self, transfer_id: str = "t-1", participant: str = PAYEE, account_type: str = "POSITION") -> int:
        message = CreditMessage(
            id=transfer_id,
            participant=participant,
            currency="XTS",
            account_type=account_type,
            change=-AMOUNT,
            entry="PRINCIPLE_VALUE",
        )
        return self.write("credit", PARTITIONS[participant], encode(message))

    def move(
        self, participant: str, change: int, transfer_id: str = "t-1", account_type: str = "POSITION", **changes: Any
    ) -> None:
        account = (participant, account_type)
        value = self.values[account] = self.values.get(account, 0) + change
        number = self.numbers[account] = self.numbers.get(account, 0) + 1
        row = {
            "v": VERSION,
            "participant": participant,
            "accountType": account_type,
            "currency": "XTS",
            "change": change,
            "value": value,
            "reserved": 0,
            "changeNumber": number,
            "transferId": transfer_id,
            "entryType": "PRINCIPLE_VALUE",
        } | changes
        self.write("positions", PARTITIONS[participant], orjson.dumps(row))

    def end(self, state: str, transfer_id: str = "t-1", **changes: Any) -> None:
        window = 1 if state in ("COMMITTED", "SETTLED") else None
        row: dict[str, Any] = {
            "v": VERSION,
            "transferId": transfer_id,
            "kind": "transfer",
            "payer": PAYER,
            "payee": PAYEE,
            "amount": AMOUNT,
            "currency": "XTS",
            "state": state,
            "window": window,
            "interchangeFee": 0,
            "preparedAt": "2023-11-14T22:13:20.000Z",
        } | changes
        self.write("transfers", PARTITIONS[row["payer"]], orjson.dumps(row))

    def cap(self, limit: int, before: int | None = None, at_ms: int = START_MS) -> None:
        row = {
            "v": VERSION,
            "event": "limit-adjustment",
            "participant": PAYER,
            "currency": "XTS",
            "limit": limit,
            "before": before,
        }
        self.entries.insert(0, Entry("events", PAYER_PARTITION, 0, at_ms, orjson.dumps(row)))

    def dead(self, topic: str, partition: int, offset: int) -> None:
        letter = DeadLetterMessage(
            topic=topic, error="raised", timestamp_ms=self.now_ms, partition=partition, offset=offset
        )
        self.entries.insert(0, Entry("dead-letter", 0, 0, self.now_ms, encode(letter, b"what it was")))

    def marker(self, window: int = 1) -> None:
        self.write("credit", PAYEE_PARTITION, encode(WindowMarkerMessage(window=window, source=PAYER_PARTITION)))

    def window(self, state: str = "CLOSED", nets: dict[str, tuple[int, int, int, int]] | None = None) -> None:
        """Window 1 as the ledger publishes it, with debits, credits and their counts."""
        about = {"v": VERSION, "settlementWindowId": 1}
        names = ("debits", "credits", "debitCount", "creditCount")
        shown = [
            {"participant": name, "counterparty": "", **dict(zip(names, sums, strict=True))}
            for name, sums in (nets or {}).items()
        ]
        netting_group = {"currency": "XTS", "ledgerAccountType": "POSITION", "granularity": "NET"}
        self.first("settlement-windows", {**about, "kind": "window", "state": state, "reason": "r"})
        self.first("settlement-windows", {**about, **netting_group, "kind": "nets", "nets": shown})

    def settlement(self, state: str, *, moving: bool = False, nets: tuple[int, int] = (AMOUNT, -AMOUNT)) -> None:
        """Settlement 1 of payer and payee, its accounts all in that state; its transfers are s-payer and s-payee."""
        about = {"v": VERSION, "settlementId": 1}
        for number, (name, net) in enumerate(zip((PAYER, PAYEE), nets, strict=True), start=1):
            account = {"participant": name, "accountId": number, "currency": "XTS"}
            legs = [{"transferId": f"s-{name}", "net": net}]
            self.first("settlements", {**about, **account, "kind": "legs", "legs": legs})
            progress = {"state": state, "net": net, "moving": moving}
            self.first("settlements", {**about, **account, **progress, "kind": "account"})
        whole = {"ledgerAccountType": "POSITION", "movesPositions": True, "accounts": 2}
        self.first("settlements", {**about, **whole, "kind": "settlement"})

    def first(self, topic: str, row: dict[str, Any]) -> None:
        """Write a record that is read before all others."""
        self.now_ms += 1
        place = sum(entry.topic in ("settlement-windows", "settlements") for entry in self.entries)
        self.entries.insert(place, Entry(topic, HUB_PARTITION, 0, self.now_ms, orjson.dumps(row)))

    # Whole lives.

    def funded(self) -> None:
        """The payer gets funds, and a cap of the same amount."""
        self.cap(FUNDS)
        self.funds("in-1")
        self.move(PAYER, -FUNDS, "in-1", "SETTLEMENT", entryType="RECORD_FUNDS_IN")
        self.end_funds("COMMITTED", "in-1", "funds-in")
        self.credit("in-1", "Hub", "HUB_RECONCILIATION")
        self.move("Hub", FUNDS, "in-1", "HUB_RECONCILIATION", entryType="RECORD_FUNDS_IN")

    def end_funds(self, state: str, transfer_id: str, kind: str, amount: int = FUNDS) -> None:
        self.end(state, transfer_id, kind=kind, payee=PAYER, amount=amount)

    def reserved(self, transfer_id: str = "t-1") -> None:
        self.prepare(transfer_id)
        self.move(PAYER, AMOUNT, transfer_id)

    def committed(self, transfer_id: str = "t-1") -> None:
        self.reserved(transfer_id)
        self.fulfil(transfer_id)
        self.end("COMMITTED", transfer_id)
        self.credit(transfer_id)
        self.move(PAYEE, -AMOUNT, transfer_id)

    def aborted(self, transfer_id: str = "t-1", state: str = "ABORTED_ERROR") -> None:
        self.reserved(transfer_id)
        self.end(state, transfer_id)
        self.move(PAYER, -AMOUNT, transfer_id)

    # What the audit makes of them.

    def audit(self, later_ms: int = 60_000) -> Audited:
        """The books, closed that long after the last record."""
        books = Books("Hub", SETTLE_MS, self.kept)
        for entry in self.entries:
            books.enter(entry)
        return Audited(books, books.close(self.now_ms + later_ms))


@dataclass
class Audited:
    """The books of a test after the audit."""

    books: Books
    closing: Closing

    @property
    def broken(self) -> dict[str, list[str]]:
        """The names of the broken rules, each with the subjects that break it."""
        tallies = self.books.findings.tallies
        return {rule.label: [one.subject for one in tally.shown] for rule, tally in tallies.items() if tally.violations}

    @property
    def details(self) -> str:
        """The details of all violations."""
        return "\n".join(one.detail for tally in self.books.findings.tallies.values() for one in tally.shown)

    @property
    def phases(self) -> tuple[int, int, int, int]:
        """Finished, in flight, undecided, pending."""
        closing = self.closing
        return closing.finished, closing.in_flight, closing.undecided, len(closing.pending)
