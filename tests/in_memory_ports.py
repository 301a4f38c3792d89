"""What the admin surface asks of a hub, answered by an `InMemoryHub`; each answer can be made to fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp.web import Application

from clearinghub import __version__
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement, StatementEntry
from clearinghub.domain.settlement.netting import ContentSums, NettingGroup, PartyNet
from clearinghub.domain.settlement.settlement import Leg, Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.settlement.window_transfer import Place, WindowTransfer
from clearinghub.engine.record import TableSpec
from clearinghub.features import HIGHEST_LEVEL
from clearinghub.kafka.commands import KafkaCommandClient
from clearinghub.messages.commands import Command, Result, name_of
from clearinghub.messages.processes import RunningProcess
from clearinghub.messages.recoveries import PartitionReport, ReportedState
from clearinghub.ports import CommandTimeoutError
from tables.positions import POSITIONS
from tables.settlements import (
    ACCOUNTS,
    ENTRIES,
    LEGS,
    SETTLEMENT_WINDOWS,
    SETTLEMENTS,
    SUMS,
    account_key,
    accounts_prefix,
    entries_prefix,
    leg_place,
    legs_prefix,
    party_net,
    settlement_key,
    sums_key,
)
from tests.fakes import Emitted, FakeHealth, Row
from tests.in_memory_hub import InMemoryHub
from web.admin.access import Authenticate
from web.admin.app import build_admin_app

TRANSFERS_READ_AT_ONCE: Final = 2
ROWS_READ_AT_ONCE: Final = 3


class InMemoryPorts:
    """CommandClient, LedgerReader, SettlementReader and PacketReader of the admin surface.

    Commands go the production client's way, over topics `command` and `reply`. `sent` has the name and the participant
    of each that was carried out, and `operators` whose it was; `commands` the last command of each name, carried out or
    not. `fails_with` is raised by everything, what is in `failing` by the command of that name; the command
    `loses_answer_to` is carried out and its answer lost; the command `stalls_at` never ends.
    """

    def __init__(self, hub: InMemoryHub) -> None:
        self.sent: list[tuple[str, str]] = []
        self.operators: list[str] = []
        self.commands: dict[str, Command] = {}
        self.fails_with: Exception | None = None
        self.failing: dict[str, Exception] = {}
        self.loses_answer_to: str | None = None
        self.stalls_at: str | None = None
        self.processes = [RunningProcess(role="ledger", instance="0", release=__version__, highest_level=HIGHEST_LEVEL)]
        self.reports = [PartitionReport(0, ReportedState.WORKING, 1, worker="http://worker")]
        self.packets: dict[str, str] = {}
        self.history = AccountHistory(hub)
        self.window_transfers = InMemoryWindowTransfers(hub)
        self._hub = hub
        # An answer is there as soon as the command is written, or it does not come.
        at_once = hub.settings.model_copy(update={"command_timeout_ms": 1})
        self._client = KafkaCommandClient(at_once, _CommandRecorder(hub))
        hub.followers["reply"].append(lambda one: self._client._answer(one.value))

    def fails_from(self, name: str, error: Exception) -> dict[str, Exception]:
        """From now on that command fails; until what is returned is cleared."""
        self.failing[name] = error
        return self.failing

    async def execute(self, participant: str, command: Command, result_type: type[Result], by: str = "") -> Result:
        name = name_of(command)
        if self.fails_with is not None:
            raise self.fails_with
        self.commands[name] = command
        if name == self.stalls_at:
            await asyncio.Event().wait()
        if name in self.failing:
            raise self.failing[name]
        self.sent.append((name, participant))
        self.operators.append(by)
        result = await self._client.execute(participant, command, result_type, by)
        if name == self.loses_answer_to:
            raise CommandTimeoutError(name)
        return result

    def running(self) -> list[RunningProcess]:
        return self.processes

    async def partitions(self) -> list[PartitionReport]:
        return self.reports

    async def ilp_packet(self, transfer_id: str) -> str | None:
        if self.fails_with is not None:
            raise self.fails_with
        return self.packets.get(transfer_id)

    async def positions(self, participant: str) -> list[Position]:
        if self.fails_with is not None:
            raise self.fails_with
        rows = self._hub.view_of(participant).rows(POSITIONS).values()
        return [row for row in rows if row.participant == participant]

    async def last_windows(self) -> list[Window]:
        return self._coordinated(SETTLEMENT_WINDOWS, "window/")

    async def windows(self, window_ids: Sequence[int]) -> list[Window]:
        return [one for one in reversed(await self.last_windows()) if one.window_id in window_ids]

    async def sums(self, window: Window) -> dict[NettingGroup, ContentSums] | None:
        found = {
            one.netting_group: self._hub.coordinator.get(SUMS, sums_key(window.window_id, one.netting_group))
            for one in window.contents
        }
        sums = {netting_group: sums for netting_group, sums in found.items() if sums is not None}
        return sums if len(sums) == len(found) else None

    async def nets(
        self, window: Window, netting_group: NettingGroup, participant: str | None = None
    ) -> AsyncGenerator[list[PartyNet], None]:
        for page in self._pages(ENTRIES, entries_prefix(window.window_id, netting_group, participant)):
            yield [party_net(key, row) for key, row in page]

    async def accounts(self, settlement_id: int) -> AsyncGenerator[list[SettlementAccount], None]:
        for page in self._pages(ACCOUNTS, accounts_prefix(settlement_id)):
            yield [row for _key, row in page]

    async def account(self, settlement_id: int, account_id: int) -> SettlementAccount | None:
        return self._hub.coordinator.get(ACCOUNTS, account_key(settlement_id, account_id))

    async def legs(
        self, settlement_id: int, account_id: int | None = None
    ) -> AsyncGenerator[list[tuple[int, Leg]], None]:
        for page in self._pages(LEGS, legs_prefix(settlement_id, account_id)):
            yield [(leg_place(key)[0], Leg(leg_place(key)[1], row.net)) for key, row in page]

    def _pages(self, table: TableSpec[Row], prefix: str) -> Iterator[list[tuple[str, Row]]]:
        view, after = self._hub.coordinator, ""
        while keys := view.keys(table, prefix, after, ROWS_READ_AT_ONCE):
            yield [(key, row) for key in keys if (row := view.get(table, key)) is not None]
            after = keys[-1]

    async def last_settlements(self) -> list[Settlement]:
        return self._coordinated(SETTLEMENTS, "settlement/")

    async def settlement(self, settlement_id: int) -> Settlement | None:
        return self._hub.coordinator.get(SETTLEMENTS, settlement_key(settlement_id))

    def _coordinated(self, table: TableSpec[Row], prefix: str) -> list[Row]:
        """Rows of a kind, last first."""
        rows = self._hub.coordinator.tables.get(table.name, {})
        return [table.decode(rows[key]) for key in sorted(rows, reverse=True) if key.startswith(prefix)]


@dataclass(frozen=True)
class _CommandRecorder:
    """Writes commands past the hub's own recorder, whose records and faults are those of the DFSPs' surface."""

    hub: InMemoryHub

    async def record(self, topic: str, key: str, value: bytes) -> None:
        self.hub.write(topic, key, value)


class AccountHistory:
    """StatementReader over what was written to topic `positions`, each record with its time in milliseconds."""

    def __init__(self, hub: InMemoryHub) -> None:
        self.rows: list[tuple[int, dict[str, Any]]] = []
        self.kept_from_ms: int | None = None
        self.fails_with: Exception | None = None
        self.fails_from = 0  # how many statements are given before it fails
        hub.followers["positions"].append(lambda one: self.rows.append((hub.now_ms, json.loads(one.value))))

    async def statement(self, position: Position, from_ms: int, to_ms: int, after: int, entries_max: int) -> Statement:
        self.fails_from -= 1
        if self.fails_with is not None and self.fails_from < 0:
            raise self.fails_with
        own = [
            StatementEntry(row["changeNumber"], at_ms, row["transferId"], row["entryType"], row["change"], row["value"])
            for at_ms, row in self.rows
            if row["accountId"] == position.account_id and at_ms >= from_ms and row["changeNumber"] > after
        ]
        opening = own[0].value - own[0].change if own else position.value
        entries = [entry for entry in own if entry.at_ms < to_ms]
        return Statement(opening, tuple(entries[:entries_max]), len(entries) <= entries_max, self.kept_from_ms)


@dataclass
class InMemoryWindowTransfers:
    """WindowTransfersReader over what was written to topic `transfers`; a test may change the rows.

    `error` is raised once `fails_after` transfers were read. `closed` counts the readers that have ended.
    """

    hub: InMemoryHub
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    fails_after: int | None = None
    error: Exception | None = None
    closed: int = 0

    def __post_init__(self) -> None:
        self.hub.followers["transfers"].append(self._add)

    def _add(self, emitted: Emitted) -> None:
        assert emitted.partition is not None
        self.rows.setdefault(emitted.partition, []).append(json.loads(emitted.value))

    async def read(self, window: Window, after: Place | None) -> AsyncGenerator[list[WindowTransfer], None]:
        found = [
            one
            for partition, rows in sorted(self.rows.items())
            for offset, row in enumerate(rows)
            if row["window"] == window.window_id
            and (one := transfer_of(partition, offset, row)).place > (after or (-1, -1))
        ]
        try:
            for start in range(0, len(found) + 1, TRANSFERS_READ_AT_ONCE):
                if self.fails_after is not None and start >= self.fails_after:
                    assert self.error is not None
                    raise self.error
                if found[start : start + TRANSFERS_READ_AT_ONCE]:
                    yield found[start : start + TRANSFERS_READ_AT_ONCE]
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


def admin_app(hub: InMemoryHub, ports: InMemoryPorts, authenticate: Authenticate | None = None) -> Application:
    """The operators' surface over a hub."""
    return build_admin_app(
        hub.settings,
        ports,
        hub.participants,
        ports,
        ports,
        ports.history,
        ports,
        FakeHealth(),
        window_transfers=ports.window_transfers,
        processes=ports,
        partitions=ports,
        authenticate=authenticate,
    )
