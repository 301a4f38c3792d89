"""Copies the simulated hub while it works, by the code of `clearinghub backup`, and judges every copy.

It reads the changelogs as the command does: one after the other, each up to another moment, while rounds go on.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from clearinghub.config import Settings
from clearinghub.copies import CopyError, folder
from clearinghub.copies.balance import BooksOfRows
from clearinghub.copies.cut import Round, greatest_cut
from clearinghub.copies.history import Change, PartitionHistory
from clearinghub.copies.in_flight import MessageInFlight, SoughtMessages
from clearinghub.copies.restore import Plan
from clearinghub.copies.row_store import StoredRow
from clearinghub.kafka.topology import load_topology
from clearinghub.kafka.topology.declared import changelog_name
from clearinghub.rows import ROW_FORMAT
from tests.model.copied import Books, CopiedPartition, Number, check_copied, check_restored
from tests.simulation.bus import Bus, Entry, Log
from tests.simulation.reading import OUTBOX

PAUSE_S: Final = 2.0  # between two copies, on average
TAIL_S: Final = 0.5
CUT_WITHIN_S: Final = 60.0
FOUND_WITHIN_S: Final = 60.0
LOOK_S: Final = 0.2
PARTITIONS_MAX: Final = 7  # of a restored hub


class _Rows:
    """A `RowStore` in memory: the rows of one partition by table."""

    def __init__(self) -> None:
        self.tables: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)

    def apply(self, table: str, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self.tables[table].pop(key, None)
            else:
                self.tables[table][key] = value

    def rows(self) -> Iterator[StoredRow]:
        for table, rows in sorted(self.tables.items()):
            yield from (StoredRow(table, key, value) for key, value in sorted(rows.items()))


class _Copy:
    """A `Copy` in memory, as `restore` reads one from a folder."""

    def __init__(self, settings: Settings, stores: Mapping[int, _Rows], messages: list[MessageInFlight]) -> None:
        self._stores = stores
        self._messages = messages
        partitions = tuple(
            folder.CopiedPartition(number, "", dict(Counter(row.table for row in store.rows())), 0, {}, {}, 0, ())
            for number, store in stores.items()
        )
        self.manifest = folder.Manifest(folder.FORMAT, "", ROW_FORMAT, 0, settings.hub_name, "", "", "", {}, partitions)

    def rows(self, partition: int) -> Iterator[StoredRow]:
        return self._stores[partition].rows()

    def messages(self, partition: int) -> Iterator[MessageInFlight]:
        return (one for one in self._messages if one.receiver == partition)

    def rows_of(self, partition: int, table: str) -> Iterator[StoredRow]:
        return (row for row in self._stores[partition].rows() if row.table == table)

    def keys(self, table: str) -> Any:
        return pa.chunked_array([[key for one in self._stores.values() for key in one.tables[table]]], pa.binary())


class Copier:
    """Makes copies at random moments. Its chance is its own: it must not change what else a seed does."""

    def __init__(self, bus: Bus, settings: Settings, seed: int) -> None:
        self._bus = bus
        self._settings = settings
        self._random = random.Random(f"copies {seed}")
        self._tables = tuple(load_topology().tables)

    async def keep_copying(self) -> None:
        """Copy again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / PAUSE_S))
            await self.copy()

    async def copy(self) -> None:
        """Make a copy and judge it, and judge what a restore would make of it on another number of partitions."""
        numbers = range(self._settings.partitions)
        stores = {number: _Rows() for number in numbers}
        histories = {number: PartitionHistory(number, stores[number]) for number in numbers}
        cut = await self._cut(histories)
        if cut is None:
            return  # some partition has never worked
        for number, history in histories.items():
            history.fold_to(cut[number])
        messages = await self._messages(cut)
        self._bus.counts["copies"] += 1
        self._bus.counts["messages in copies"] += len(messages)
        self._judge(cut, stores, messages)
        try:
            self._judge_restored(_Copy(self._settings, stores, messages))
        except CopyError as error:
            # A restore by this release, or to that number of partitions, is refused.
            if "of a later release" not in str(error) and "is open on partitions" not in str(error):
                raise
            self._bus.counts["restores refused"] += 1

    async def _cut(self, histories: Mapping[int, PartitionHistory]) -> dict[int, Round] | None:
        read: dict[tuple[str, int], int] = {}
        await self._read(histories, read)
        for number, history in histories.items():
            history.fold_before({table: read[table, number] for table in self._tables})
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + CUT_WITHIN_S
        while loop.time() < deadline_s:
            until_s = loop.time() + TAIL_S
            while loop.time() < until_s:
                await self._read(histories, read)
            cut = greatest_cut({number: history.rounds() for number, history in histories.items()})
            if cut is not None:
                return cut
        assert not all(history.has_worked for history in histories.values()), "no consistent cut was found"
        return None

    async def _read(self, histories: Mapping[int, PartitionHistory], read: dict[tuple[str, int], int]) -> None:
        """Read every changelog to its present end, in any order, with pauses."""
        places = [(table, number) for table in self._tables for number in histories]
        self._random.shuffle(places)
        for table, number in places:
            log = self._log(table, number)
            records, read[table, number] = log.read(read.get((table, number), 0), 1 << 60)
            histories[number].add(
                table, (Change(one.offset, one.key or b"", one.value, one.timestamp) for one in records)
            )
            if self._random.random() < 0.2:
                await asyncio.sleep(self._random.uniform(0, 0.02))

    def _log(self, table: str, number: int) -> Log:
        return self._bus.logs[changelog_name(self._settings.application_id, table), number]

    async def _messages(self, cut: Mapping[int, Round]) -> list[MessageInFlight]:
        sought = SoughtMessages(cut)
        deadline_s = asyncio.get_running_loop().time() + FOUND_WITHIN_S
        while sought.missing() and asyncio.get_running_loop().time() < deadline_s:
            for _, receiver, topic in sought.missing():
                log = self._bus.logs[topic, receiver]
                for entry in log.read(cut[receiver].decided.get(topic, 0), 1 << 60)[0]:
                    sought.take(topic, receiver, entry)
            for sender in cut:
                for entry in self._bus.logs[OUTBOX, sender].read(0, 1 << 60)[0]:
                    sought.take_from_outbox(entry)
            await asyncio.sleep(LOOK_S)
        assert not sought.missing(), f"{sought.describe()} is nowhere"
        return sought.in_order()

    def _judge(self, cut: Mapping[int, Round], stores: Mapping[int, _Rows], messages: list[MessageInFlight]) -> None:
        partitions = {}
        for number, round_ in cut.items():
            copied = {(row.table, row.key): row.value for row in stores[number].rows()}
            entries = self._entries_until(number, round_)
            partitions[number] = CopiedPartition(
                copied, self._rows_of(entries), self._sent(entries), self._received(number, round_)
            )
        check_copied(partitions, (Number(one.sender, one.receiver, one.topic, one.number) for one in messages))

    def _entries_until(self, number: int, round_: Round) -> list[Entry]:
        """Return all that the partition's transactions wrote, up to the one that is the cut."""
        mark = (changelog_name(self._settings.application_id, "offsets"), number), round_.changelogs["offsets"]
        entries: list[Entry] = []
        for transaction in self._bus.committed:
            if transaction.owner.rpartition("-")[2] == str(number):
                entries += transaction.entries
                if any((entry.place, entry.offset) == mark for entry in transaction.entries):
                    return entries
        raise AssertionError(f"the cut of partition {number} is the end of no round")

    def _rows_of(self, entries: Iterable[Entry]) -> dict[tuple[str, bytes], bytes]:
        tables = {changelog_name(self._settings.application_id, table): table for table in self._tables}
        rows: dict[tuple[str, bytes], bytes] = {}
        for entry in sorted(entries, key=lambda entry: (entry.place, entry.offset)):
            if entry.place[0] in tables and entry.key is not None:
                place = tables[entry.place[0]], entry.key
                if entry.value is None:
                    rows.pop(place, None)
                else:
                    rows[place] = entry.value
        return rows

    @staticmethod
    def _sent(entries: Iterable[Entry]) -> frozenset[Number]:
        return frozenset(_number_of(entry) for entry in entries if dict(entry.headers).get("hop"))

    def _received(self, number: int, round_: Round) -> frozenset[Number]:
        """Return the messages among the records that the partition's round has decided."""
        return frozenset(
            _number_of(entry)
            for topic, decided in round_.decided.items()
            for entry in self._bus.logs[topic, number].entries[:decided]
            if entry.is_committed and dict(entry.headers).get("hop")
        )

    def _judge_restored(self, copy: _Copy) -> None:
        """Judge what a restore of the copy writes, on any number of partitions."""
        partitions = self._random.randint(1, PARTITIONS_MAX)
        settings = self._settings.model_copy(update={"partitions": partitions})
        plan = Plan(copy, settings)
        rows: dict[int, dict[tuple[str, bytes], bytes]] = {number: {} for number in range(partitions)}
        books = BooksOfRows()
        for number, row in plan.rows():
            assert (row.table, row.key) not in rows[number], f"{row.key!r} of table {row.table} twice on {number}"
            rows[number][row.table, row.key] = row.value
            books.add(row)
        messages = [(one.partition, one.value) for one in plan.messages()]
        for _number, value in messages:
            books.add_message(value)
        numbers = range(len(copy.manifest.partitions))
        before = Books(
            {number: {(row.table, row.key): row.value for row in copy.rows(number)} for number in numbers},
            [(number, one.value) for number in numbers for one in copy.messages(number)],
        )
        check_restored(before, Books(rows, messages))
        assert not books.faults(), books.faults()


def _number_of(entry: Entry) -> Number:
    headers = dict(entry.headers)
    sender, sequence, _chain = headers["hop"].decode().split(":")
    topic, partition = entry.place
    if topic == OUTBOX:
        topic, _, text = headers["to"].decode().rpartition("/")
        partition = int(text)
    return Number(int(sender), partition, topic, int(sequence))
