"""A pass: everything that the topics hold by now and the archive does not, copied partition by partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from prometheus_client import Counter, Gauge

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.messages import VERSION
from clearinghub.messages.archived import Archived, archived_key, encode_archived
from clearinghub.tools.archive.batch import Batch
from clearinghub.tools.archive.errors import LostRecordsError, UnreadableRecordError
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.folder import Folder
from clearinghub.tools.archive.reader import Extent, Reader
from clearinghub.tools.archive.schemas import TOPICS

TELL_TIMEOUT_MS: Final = 15_000
CLOSE_S_MAX: Final = 2.0

RECORDS = Counter("clearinghub_archived_records_total", "Records in the archive's files", ["topic"])
FILES = Counter("clearinghub_archive_files_total", "Files that the archive has written", ["topic"])
BEHIND = Gauge("clearinghub_archive_behind", "Offsets that were to be archived when the last pass began", ["topic"])
PASSED = Gauge("clearinghub_archive_pass_timestamp_seconds", "When the last whole pass ended")


@dataclass(slots=True)
class Tally:
    """What a pass has done; `lost` are spans that it was told to leave out."""

    records: int = 0
    files: int = 0
    lost: tuple[Span, ...] = ()
    is_whole: bool = False


class Archiver:
    """Copies into one folder, pass by pass, and tells how far it is."""

    def __init__(self, settings: Settings, folder: Folder, stop: asyncio.Event, *, accepts_loss: bool) -> None:
        """`stop` ends a pass between two batches; with `accepts_loss` records that are gone are left out."""
        self._settings = settings
        self._folder = folder
        self._stop = stop
        self._accepts_loss = accepts_loss
        self._told: dict[tuple[str, int], Archived] = {}

    async def run_pass(self, tally: Tally, on_total: Callable[[int], None], on_done: Callable[[int], None]) -> None:
        """Copy all that is there now. The functions hear how many offsets there are to do, and how many are done.

        Raises:
            ArchiveError: it cannot go on.
            TopicsMissingError: there are no such topics.
            KafkaError: the broker was lost.
        """
        reader = Reader(self._settings)
        # Not idempotent: such a producer never gives a record up, and here a second one would say the same.
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            acks="all",
            request_timeout_ms=TELL_TIMEOUT_MS,
            **kafka_access(self._settings),
        )
        try:
            await producer.start()
            await reader.start()
            extents = await reader.extents()
            spans = [span for extent in extents for span in self._missing(extent, tally)]
            for topic in TOPICS:
                BEHIND.labels(topic).set(sum(span.end - span.begin for span in spans if span.topic == topic))
            on_total(sum(span.end - span.begin for span in spans))
            # What lacks between the files comes first: until then the archive has not all before its end.
            gaps = [span for span in spans if span.end < (self._folder.end(span.topic, span.partition) or 0)]
            for span in gaps:
                await self._copy(reader, span, tally, on_done)
            for span in (one for one in spans if one not in gaps):
                if self._stop.is_set():
                    break
                await self._tell(producer)
                await self._copy(reader, span, tally, on_done)
            if not self._stop.is_set():
                await self._tell(producer)
                tally.is_whole = True
                PASSED.set_to_current_time()
        finally:
            await reader.stop()
            with suppress(TimeoutError):  # cancelled, it may hold a record that a silent broker does not take
                await asyncio.wait_for(producer.stop(), CLOSE_S_MAX)

    def _missing(self, extent: Extent, tally: Tally) -> list[Span]:
        """What is to be copied of a partition, as far as it is still there."""
        archived = self._folder.end(extent.topic, extent.partition)
        if archived is not None and archived > extent.end:
            raise LostRecordsError(
                f"{extent.topic}-{extent.partition} ends at {extent.end}, and is archived to {archived}: "
                "this is not the topic that was archived so far"
            )
        found = []
        for span in self._folder.missing(*extent):
            begin = max(span.begin, extent.first)
            if begin > span.begin:
                self._lose(span._replace(end=min(begin, span.end)), tally, is_next=span.begin == archived)
            if begin < span.end:
                found.append(span._replace(begin=begin))
        return found

    def _lose(self, span: Span, tally: Tally, *, is_next: bool) -> None:
        """Records are gone. Before what is archived already, nothing can be done; at its end an operator decides."""
        told = f"{span.topic}-{span.partition} has dropped offsets {span.begin} to {span.end - 1}"
        if is_next and not self._accepts_loss:
            raise LostRecordsError(f"{told} before they were archived; --accept-loss goes on without them")
        tally.lost = (*tally.lost, span)

    async def _copy(self, reader: Reader, span: Span, tally: Tally, on_done: Callable[[int], None]) -> None:
        batch, done = self._batch(span, span.begin), span.begin
        async for records, position in reader.read(span):
            if self._stop.is_set():
                return
            for record in records:
                try:
                    batch.add(record.offset, record.value)
                except (UnreadableRecordError, LostRecordsError):
                    await self._commit(batch, tally)  # all before it
                    raise
                if batch.is_full:
                    await self._commit(batch, tally)
                    batch = self._batch(span, record.offset + 1)
            on_done(position - done)
            done = position
        # Behind its last record there may be marks of transactions, and what was aborted: that is done with, too.
        await self._commit(batch, tally, span.end)

    def _batch(self, span: Span, begin: int) -> Batch:
        sequence = self._folder.last_sequence(span.partition, begin) if span.topic == "transfers" else None
        return Batch(span.topic, span.partition, begin, sequence)

    async def _commit(self, batch: Batch, tally: Tally, end: int | None = None) -> None:
        if not batch.records:
            return
        # In a thread: the fetch goes on meanwhile. It is waited for in any case: the folder is ours only as long as we
        # are here.
        writing = asyncio.create_task(asyncio.to_thread(self._folder.commit, batch, end))
        try:
            files = await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise
        topic = batch.span().topic
        RECORDS.labels(topic).inc(batch.records)
        FILES.labels(topic).inc(files)
        tally.records += batch.records
        tally.files += files

    async def _tell(self, producer: AIOKafkaProducer) -> None:
        """Say how far the archive is, where that is news. It is durable by now."""
        for now in self._folder.progress():
            place = (now.topic, now.partition)
            if self._told.get(place) == now:
                continue
            await producer.send_and_wait(
                self._settings.topic("archived"),
                encode_archived({"v": VERSION, **now._asdict()}),  # type: ignore[typeddict-item]
                key=archived_key(*place).encode(),
            )
            self._told[place] = now
