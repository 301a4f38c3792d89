"""Closing a window costs the same however many transfers are in it: counted, for a clock measures the neighbours."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clearinghub.domain.settlement.window import WindowState
from clearinghub.engine.record import TableSpec
from tests.fakes import MemoryView
from tests.property.settlement_world import DFSPS, SettlementWorld

MANY = int(os.environ.get("CLOSING_TRANSFERS", "3000"))
FEW = 300
FORGET_EVERY = 1_000


@dataclass
class CountingView(MemoryView):
    """Counts what is done with it."""

    done: Counter[str] = field(default_factory=Counter)

    def get(self, table: TableSpec[Any], key: str) -> Any:
        self.done["read"] += 1
        return super().get(table, key)

    def put(self, table: TableSpec[Any], key: str, row: Any) -> None:
        self.done["written"] += 1
        super().put(table, key, row)

    def delete(self, table: TableSpec[Any], key: str) -> None:
        self.done["removed"] += 1
        super().delete(table, key)

    def emit(self, topic: str, key: str, value: bytes) -> None:
        self.done["bytes sent"] += len(value) // 1_000  # amounts have more digits where there is more
        super().emit(topic, key, value)


def closing(transfers: int) -> tuple[Counter[str], float]:
    """What closing a window of so many transfers does, and how long it takes in seconds."""
    world = SettlementWorld(make_view=CountingView)
    views = [view for view in world.hub.views if isinstance(view, CountingView)]
    for number in range(transfers):
        payer, payee = DFSPS[number % 4], DFSPS[(number + 1 + number // 4 % 3) % 4]
        world.pay(payer, payee, 1 + number % 100, "USD")
        world.deliver_all()
        if number % FORGET_EVERY == 0:
            for view in views:
                view.tables.get("transfers", {}).clear()
            world.hub.written.clear()
    for view in views:
        view.done.clear()
    began = time.perf_counter()
    world.command("close-window", window=1, reason="r")
    world.deliver_all()
    took_s = time.perf_counter() - began
    (window,) = (one for one in world.windows() if one.window_id == 1)
    assert (WindowState.CLOSED, transfers) == (window.state, window.contents[0].transfers)
    return sum((view.done for view in views), Counter()), took_s


def test_closing_reads_and_writes_as_much_for_many_transfers_as_for_few() -> None:
    few, few_s = closing(FEW)
    many, many_s = closing(MANY)

    print(f"\nclosing {FEW:,}: {few_s * 1000:.1f} ms, {dict(few)}; {MANY:,}: {many_s * 1000:.1f} ms, {dict(many)}")
    assert few == many
