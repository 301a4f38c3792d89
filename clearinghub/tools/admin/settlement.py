"""The commands on settlement windows and settlements."""

from __future__ import annotations

import argparse
from typing import Final

from clearinghub.tools.admin.exits import NotDoneError
from clearinghub.tools.admin.screen import Answer, Column, money
from clearinghub.tools.client.settlement import Settlement, SettlementOperations, Window

_WINDOW_COLUMNS: Final = (
    Column("window", is_number=True),
    Column("state"),
    Column("content"),
    Column("created"),
    Column("reason"),
)
_NET_COLUMNS: Final = (
    Column("ccy"),
    Column("type"),
    Column("participant"),
    Column("counterparty"),
    Column("owes", is_number=True),
    Column("is owed", is_number=True),
    Column("net", is_number=True),
)
_SETTLEMENT_COLUMNS: Final = (Column("settlement", is_number=True), Column("model"), Column("state"), Column("reason"))
_ACCOUNT_COLUMNS: Final = (
    Column("participant id", is_number=True),
    Column("account id", is_number=True),
    Column("ccy"),
    Column("net", is_number=True),
    Column("state"),
    Column("reason"),
)


class SettlementCommands:
    """One method a command, named by its noun and verb; all raise AdminError."""

    def __init__(self, operations: SettlementOperations, chosen: argparse.Namespace) -> None:
        self._operations = operations
        self._chosen = chosen

    async def windows_list(self) -> Answer:
        """The windows, newest first."""
        return _windows_answer(await self._operations.windows(self._chosen.state))

    async def windows_close(self) -> Answer:
        """Close the window that is chosen, or the open one."""
        window_id = self._chosen.window or await self._open_window()
        opened = await self._operations.close_window(window_id, self._chosen.reason)
        done = f"window {window_id} is being closed; window {opened.window_id} is open"
        return Answer(opened.document(), sentences=[done])

    async def _open_window(self) -> int:
        opened = await self._operations.windows("OPEN")
        if not opened:
            raise NotDoneError("no window is open yet: the ledger has just begun")
        return opened[0].window_id

    async def windows_nets(self) -> Answer:
        """Who owes and who is owed what."""
        nets = await self._operations.nets(self._chosen.window)
        rows = [
            (
                content.currency,
                content.account_type,
                net.participant,
                net.counterparty or "",
                money(net.debits_units),
                money(net.credits_units),
                money(net.net_units),
            )
            for content in nets.content
            for net in content.nets
        ]
        return Answer(nets.document(), _NET_COLUMNS, rows, [f"window {nets.window_id} is {nets.state}"])

    async def settlements_list(self) -> Answer:
        """The settlements, newest first."""
        found = await self._operations.settlements()
        rows = [(str(one.settlement_id), one.model or "", one.state, one.reason or "") for one in found]
        return Answer([one.document() for one in found], _SETTLEMENT_COLUMNS, rows)

    async def settlements_show(self) -> Answer:
        """One with its accounts."""
        return _settlement_answer(await self._operations.settlement(self._chosen.settlement))

    async def settlements_create(self) -> Answer:
        """A settlement of closed windows."""
        chosen = self._chosen
        return _settlement_answer(await self._operations.create(chosen.model, chosen.windows, chosen.reason))

    async def settlements_advance(self) -> Answer:
        """All accounts one state further."""
        return _settlement_answer(await self._operations.advance(self._chosen.settlement, self._chosen.reason))

    async def settlements_abort(self) -> Answer:
        """Undo it."""
        return _settlement_answer(await self._operations.abort(self._chosen.settlement, self._chosen.reason))


def _windows_answer(windows: list[Window]) -> Answer:
    rows = [
        (
            str(window.window_id),
            window.state,
            ", ".join(f"{one.currency} {one.account_type} {one.state} ({one.transfers})" for one in window.content),
            window.created_at,
            window.reason or "",
        )
        for window in windows
    ]
    return Answer([window.document() for window in windows], _WINDOW_COLUMNS, rows)


def _settlement_answer(settlement: Settlement) -> Answer:
    rows = [
        (
            str(participant.participant_id),
            str(account.account_id),
            account.net.currency if account.net else "",
            money(account.net.amount_units if account.net else None),
            account.state,
            account.reason,
        )
        for participant in settlement.participants
        for account in participant.accounts
    ]
    done = f"settlement {settlement.settlement_id} is {settlement.state}"
    return Answer(settlement.document(), _ACCOUNT_COLUMNS, rows, [done])
