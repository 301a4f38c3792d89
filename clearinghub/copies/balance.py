"""Checks that rows and messages of all partitions are books that add up, whatever partition each is on.

What all accounts of a currency hold together is what open transfers hold, less what is on its way: every movement has
another side. Only an initial position has none; so a difference is not wrong by itself, and must be the same after a
restore. The nets of each window that is not closed add up to zero, with the credits on their way to it. Those of a
closed window are deleted by one partition after the other, so they say nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from clearinghub.copies.in_flight import decode_copied
from clearinghub.copies.row_store import StoredRow
from clearinghub.domain.settlement.netting import GROSS, NET
from clearinghub.domain.settlement.window import WindowState
from clearinghub.messages.settlement import MovedMessage
from clearinghub.messages.transfers import CreditMessage
from tables.nets import NETS
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.settlements import SETTLEMENT_WINDOWS
from tables.transfers import TRANSFERS

UNCLOSED: Final = frozenset({WindowState.OPEN, WindowState.PROCESSING, WindowState.FAILED})


class _NetsOfWindow(NamedTuple):
    window: int
    currency: str
    account_type: str
    granularity: str

    def __str__(self) -> str:
        return f"window {self.window}, {self.currency} {self.account_type} {self.granularity}"


class BooksOfRows:
    """Adds up rows and messages of all partitions, in any order."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._accounts: Counter[str] = Counter()  # by currency
        self._open: Counter[str] = Counter()
        self._on_their_way: Counter[str] = Counter()
        self._nets: Counter[_NetsOfWindow] = Counter()
        self._legs: Counter[_NetsOfWindow] = Counter()  # debits less credits
        self._closed: set[int] = set()
        self._account_keys: set[str] = set()
        self._declared_keys: set[str] = set()

    def add(self, row: StoredRow) -> None:
        """Add a row of whatever partition, which is decoded if it counts."""
        self.rows[row.table] += 1
        match row.table:
            case "positions":
                account = POSITIONS.decode(row.value)
                self._accounts[account.currency] += account.value
                self._account_keys.add(row.key.decode())
            case "transfers":
                transfer = TRANSFERS.decode(row.value)
                if not transfer.state.is_final and transfer.was_reserved:
                    self._open[transfer.currency] += transfer.amount
            case "participants":
                participant = PARTICIPANTS.decode(row.value)
                self._declared_keys |= {
                    position_key(participant.name, one.currency, one.account_type) for one in participant.accounts
                }
            case "settlement" if row.key.startswith(b"window/"):
                window = SETTLEMENT_WINDOWS.decode(row.value)
                if window.state not in UNCLOSED:
                    self._closed.add(window.window_id)
            case "nets" if row.key.startswith(b"net/"):
                _, number, currency, account_type, granularity, *_ = row.key.decode().split("/")
                place = _NetsOfWindow(int(number), currency, account_type, granularity)
                net = NETS.decode(row.value).net
                self._nets[place] += net.amount
                self._legs[place] += net.debit_count - net.credit_count

    def add_message(self, value: bytes) -> None:
        """Add a message that its receiver has not decided yet."""
        message, _body = decode_copied(value)
        if isinstance(message, CreditMessage):
            self._on_their_way[message.currency] += message.change
            if message.window is not None:
                granularity = GROSS if message.settles_into else NET
                place = _NetsOfWindow(message.window, message.currency, message.account_type, granularity)
                self._nets[place] += message.change
                self._legs[place] += 1 if message.change > 0 else -1
        elif isinstance(message, MovedMessage):
            self._on_their_way[message.currency] -= sum(move.change for move in message.moves)

    def add_all(self, rows: Iterable[StoredRow]) -> Iterable[StoredRow]:
        """Yield rows, and add them."""
        for row in rows:
            self.add(row)
            yield row

    def balances(self) -> dict[str, int]:
        """Return by currency what the accounts hold beyond what open transfers and messages explain."""
        currencies = self._accounts.keys() | self._open.keys() | self._on_their_way.keys()
        return {
            currency: self._accounts[currency] + self._on_their_way[currency] - self._open[currency]
            for currency in sorted(currencies)
        }

    def faults(self) -> list[str]:
        """Return, in sentences, what cannot be right whatever happened before."""
        found = [
            f"the nets of {place} add up to {amount}, not to zero"
            for place, amount in self._nets.items()
            if amount and place.window not in self._closed
        ]
        found += [
            f"{place} has {abs(count)} {'debits' if count > 0 else 'credits'} without their other side"
            for place, count in self._legs.items()
            if count and place.window not in self._closed
        ]
        found += [
            f"account {key} is of a participant and has no row" for key in self._declared_keys - self._account_keys
        ]
        found += [
            f"account {key} has a row and is of no participant" for key in self._account_keys - self._declared_keys
        ]
        return sorted(found)
