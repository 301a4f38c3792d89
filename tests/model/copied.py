"""What a copy of all partitions must be, and what a restored hub must be; shares no code with the hub.

A copy has, of each partition, the rows after one of its rounds. A message between partitions is in the copy if its
sender's round had sent it and its receiver's round had not decided it. No message may be decided and not sent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tests.model.journal import Breach, header_of

# Fields of stored rows, after the number of fields.
VALUE: Final = 5  # of a position
ACCOUNT_ID: Final = 4
PAYER: Final = 2  # of a transfer
AMOUNT: Final = 4
HISTORY: Final = 8
OPEN: Final = "RESERVED"
Rows = Mapping[tuple[str, bytes], bytes]


class Number(NamedTuple):
    """A message's number: from where to where, on which topic."""

    sender: int
    receiver: int
    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class CopiedPartition:
    """One partition of a copy: its rows, those that its rounds wrote, and the messages of these rounds."""

    copied: Rows
    written: Rows
    sent: frozenset[Number]
    received: frozenset[Number]


def check_copied(partitions: Mapping[int, CopiedPartition], messages: Iterable[Number]) -> None:
    """Compare a copy with the rounds that it is of.

    Raises:
        Breach: it is no consistent cut, or rows or messages are missing, old, or of a later round.
    """
    for number, one in partitions.items():
        for place in one.copied.keys() | one.written.keys():
            if one.copied.get(place) != one.written.get(place):
                raise Breach(f"copy: row {place} of partition {number} is not that of its round")
    sent = frozenset().union(*(one.sent for one in partitions.values()))
    received = frozenset().union(*(one.received for one in partitions.values()))
    if received - sent:
        raise Breach(f"copy: {min(received - sent)} was received and not sent")
    copied = frozenset(messages)
    if copied != sent - received:
        raise Breach(f"copy: messages {sorted(copied ^ (sent - received))[:3]} are on one side only")


@dataclass(frozen=True, slots=True)
class Books:
    """All rows of a hub by partition, and what is on its way to each."""

    rows: Mapping[int, Rows]
    messages: Iterable[tuple[int, bytes]]

    def money(self) -> int:
        """Return what all accounts hold together, less what open transfers hold, with what is on its way."""
        total = 0
        for rows in self.rows.values():
            for (table, _key), value in rows.items():
                row = json.loads(value)
                if table == "positions":
                    total += row[VALUE]
                elif table == "transfers" and row[HISTORY][-1][0] == OPEN:
                    total -= row[AMOUNT]
        for _partition, message in self.messages:
            header = header_of(message) or {}
            if header.get("kind") == "credit":
                total += header["change"]
            elif header.get("kind") == "settlement-moved":
                total -= sum(_change_of(move) for move in header["moves"])
        return total


def check_restored(before: Books, after: Books) -> None:
    """Compare a restored hub with the copy that it was made of.

    Raises:
        Breach: money or rows are lost or doubled, something is where nobody looks for it, or an id or the number of a
            final state would be used again.
    """
    if before.money() != 0 or after.money() != 0:
        raise Breach(f"restore: {before.money()} in the copy, {after.money()} restored, and 0 is right")
    for table in ("positions", "participants", "transfers", "bulks"):
        keys = {key for rows in before.rows.values() for name, key in rows if name == table}
        restored = Counter(key for rows in after.rows.values() for name, key in rows if name == table)
        twice = any(count > 1 for count in restored.values()) and table in ("positions", "participants")
        if keys != restored.keys() or twice:
            raise Breach(f"restore: the rows of table {table} are not those of the copy, each once")
    for number, rows in after.rows.items():
        for (table, key), value in rows.items():
            if table == "transfers":
                row = json.loads(value)
                _check_account(after, number, row[PAYER], f"transfer {key!r}", is_open=row[HISTORY][-1][0] == OPEN)
    for number, message in after.messages:
        header = header_of(message) or {}
        if header.get("kind") in ("credit", "settlement-move"):
            _check_account(after, number, header["participant"], "a message", is_open=True)
    _check_counters(before, after)


def _check_account(books: Books, number: int, participant: str, what: str, *, is_open: bool) -> None:
    has = {partition for partition, rows in books.rows.items() if ("participants", participant.encode()) in rows}
    if (has or is_open) and has != {number}:
        raise Breach(f"restore: {what} of {participant} is on partition {number}, and the account on {has}")


def _check_counters(before: Books, after: Books) -> None:
    partitions = len(after.rows)
    ids = [
        json.loads(value)[ACCOUNT_ID]
        for rows in before.rows.values()
        for (table, _key), value in rows.items()
        if table == "positions"
    ]
    for number, rows in after.rows.items():
        following = _counter(rows, b"id") * partitions + number + 1
        again = [one for one in ids if one >= following and (one - following) % partitions == 0]
        if again:
            raise Breach(f"restore: partition {number} would assign id {again[0]} once more")
    last = max(_counter(rows, b"final") for rows in before.rows.values())
    if any(_counter(rows, b"final") < last for rows in after.rows.values()) and len(before.rows) != partitions:
        raise Breach("restore: a final state would get a number again")


def _counter(rows: Rows, name: bytes) -> int:
    value = rows.get(("counters", name))
    return 0 if value is None else int(json.loads(value)[1])


def _change_of(move: Any) -> int:
    return int(move["change"] if isinstance(move, dict) else move[1])
