"""The committed records of the topics, merged by their times, from the first to a cut that can be moved on."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.tools.audit.records import Entry
from clearinghub.tools.audit.transfers import Kept
from clearinghub.tools.topics import partition_counts

FIRST: Final = ("dead-letter", "events", "settlements", "settlement-windows")
"""Topics by which the others are judged; few records, read before all others."""

MERGED: Final = ("positions", "transfers", "credit", "fulfil", "bulk-fulfil", "command", "prepare", "bulk-prepare")
"""Topics in the order in which their ends are looked up: effects before causes, so that as little as possible is seen
without its cause."""

BOOKS: Final = ("positions", "transfers")
REQUESTS: Final = ("prepare", "bulk-prepare", "fulfil", "bulk-fulfil", "command")
RANKS: Final = {
    name: rank for rank, name in enumerate(reversed(MERGED))
}  # the order of records of the same millisecond
FETCH_TIMEOUT_MS: Final = 50  # a partition that ends in markers yields no records, only a position
FETCH_BYTES_MAX: Final = 512 * 1024  # of each partition; there may be a hundred
RECORDS_AT_ONCE: Final = 2_000
KEPT_MARGIN_MS: Final = 3_600_000  # around the first record that is kept, others of the same transfers may be gone


class _Place:
    """One partition, and how far it has been read."""

    def __init__(self, name: str, at: TopicPartition) -> None:
        self.name = name
        self.at = at
        self.begin = 0
        self.end = 0
        self.next = 0
        self.waiting: deque[ConsumerRecord] = deque()  # some may be after the cut

    @property
    def has_record(self) -> bool:
        """Whether the next record before the cut has been fetched."""
        return bool(self.waiting) and self.waiting[0].offset < self.end

    @property
    def is_read(self) -> bool:
        """Whether everything before the cut has been read."""
        return self.next >= self.end or (bool(self.waiting) and self.waiting[0].offset >= self.end)


class TopicsReader:
    """Reads the topics that the audit needs up to a cut, which `extend` moves to the present."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_TIMEOUT_MS,
            **kafka_access(settings),
        )
        self._places: list[_Place] = []

    async def start(self) -> None:
        """Find the topics.

        Raises:
            TopicsMissingError: there is none of a name.
        """
        await self._consumer.start()
        counts = await partition_counts(self._settings, (*FIRST, *MERGED))
        self._places = [
            _Place(name, TopicPartition(self._settings.topic(name), number))
            for name in (*FIRST, *MERGED)
            for number in range(counts[name])
        ]
        self._consumer.assign([place.at for place in self._places])
        begins = await self._consumer.beginning_offsets([place.at for place in self._places])
        for place in self._places:
            place.begin = place.next = place.end = begins[place.at]
            self._consumer.seek(place.at, place.begin)

    async def stop(self) -> None:
        await self._consumer.stop()

    async def kept(self) -> Kept:
        """Return from when on the topics are complete."""
        return Kept(await self._first_kept_ms(BOOKS), await self._first_kept_ms(REQUESTS))

    async def extend(self) -> int:
        """Move the cut to the present end of every partition; returns how many offsets are before it, read or not.

        An end is the last stable offset, after which a transaction may be open: only what is decided counts.
        """
        for name in (*MERGED, *FIRST):
            places = [place for place in self._places if place.name == name]
            ends = await self._consumer.end_offsets([place.at for place in places])
            for place in places:
                place.end = max(place.end, ends[place.at])
        return sum(place.end - place.begin for place in self._places)

    @property
    def done(self) -> int:
        """How many offsets have been read."""
        return sum(place.next - place.begin for place in self._places)

    async def entries(self) -> AsyncIterator[Entry]:
        """Yield the new records before the cut: those of FIRST, then all others in the order of their times."""
        for names in (FIRST, MERGED):
            async for entry in self._merged([place for place in self._places if place.name in names]):
                yield entry

    async def _merged(self, places: Sequence[_Place]) -> AsyncIterator[Entry]:
        heads: list[tuple[int, int, int]] = []  # time, rank, index of the place

        async def refill(indexes: Sequence[int]) -> None:
            await self._fill([places[index] for index in indexes])
            for index in indexes:
                place = places[index]
                if place.has_record:
                    heapq.heappush(heads, (place.waiting[0].timestamp, RANKS.get(place.name, 0), index))

        await refill(range(len(places)))
        while heads:
            _at_ms, _rank, index = heapq.heappop(heads)
            place = places[index]
            record = place.waiting.popleft()
            place.next = record.offset + 1
            yield Entry(place.name, record.partition, record.offset, record.timestamp, record.value or b"")
            if place.has_record:
                heapq.heappush(heads, (place.waiting[0].timestamp, RANKS.get(place.name, 0), index))
            else:
                await refill([index])

    async def _fill(self, places: Sequence[_Place]) -> None:
        """Fetch until every place has its next record, or is at its end."""
        lacking = [place for place in places if not place.has_record and not place.is_read]
        self._consumer.resume(*(place.at for place in lacking))
        while lacking:
            fetched = await self._consumer.getmany(
                *(place.at for place in lacking), timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE
            )
            for place in lacking:
                place.waiting.extend(fetched.get(place.at, ()))
                if not place.waiting and await self._consumer.position(place.at) >= place.end:
                    place.next = place.end  # only aborted records and markers were left
                    self._consumer.pause(place.at)  # or every fetch would wait for more of its records
            lacking = [place for place in lacking if not place.has_record and not place.is_read]
        for place in places:
            if place.is_read:
                place.next = place.end

    async def _first_kept_ms(self, names: Sequence[str]) -> int:
        cut = {place.at: 0 for place in self._places if place.name in names and place.begin > 0}
        if not cut:
            return 0
        found = await self._consumer.offsets_for_times(cut)
        times_ms = [one.timestamp for one in found.values() if one is not None]
        return max(times_ms, default=0) + KEPT_MARGIN_MS
