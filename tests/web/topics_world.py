"""Topics `positions` and `transfers` in memory, as the readers of the admin surface see them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement, StatementLine
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.settlement.window_transfer import Place, WindowTransfer
from tests.fakes import Emitted

AT_ONCE = 2


@dataclass
class HistoryInMemory:
    """StatementReader over what the agents wrote to topic `positions`, each record with its time."""

    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    kept_from_ms: int | None = None
    fails_with: Exception | None = None
    fails_from: int = 0  # how many are given before it fails

    async def statement(self, position: Position, from_ms: int, to_ms: int, after: int, lines_max: int) -> Statement:
        self.fails_from -= 1
        if self.fails_with is not None and self.fails_from < 0:
            raise self.fails_with
        own = [
            StatementLine(row["changeNumber"], at_ms, row["transferId"], row["entryType"], row["change"], row["value"])
            for at_ms, row in self.rows
            if row["accountId"] == position.account_id and at_ms >= from_ms and row["changeNumber"] > after
        ]
        opening = own[0].value - own[0].change if own else position.value
        lines = [line for line in own if line.at_ms < to_ms]
        return Statement(opening, tuple(lines[:lines_max]), len(lines) <= lines_max, self.kept_from_ms)


@dataclass
class TransfersInMemory:
    """WindowTransfersReader over what the agents wrote; a test may forge the rows, or let the broker go."""

    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    fails_after: int | None = None
    error: Exception | None = None
    closed: int = 0

    def take(self, emitted: Emitted) -> None:
        """A record of the topic."""
        assert emitted.partition is not None
        self.rows.setdefault(emitted.partition, []).append(json.loads(emitted.value))

    async def read(self, window: Window, after: Place | None) -> AsyncGenerator[list[WindowTransfer], None]:
        """Those of the window, two at a time."""
        found = [
            one
            for partition, rows in sorted(self.rows.items())
            for offset, row in enumerate(rows)
            if row["window"] == window.window_id
            and (one := transfer_of(partition, offset, row)).place > (after or (-1, -1))
        ]
        try:
            for start in range(0, len(found) + 1, AT_ONCE):
                if self.fails_after is not None and start >= self.fails_after:
                    assert self.error is not None
                    raise self.error
                if found[start : start + AT_ONCE]:
                    yield found[start : start + AT_ONCE]
        finally:
            self.closed += 1


def transfer_of(partition: int, offset: int, row: dict[str, Any]) -> WindowTransfer:
    return WindowTransfer(
        Place(partition, offset),
        row["transferId"],
        row["payer"],
        row["payee"],
        row["currency"],
        row["amount"],
        row["interchangeFee"],
        row["state"],
        row["preparedAt"],
        row["finishedAt"],
    )
