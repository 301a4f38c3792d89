"""What the audit takes from each topic's records. Anything that is not used is not read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from clearinghub.messages import VERSION

TRANSFER: Final = "transfer"
FUNDS_IN: Final = "funds-in"
FUNDS_OUT: Final = "funds-out"
FUNDS_COMMANDS: Final = {"record-funds-in": FUNDS_IN, "reserve-funds-out": FUNDS_OUT}

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"
RECONCILIATION: Final = "HUB_RECONCILIATION"
MULTILATERAL: Final = "HUB_MULTILATERAL_SETTLEMENT"
SETTLED_TYPES: Final = (POSITION, "INTERCHANGE_FEE", MULTILATERAL)
"""Accounts that settlements move: what one of them loses, another gains."""
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
    """Who was to pay whom how much; of funds, payer and payee are the same. Amounts in 1/10,000 of the unit."""

    kind: str
    payer: str
    payee: str
    amount: int
    currency: str


class Ending(NamedTuple):
    """A final state, with the terms that it tells."""

    state: str
    terms: Terms
    prepared_ms: int
    interchange_fee: int = 0


class Change(NamedTuple):
    """One movement of one account."""

    participant: str
    account_type: str
    currency: str
    change: int
    value: int
    reserved: int
    number: int
    transfer_id: str
    entry_type: str

    @property
    def account(self) -> str:
        """The account's name."""
        return account_name(self.participant, self.currency, self.account_type)


def account_name(participant: str, currency: str, account_type: str) -> str:
    """How an account is called in what the audit says."""
    return f"{participant}/{currency}/{account_type}"


def terms_of_prepare(line: dict[str, Any]) -> Terms:
    """From a line of topic `prepare`."""
    return Terms(TRANSFER, line["payer"], line["payee"], line["amount"], line["currency"])


def lines_of_bulk(line: dict[str, Any], body: bytes) -> list[tuple[str, Terms]]:
    """From a record of topic `bulk-prepare`: the id and the terms of each line."""
    lines = zip(orjson.loads(body)["individualTransfers"], line["amounts"], strict=True)
    return [
        (one["transferId"], Terms(TRANSFER, line["payer"], line["payee"], amount, one["transferAmount"]["currency"]))
        for one, amount in lines
    ]


def terms_of_command(line: dict[str, Any]) -> tuple[str, Terms] | None:
    """From a line of topic `command`: the id and the terms of funds; None for any other command."""
    command = line["command"]
    kind = FUNDS_COMMANDS.get(command["name"])
    if kind is None:
        return None
    request = command["request"]
    name = line["participant"]
    return request["transfer_id"], Terms(kind, name, name, request["amount"], request["currency"])


def final_of(row: dict[str, Any]) -> Ending:
    """From a row of topic `transfers`."""
    terms = Terms(row["kind"], row["payer"], row["payee"], row["amount"], row["currency"])
    prepared = datetime.fromisoformat(row["preparedAt"])
    return Ending(row["state"], terms, round(prepared.timestamp() * 1000), row["interchangeFee"])


def change_of(row: dict[str, Any]) -> Change:
    """From a row of topic `positions`."""
    return Change(
        row["participant"],
        row["accountType"],
        row["currency"],
        row["change"],
        row["value"],
        row["reserved"],
        row["changeNumber"],
        row["transferId"],
        row["entryType"],
    )


def row_of(value: bytes) -> dict[str, Any]:
    """A record that is one JSON object.

    Raises:
        ValueError: it is none, or of another version.
    """
    row = orjson.loads(value)
    if not isinstance(row, dict) or row.get("v") != VERSION:
        raise ValueError("not of this version")
    return row
