"""Table `settlement`: windows, what they hold, and settlements, all on the coordinator's partition.

Rows of several types share one store, distinguished by the first part of their keys: each store has a cost on every
partition, and only the partition of the hub's name has any of these rows. Whatever there is many of has a row of its
own: a net of a window, an account of a settlement, a leg of an account, a command that waits. So no row grows with
the number of participants or of their pairs.
"""

from __future__ import annotations

from typing import Final

import msgspec

from clearinghub.domain.settlement.netting import AccountIds, ContentSums, Net, NettingGroup, Party, PartyNet
from clearinghub.domain.settlement.settlement import AccountResult, Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Window
from clearinghub.engine.record import View, row_table
from clearinghub.rows import Row

TABLE: Final = "settlement"
NETTING_GROUPS_MAX: Final = 10_000  # of one window: currencies times ledger account types


class StoredEntry(Row, frozen=True, array_like=True):
    """The net of one party in one content of a window, and the account that it is of."""

    account: AccountIds
    net: Net


class StoredLeg(Row, frozen=True, array_like=True):
    """What an account of a settlement owes (positive) one counterparty, or is owed by it."""

    net: int


class ReportProgress(Row, frozen=True, array_like=True):
    """How far a partition has reported a window: up to which of its own row keys."""

    reported_to: str = ""


class Publication(Row, frozen=True, array_like=True):
    """How far the nets of a window are published that has all its reports; it is closed after the last of them."""

    complete_at_ms: int
    published_to: str = ""


class Making(Row, frozen=True, array_like=True):
    """A settlement that is being made of its contents, and the command that waits for it.

    `content` is the index of the content whose entries come next, `cursor` the key of the last row that was
    read. `totals` are the nets so far by currency.
    """

    correlation_id: str
    reply_to: str
    stage: str
    content: int = 0
    cursor: str = ""
    totals: dict[str, int] = msgspec.field(default_factory=dict)


class AbortProgress(Row, frozen=True, array_like=True):
    """How far the accounts of a settlement are aborted: up to which of their row keys; and the command's number."""

    command: int
    aborted_to: str = ""


class WaitingCommand(Row, frozen=True, array_like=True):
    """A command whose reply waits until `left` more accounts have moved; its results are another row."""

    correlation_id: str
    reply_to: str
    left: int


class CommandResults(Row, frozen=True, array_like=True):
    """What became of each account that a command named."""

    results: tuple[AccountResult, ...] = ()


class Queued(Row, frozen=True, array_like=True):
    """An account of a settlement that waits for its turn to be moved."""

    account_id: int


def window_key(window_id: int) -> str:
    """Return the key of a window; keys sort by number."""
    return f"window/{window_id:012d}"


def settlement_key(settlement_id: int) -> str:
    """Return the key of a settlement; keys sort by number."""
    return f"settlement/{settlement_id:012d}"


def sums_key(window_id: int, netting_group: NettingGroup) -> str:
    """Return the key of the sums of a content."""
    return "/".join(("sums", str(window_id), *netting_group))


def entries_prefix(window_id: int, netting_group: NettingGroup | None = None, participant: str | None = None) -> str:
    """Return how the keys of a window's entries begin: of all, of one content, or of one participant in it."""
    parts = ("entry", str(window_id), *(netting_group or ()), *(() if participant is None else (participant,)))
    return "/".join(parts) + "/"


def entry_key(window_id: int, netting_group: NettingGroup, party: Party) -> str:
    """Return the key of a party's entry in a content; no name, account type or currency holds a slash."""
    return entries_prefix(window_id, netting_group) + "/".join(party)


def entry_place(key: str) -> tuple[NettingGroup, Party]:
    """Return whose entry has that key."""
    _entry, _window_id, currency, account_type, granularity, participant, counterparty = key.split("/")
    return NettingGroup(currency, account_type, granularity), Party(participant, counterparty)


def report_key(window_id: int, partition: int) -> str:
    """Return the key of a partition's progress in reporting a window."""
    return f"report/{window_id}/{partition}"


def publication_key(window_id: int) -> str:
    """Return the key of how far a window's nets are published."""
    return f"publication/{window_id}"


def accounts_prefix(settlement_id: int) -> str:
    """Return how the keys of a settlement's accounts begin."""
    return f"account/{settlement_id:012d}/"


def account_key(settlement_id: int, account_id: int) -> str:
    """Return the key of an account of a settlement; keys sort by the account's id."""
    return f"{accounts_prefix(settlement_id)}{account_id:019d}"


def legs_prefix(settlement_id: int, account_id: int | None = None) -> str:
    """Return how the keys of a settlement's legs begin: of all accounts, or of one."""
    of_account = "" if account_id is None else f"{account_id:019d}/"
    return f"leg/{settlement_id:012d}/{of_account}"


def leg_key(settlement_id: int, account_id: int, counterparty: str) -> str:
    """Return the key of a leg; against all together, the counterparty is empty."""
    return legs_prefix(settlement_id, account_id) + counterparty


def leg_place(key: str) -> tuple[int, str]:
    """Return the account and the counterparty of the leg that has that key."""
    _leg, _settlement_id, account_id, counterparty = key.split("/")
    return int(account_id), counterparty


def making_key(settlement_id: int) -> str:
    """Return the key of how far a settlement is made."""
    return f"making/{settlement_id}"


def abort_key(settlement_id: int) -> str:
    """Return the key of how far a settlement's accounts are aborted."""
    return f"abort/{settlement_id}"


def queue_prefix(settlement_id: int) -> str:
    """Return how the keys of a settlement's queued accounts begin."""
    return f"queue/{settlement_id:012d}/"


def queue_key(settlement_id: int, number: int) -> str:
    """Return the key of a queued account; keys sort by the order in which accounts were queued."""
    return f"{queue_prefix(settlement_id)}{number:012d}"


def waiting_key(settlement_id: int, number: int) -> str:
    """Return the key of a command that waits for accounts of a settlement."""
    return f"waiting/{settlement_id}/{number}"


def results_key(settlement_id: int, number: int) -> str:
    """Return the key of the results of a command that waits."""
    return f"results/{settlement_id}/{number}"


SETTLEMENT_WINDOWS: Final = row_table(TABLE, Window)
SUMS: Final = row_table(TABLE, ContentSums)
ENTRIES: Final = row_table(TABLE, StoredEntry)
REPORTS: Final = row_table(TABLE, ReportProgress)
PUBLICATIONS: Final = row_table(TABLE, Publication)
SETTLEMENTS: Final = row_table(TABLE, Settlement)
ACCOUNTS: Final = row_table(TABLE, SettlementAccount)
LEGS: Final = row_table(TABLE, StoredLeg)
MAKINGS: Final = row_table(TABLE, Making)
ABORTS: Final = row_table(TABLE, AbortProgress)
QUEUES: Final = row_table(TABLE, Queued)
WAITING: Final = row_table(TABLE, WaitingCommand)
RESULTS: Final = row_table(TABLE, CommandResults)


def party_net(key: str, entry: StoredEntry) -> PartyNet:
    """Return the entry under a key as a net with its party."""
    return PartyNet(entry_place(key)[1], entry.account, entry.net)


def stored_sums(view: View, window_id: int) -> dict[NettingGroup, ContentSums]:
    """Return the sums of all contents of a window."""
    found = {}
    for key in view.keys(SUMS, f"sums/{window_id}/", "", NETTING_GROUPS_MAX):
        sums = view.get(SUMS, key)
        assert sums is not None
        _sums, _window_id, *netting_group = key.split("/")
        found[NettingGroup(*netting_group)] = sums
    return found
