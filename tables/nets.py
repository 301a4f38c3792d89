"""Table `nets`: what a partition's accounts owe and are owed in the windows that are not closed yet (design 7).

One row for each window, netting group and party, so that a commit changes one small row however many parties there
are; a window's rows follow each other, so that closing reads no other. For each window there is also a row of the
markers that have arrived. They share one store with the copy of the scheme (tables/scheme.py), for each store has a
cost on every partition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from clearinghub.domain.settlement.netting import Net, NettingGroup, Party
from clearinghub.engine.record import View, row_table
from clearinghub.rows import Row


class NetKey(NamedTuple):
    """Which net it is: the party's, in a netting group of a window."""

    window_id: int
    netting_group: NettingGroup
    party: Party


class StoredNet(Row, frozen=True, array_like=True):
    """The net of one `NetKey`."""

    net: Net = Net()


class WindowMarkers(Row, frozen=True, array_like=True):
    """The partitions all of whose credits in one window have arrived here."""

    sources: tuple[int, ...] = ()


TABLE: Final = "nets"
NETS: Final = row_table(TABLE, StoredNet)
MARKERS: Final = row_table(TABLE, WindowMarkers)


def net_row_key(key: NetKey) -> str:
    """Return the key of a net; no name, account type or currency holds a slash."""
    return "/".join(("net", str(key.window_id), *key.netting_group, *key.party))


def net_key_of(row_key: str) -> NetKey:
    """Return which net has that row key."""
    _net, window_id, currency, account_type, granularity, participant, counterparty = row_key.split("/")
    return NetKey(int(window_id), NettingGroup(currency, account_type, granularity), Party(participant, counterparty))


def markers_key(window_id: int) -> str:
    """Return the key of a window's markers."""
    return f"markers/{window_id}"


def change_net(view: View, key: NetKey, change: Callable[[Net], Net]) -> None:
    """Replace a net by `change` of it; a net that is not there yet is zero."""
    row_key = net_row_key(key)
    before = view.get(NETS, row_key)
    view.put(NETS, row_key, StoredNet(change(Net() if before is None else before.net)))


def net_keys(view: View, window_id: int, after: str, count_max: int) -> list[str]:
    """Return the row keys of the partition's nets of a window that come after the key `after`, in order."""
    return view.keys(NETS, f"net/{window_id}/", after, count_max)
