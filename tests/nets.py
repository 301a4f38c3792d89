"""What a partition and the coordinator hold of a window, read back by tests."""

from __future__ import annotations

from clearinghub.domain.settlement.netting import Net, NettingGroup, Party
from tables.nets import NETS, NetKey, net_key_of, net_keys
from tables.settlements import ENTRIES, entries_prefix, entry_place
from tests.fakes import MemoryView

ALL = 1_000_000


def nets_of(view: MemoryView, window_id: int) -> dict[NetKey, Net]:
    """Return all nets that a partition has of a window."""
    rows = {key: view.get(NETS, key) for key in net_keys(view, window_id, "", ALL)}
    return {net_key_of(key): row.net for key, row in rows.items() if row is not None}


def entries_of(view: MemoryView, window_id: int) -> dict[tuple[NettingGroup, Party], Net]:
    """Return all nets that the coordinator has of a window."""
    rows = {key: view.get(ENTRIES, key) for key in view.keys(ENTRIES, entries_prefix(window_id), "", ALL)}
    return {entry_place(key): row.net for key, row in rows.items() if row is not None}
