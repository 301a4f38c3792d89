"""Table `nets`: what a partition's accounts owe and are owed in the windows that are not closed yet (design 7).

One row for each window, netting group and party, so that a commit changes one small row however many accounts; for
each window one row that lists them, so that closing reads no other, and one that tells whose markers have come. They
share one store, and so does the copy of the scheme (tables/scheme.py): a store has its price on every partition.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from clearinghub.domain.settlement.netting import Net, NettingGroup, Party
from clearinghub.engine.record import TableSpec, View

VERSION: Final = 1


class NetKey(NamedTuple):
    """Where a net belongs."""

    window_id: int
    netting_group: NettingGroup
    party: Party


def encode_net(row: Net) -> bytes:
    """A net as bytes."""
    return orjson.dumps([VERSION, row.debits, row.credits, row.debit_count, row.credit_count])


def decode_net(data: bytes) -> Net:
    """The net in a row's bytes. Raises ValueError for a shape of another version."""
    row: list[Any] = orjson.loads(data)
    if row[0] != VERSION:
        raise ValueError(f"net row of version {row[0]!r}")
    return Net(*row[1:])


TABLE: Final = "nets"
NETS: Final[TableSpec[Net]] = TableSpec(TABLE, encode_net, decode_net)
DIRECTORY: Final[TableSpec[list[list[str]]]] = TableSpec(TABLE, orjson.dumps, orjson.loads)
MARKERS: Final[TableSpec[list[int]]] = TableSpec(TABLE, orjson.dumps, orjson.loads)


def net_row_key(key: NetKey) -> str:
    """The key of a net; neither names nor types nor currencies hold a slash."""
    return "/".join(("net", str(key.window_id), *key.netting_group, *key.party))


def directory_key(window_id: int) -> str:
    """The key of a window's list of nets."""
    return f"list/{window_id}"


def markers_key(window_id: int) -> str:
    """The key of a window's markers: the partitions of which all credits are here."""
    return f"markers/{window_id}"


def change_net(view: View, key: NetKey, change: Any) -> bool:
    """Replace a net by `change` of it; gives whether it is the first of its window on this partition."""
    row_key = net_row_key(key)
    before = view.get(NETS, row_key)
    view.put(NETS, row_key, change(Net() if before is None else before))
    if before is not None:
        return False
    window = directory_key(key.window_id)
    listed = view.get(DIRECTORY, window)
    view.put(DIRECTORY, window, [*(listed or []), [*key.netting_group, *key.party]])
    return listed is None


def nets_of(view: View, window_id: int) -> dict[NetKey, Net]:
    """All nets that the partition has of a window."""
    keys = [_key(window_id, fields) for fields in view.get(DIRECTORY, directory_key(window_id)) or []]
    found = {key: view.get(NETS, net_row_key(key)) for key in keys}
    return {key: net for key, net in found.items() if net is not None}


def forget_nets(view: View, window_id: int) -> None:
    """The window is closed, and its nets are the coordinator's."""
    for key in nets_of(view, window_id):
        view.delete(NETS, net_row_key(key))
    view.delete(DIRECTORY, directory_key(window_id))
    view.delete(MARKERS, markers_key(window_id))


def _key(window_id: int, fields: list[str]) -> NetKey:
    currency, account_type, granularity, participant, counterparty = fields
    return NetKey(window_id, NettingGroup(currency, account_type, granularity), Party(participant, counterparty))
