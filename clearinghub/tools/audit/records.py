"""The records that the audit reads, each with the fields that it uses; others are skipped.

Amounts are integers of 1/10,000 of the currency unit. Messages between the hub's parts are read by
`clearinghub.messages`; the records here are those that the ledger publishes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import msgspec

from clearinghub.messages import VERSION
from clearinghub.messages.bulk import BulkPrepareMessage, decode_prepare_body
from clearinghub.messages.commands import CommandMessage, RecordFundsIn, ReserveFundsOut, read_command
from clearinghub.messages.transfers import PrepareMessage

TRANSFER: Final = "transfer"
FUNDS_IN: Final = "funds-in"
FUNDS_OUT: Final = "funds-out"

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"
RECONCILIATION: Final = "HUB_RECONCILIATION"
MULTILATERAL: Final = "HUB_MULTILATERAL_SETTLEMENT"
SETTLED_TYPES: Final = (POSITION, "INTERCHANGE_FEE", MULTILATERAL)
"""Types of the accounts that settlements move: what one of them loses, another gains."""
SETTLEMENT_ENTRIES: Final = "SETTLEMENT_NET_"
INITIAL_POSITION: Final = "INITIAL_POSITION"
PRINCIPLE_VALUE: Final = "PRINCIPLE_VALUE"
INTERCHANGE_FEE: Final = "INTERCHANGE_FEE"  # the accounts, and the entries on them
TRANSFER_ENTRIES: Final = frozenset({PRINCIPLE_VALUE, INTERCHANGE_FEE, "RECORD_FUNDS_IN", "RECORD_FUNDS_OUT"})


class Entry(NamedTuple):
    """A record: `topic` as in topics.yaml, `at_ms` its own time."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    value: bytes


class Terms(NamedTuple):
    """Who was to pay whom how much; of funds, payer and payee are the same."""

    kind: str
    payer: str
    payee: str
    amount: int
    currency: str


class Published(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A record that the ledger publishes: a JSON object with the version of its schema."""

    v: int


class Change(Published, frozen=True, kw_only=True):
    """A movement of one account, on topic `positions`; `value` and `reserved` are what the account has after it."""

    participant: str
    account_type: str
    currency: str
    change: int
    value: int
    reserved: int
    number: int = msgspec.field(name="changeNumber")
    transfer_id: str
    entry_type: str
    account_id: int = 0

    @property
    def account(self) -> str:
        return account_name(self.participant, self.currency, self.account_type)


class FinalState(Published, frozen=True, kw_only=True):
    """The outcome of a transfer or of funds, on topic `transfers`."""

    transfer_id: str
    kind: str
    payer: str
    payee: str
    amount: int
    currency: str
    state: str
    window: int | None
    interchange_fee: int
    prepared_at: datetime

    @property
    def terms(self) -> Terms:
        """The terms that the record states."""
        return Terms(self.kind, self.payer, self.payee, self.amount, self.currency)

    @property
    def prepared_ms(self) -> int:
        """When the transfer was requested."""
        return round(self.prepared_at.timestamp() * 1000)


class Event(Published, frozen=True, kw_only=True):
    """A record of topic `events`; the other fields are those of a `limit-adjustment`."""

    event: str
    participant: str = ""
    currency: str = ""
    limit: int = 0
    before: int | None = None


class WindowChange(Published, frozen=True, kw_only=True, tag_field="kind", tag="window"):
    """A change of a settlement window, on topic `settlement-windows`."""

    settlement_window_id: int
    state: str
    reason: str | None


class Net(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a participant has in one netting group of a window."""

    participant: str
    debits: int
    credits: int
    debit_count: int
    credit_count: int


class WindowNets(Published, frozen=True, kw_only=True, tag_field="kind", tag="nets"):
    """The nets of one netting group of a closed window, on topic `settlement-windows`."""

    settlement_window_id: int
    currency: str
    ledger_account_type: str
    granularity: str
    nets: tuple[Net, ...]


class Content(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The part of a window that a settlement settles."""

    settlement_window_id: int
    currency: str
    ledger_account_type: str


class Leg(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One movement of a settlement's account."""

    transfer_id: str
    net: int


class SettlementChange(Published, frozen=True, kw_only=True, tag_field="kind", tag="settlement"):
    """A change of a settlement, on topic `settlements`; it has `accounts` accounts."""

    settlement_id: int
    ledger_account_type: str
    moves_positions: bool
    accounts: int
    contents: tuple[Content, ...] = ()


class SettledAccount(Published, frozen=True, kw_only=True, tag_field="kind", tag="account"):
    """A change of an account of a settlement, on topic `settlements`."""

    settlement_id: int
    account_id: int
    participant: str
    currency: str
    state: str
    net: int
    moving: bool


class SettledLegs(Published, frozen=True, kw_only=True, tag_field="kind", tag="legs"):
    """Some of the legs of an account of a settlement, on topic `settlements`."""

    settlement_id: int
    account_id: int
    legs: tuple[Leg, ...]


R = TypeVar("R", bound=Published)

CHANGE: Final = msgspec.json.Decoder(Change)
FINAL_STATE: Final = msgspec.json.Decoder(FinalState)
EVENT: Final = msgspec.json.Decoder(Event)
WINDOW: Final = msgspec.json.Decoder(WindowChange | WindowNets)
SETTLEMENT_CHANGE: Final = msgspec.json.Decoder(SettlementChange | SettledAccount | SettledLegs)


def read(decoder: msgspec.json.Decoder[R], value: bytes) -> R:
    """Return a published record.

    Raises:
        msgspec.MsgspecError, ValueError: it is none of its topic, or of another version.
    """
    record = decoder.decode(value)
    if record.v != VERSION:
        raise ValueError(f"version {record.v}")
    return record


def account_name(participant: str, currency: str, account_type: str) -> str:
    """Return the name of an account in what the audit reports."""
    return f"{participant}/{currency}/{account_type}"


def terms_of_prepare(message: PrepareMessage) -> Terms:
    """Return the terms that POST /transfers requested."""
    return Terms(TRANSFER, message.payer, message.payee, message.amount, message.currency)


def terms_of_bulk(message: BulkPrepareMessage, body: bytes) -> list[tuple[str, Terms]]:
    """Return the id and the terms of each item that POST /bulkTransfers requested."""
    items = zip(decode_prepare_body(body).individual_transfers, message.amounts, strict=True)
    return [
        (item.transfer_id, Terms(TRANSFER, message.payer, message.payee, amount, item.transfer_amount.currency))
        for item, amount in items
    ]


def terms_of_command(message: CommandMessage) -> tuple[str, Terms] | None:
    """Return the id and the terms of the funds that a command requests; None for any other command."""
    command = read_command(message)
    if not isinstance(command, RecordFundsIn | ReserveFundsOut):
        return None
    kind = FUNDS_IN if isinstance(command, RecordFundsIn) else FUNDS_OUT
    request, name = command.request, message.participant
    return request.transfer_id, Terms(kind, name, name, request.amount, request.currency)
