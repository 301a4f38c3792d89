"""How one partition is opened: fence, recover, compare with the broker, and say where its inputs continue (ADR 28).

The order matters. What earlier owners have not committed before the fence, they never will. So the changelogs' ends
that are read after it are final, and what they lack of what was noted is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import TopicPartition
from faust.types import TP

from clearinghub.engine import loss
from clearinghub.engine.config import EngineConfig, goes_past
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.offsets import PartitionPlace
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets, LastRecord, read_decided_offsets
from clearinghub.engine.recovery import ChangelogReader
from clearinghub.engine.store import LedgerTable
from clearinghub.engine.transaction import PartitionProducer

log = structlog.get_logger(__name__)

INPUT_FETCH_TIMEOUT_MS: Final = 200


class OpenedPartition(NamedTuple):
    """A partition that may work: its fencing producer, where it begins, and how many rows recovery has read."""

    producer: PartitionProducer
    place: PartitionPlace
    rows: int


class PartitionOpening:
    """Opens one partition; made anew for each attempt."""

    def __init__(self, config: EngineConfig, number: int, tables: Mapping[str, LedgerTable]) -> None:
        self._config = config
        self._number = number
        self._tables = tables

    async def open(self) -> OpenedPartition:
        """Fence, recover, compare.

        Raises:
            PartitionStoppedError: the partition must not work.
            StoredFormatError: a row cannot be decoded.
            KafkaError: the broker does not answer; try again.
        """
        producer = PartitionProducer(self._config, self._number)
        try:
            await producer.start()
            place, rows = await self._recover()
        except BaseException:
            await producer.stop()
            raise
        return OpenedPartition(producer, place, rows)

    async def _recover(self) -> tuple[PartitionPlace, int]:
        changelogs = {TP(self._config.changelog(name), self._number): table for name, table in self._tables.items()}
        reader = ChangelogReader(self._config, changelogs)
        try:
            await reader.connect()
            self._compare_copies(reader)
            await reader.start()
            rows = await reader.catch_up()
            decided = self._decided()
            self._check(loss.changelog_loss(self._number, decided, reader.lasts(), reader.ends()))
            inputs = _InputReader(reader.consumer, self._config, self._number)
            next_offsets, last_records = await self._compare_inputs(inputs, decided)
        finally:
            await reader.stop()
        known = {} if decided is None else decided.changelog_offsets
        noted = {table: last for table, last in reader.lasts().items() if last >= 0}
        # Compaction may have removed the last record, a tombstone: then what was noted is later.
        noted |= {
            table: offset for table, offset in known.items() if noted.get(table, -1) < offset < reader.ends()[table]
        }
        later = () if decided is None else decided.later
        return PartitionPlace(next_offsets, last_records, noted, reader.ends(), later), rows

    def _check(self, fault: PartitionStoppedError | None) -> bool:
        """Raise a fault unless an operator has decided to go on past it. Return whether there is one."""
        if fault is None:
            return False
        if goes_past(self._config, self._number, fault):
            return True
        raise fault

    def _decided(self) -> DecidedOffsets | None:
        data = self._tables[OFFSETS.name].data.row(self._number, INPUTS.encode())
        return None if data is None else read_decided_offsets(self._number, data)

    def _compare_copies(self, reader: ChangelogReader) -> None:
        """Compare the local copies with the changelogs, before recovery changes or deletes any."""
        ends = reader.ends()
        for name, table in self._tables.items():
            local = table.offset(TP(self._config.changelog(name), self._number))
            if local >= ends[name] and self._check(loss.copy_ahead(self._number, name, local, ends[name])):
                table.data.wipe(self._number)
        if (decided := self._decided_if_readable()) is not None:
            self._check(loss.noted_loss(self._number, decided, ends))

    def _decided_if_readable(self) -> DecidedOffsets | None:
        """Return the local copy's row; None if there is none, or one of an older format, which recovery builds anew."""
        table = self._tables[OFFSETS.name]
        return None if table.data.checkpoint_ms(self._number) is None else self._decided()

    async def _compare_inputs(
        self, inputs: _InputReader, decided: DecidedOffsets | None
    ) -> tuple[dict[str, int], dict[str, LastRecord]]:
        """Return where each input continues and its last decided record; an input never decided begins at its start."""
        next_offsets = {} if decided is None else dict(decided.next_offsets)
        last_records = {} if decided is None else dict(decided.last_records)
        logs = await inputs.read(next_offsets, last_records)
        for one in self._config.inputs:
            topic, log_ = one.topic, logs[one.topic]
            if topic not in next_offsets:
                next_offsets[topic] = log_.beginning
                continue
            fault = loss.input_loss(
                self._number,
                topic,
                next_offsets[topic],
                last_records.get(topic),
                log_,
                has_no_holes=one.has_no_holes,
            )
            if self._check(fault):
                next_offsets[topic] = _continue_at(next_offsets[topic], log_, one.has_no_holes)
                last_records.pop(topic, None)
        return next_offsets, last_records


def _continue_at(decided: int, log_: loss.InputLog, has_no_holes: bool) -> int:  # noqa: FBT001 - a fact, not a mode
    """Return where an input continues whose loss was accepted: the nearest offset that the log has."""
    start = min(max(decided, log_.beginning), log_.end)
    undecided = [record.offset for record in log_.records if record.offset >= start]
    return undecided[0] if has_no_holes and undecided else start


class _InputReader:
    """Reads of each input what shows whether it is still the log that was decided."""

    def __init__(self, consumer: Any, config: EngineConfig, number: int) -> None:
        """`consumer` reads committed records, and is free."""
        self._consumer = consumer
        self._inputs = {TopicPartition(config.topic_prefix + one.topic, number): one for one in config.inputs}

    async def read(
        self, next_offsets: Mapping[str, int], last_records: Mapping[str, LastRecord]
    ) -> dict[str, loss.InputLog]:
        """Return each input's log: where it begins and ends, and the records that `input_loss` compares."""
        consumer, places = self._consumer, list(self._inputs)
        consumer.assign(places)
        beginnings, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        found: dict[TopicPartition, list[LastRecord]] = {place: [] for place in places}
        sought: dict[TopicPartition, int] = {}  # what is still to be read, and up to where
        for place, one in self._inputs.items():
            beginning, end = beginnings[place], ends[place]
            decided, last = next_offsets.get(one.topic), last_records.get(one.topic)
            start = decided if last is None or last.offset < beginning else last.offset
            consumer.seek(place, end if start is None else min(max(start, beginning), end))
            if decided is None or start is None or not beginning <= start < end:
                continue
            if start < decided or one.has_no_holes:
                sought[place] = decided if one.has_no_holes and decided < end else start
        consumer.pause(*(place for place in places if place not in sought))
        while sought:
            fetched = await consumer.getmany(timeout_ms=INPUT_FETCH_TIMEOUT_MS)
            for place, records in fetched.items():
                found[place].extend(
                    LastRecord(one.offset, one.timestamp, loss.checksum(one.key, one.value))
                    for one in records
                    if not found[place] or found[place][-1].offset < sought.get(place, -1)
                )
            for place, until in tuple(sought.items()):
                if (found[place] and found[place][-1].offset >= until) or (
                    await consumer.position(place) >= ends[place]
                ):
                    del sought[place]
                    consumer.pause(place)
        return {
            one.topic: loss.InputLog(beginnings[place], ends[place], tuple(found[place]))
            for place, one in self._inputs.items()
        }
