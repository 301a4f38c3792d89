"""One pass of the archive: it copies, partition by partition, everything that is on the topics and not archived."""

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
from clearinghub.messages.archived import Archived, encode_archived
from clearinghub.tools.archive import LostRecordsError, UnreadableRecordError
from clearinghub.tools.archive.batch import Batch
from clearinghub.tools.archive.datasets import TOPICS
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.folder import Folder
from clearinghub.tools.archive.reader import Extent, Reader

ANNOUNCE_TIMEOUT_MS: Final = 15_000
CLOSE_S_MAX: Final = 2.0

RECORDS = Counter("clearinghub_archived_records_total", "Records in the archive's files", ["topic"])
FILES = Counter("clearinghub_archive_files_total", "Files that the archive has written", ["topic"])
TO_ARCHIVE = Gauge("clearinghub_archive_behind", "Offsets that were to be archived when the last pass began", ["topic"])
PASSED = Gauge("clearinghub_archive_pass_timestamp_seconds", "When the last whole pass ended")


@dataclass(slots=True)
class Tally:
    """What a pass has done; `lost` are the offsets that it has left out because their records are gone."""

    records: int = 0
    files: int = 0
    lost: tuple[Span, ...] = ()
    is_whole: bool = False


class Archiver:
    """Copies into one folder, pass by pass, and announces on topic `archived` how far it is."""

    def __init__(self, settings: Settings, folder: Folder, stop: asyncio.Event, *, accepts_loss: bool) -> None:
        """`stop` ends a pass between two batches; with `accepts_loss` records that are gone are left out."""
        self._settings = settings
        self._folder = folder
        self._stop = stop
        self._accepts_loss = accepts_loss
        self._announced: dict[tuple[str, int], Archived] = {}

    async def run_pass(self, tally: Tally, on_total: Callable[[int], None], on_done: Callable[[int], None]) -> None:
        """Copy everything that is there now.

        `on_total` is called with the number of offsets to copy, `on_done` with each number that has been copied.

        Raises:
            ArchiveError: the archive cannot continue.
            TopicsMissingError: the broker does not have the topics.
            KafkaError: the broker was lost.
        """
        reader = Reader(self._settings)
        # Not idempotent: such a producer retries a record for ever, and a repeated record does no harm here.
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            acks="all",
            request_timeout_ms=ANNOUNCE_TIMEOUT_MS,
            **kafka_access(self._settings),
        )
        try:
            await producer.start()
            await reader.start()
            extents = await reader.extents()
            spans = [span for extent in extents for span in self._missing(extent, tally)]
            for topic in TOPICS:
                TO_ARCHIVE.labels(topic).set(sum(span.end - span.begin for span in spans if span.topic == topic))
            on_total(sum(span.end - span.begin for span in spans))
            # Gaps between the files come first: until they are filled, the archive lacks something before its end.
            gaps = [span for span in spans if span.end < (self._folder.end(span.topic, span.partition) or 0)]
            for span in gaps:
                await self._copy(reader, span, tally, on_done)
            for span in (one for one in spans if one not in gaps):
                if self._stop.is_set():
                    break
                await self._announce(producer)
                await self._copy(reader, span, tally, on_done)
            if not self._stop.is_set():
                await self._announce(producer)
                tally.is_whole = True
                PASSED.set_to_current_time()
        finally:
            await reader.stop()
            with suppress(TimeoutError):  # when cancelled it may still hold a record, and the broker be silent
                await asyncio.wait_for(producer.stop(), CLOSE_S_MAX)

    def _missing(self, extent: Extent, tally: Tally) -> list[Span]:
        """Return the offsets of a partition that are to be copied, as far as their records are still there."""
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
        """Note records that are gone: in a gap nothing can be done, at the archive's end an operator decides."""
        dropped = f"{span.topic}-{span.partition} has dropped offsets {span.begin} to {span.end - 1}"
        if is_next and not self._accepts_loss:
            raise LostRecordsError(f"{dropped} before they were archived; --accept-loss goes on without them")
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
                    await self._commit(batch, tally)  # the records before it
                    raise
                if batch.is_full:
                    await self._commit(batch, tally)
                    batch = self._batch(span, record.offset + 1)
            on_done(position - done)
            done = position
        # After the last record there may be markers of transactions and aborted records: the span's end covers them.
        await self._commit(batch, tally, span.end)

    def _batch(self, span: Span, begin: int) -> Batch:
        sequence = self._folder.last_sequence(span.partition, begin) if span.topic == "transfers" else None
        return Batch(span.topic, span.partition, begin, sequence)

    async def _commit(self, batch: Batch, tally: Tally, end: int | None = None) -> None:
        if not batch.records:
            return
        # In a thread, so that fetching continues. It is awaited even when cancelled: after this block the folder may be
        # another process's.
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

    async def _announce(self, producer: AIOKafkaProducer) -> None:
        """Announce how far each partition is archived, where that has changed; its files are on the disk by then."""
        for now in self._folder.progress():
            place = (now.topic, now.partition)
            if self._announced.get(place) == now:
                continue
            await producer.send_and_wait(
                self._settings.topic("archived"),
                encode_archived(now),
                key=now.key.encode(),
            )
            self._announced[place] = now
