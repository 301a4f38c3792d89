"""Table `nets`: what a partition's accounts owe and are owed in the windows that are not closed yet (design 7).

One row for each window, netting group and party, so that a commit changes one small row however many accounts there
are. For each window there is also a directory of these rows, so that closing reads no other, and a row of the markers
that have arrived. They share one store with the copy of the scheme (tables/scheme.py), for each store has a cost on
every partition.
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


class NetDirectory(Row, frozen=True, array_like=True):
    """The nets of one window, in the order of their first transfers."""

    keys: tuple[tuple[NettingGroup, Party], ...] = ()


class WindowMarkers(Row, frozen=True, array_like=True):
    """The partitions all of whose credits in one window have arrived here."""

    sources: tuple[int, ...] = ()


TABLE: Final = "nets"
NETS: Final = row_table(TABLE, StoredNet)
DIRECTORIES: Final = row_table(TABLE, NetDirectory)
MARKERS: Final = row_table(TABLE, WindowMarkers)


def net_row_key(key: NetKey) -> str:
    """Return the key of a net; no name, account type or currency holds a slash."""
    return "/".join(("net", str(key.window_id), *key.netting_group, *key.party))


def directory_key(window_id: int) -> str:
    """Return the key of a window's directory."""
    return f"list/{window_id}"


def markers_key(window_id: int) -> str:
    """Return the key of a window's markers."""
    return f"markers/{window_id}"


def change_net(view: View, key: NetKey, change: Callable[[Net], Net]) -> None:
    """Replace a net by `change` of it; a net that is not there yet is zero."""
    row_key = net_row_key(key)
    before = view.get(NETS, row_key)
    view.put(NETS, row_key, StoredNet(change(Net() if before is None else before.net)))
    if before is None:
        directory = view.get(DIRECTORIES, directory_key(key.window_id)) or NetDirectory()
        longer = NetDirectory((*directory.keys, (key.netting_group, key.party)))
        view.put(DIRECTORIES, directory_key(key.window_id), longer)


def nets_of(view: View, window_id: int) -> dict[NetKey, Net]:
    """Return all nets that the partition has of a window."""
    directory = view.get(DIRECTORIES, directory_key(window_id)) or NetDirectory()
    nets = {}
    for netting_group, party in directory.keys:
        key = NetKey(window_id, netting_group, party)
        row = view.get(NETS, net_row_key(key))
        assert row is not None, f"{key} is in the directory and not stored"
        nets[key] = row.net
    return nets


def delete_nets(view: View, window_id: int) -> None:
    """Delete all rows of a window: it is closed, and the coordinator has its nets."""
    for key in nets_of(view, window_id):
        view.delete(NETS, net_row_key(key))
    view.delete(DIRECTORIES, directory_key(window_id))
    view.delete(MARKERS, markers_key(window_id))
