"""A partition's messages to the others: in memory, in the outbox, or already with their receivers (relay.py)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from clearinghub.engine.config import EngineConfig, goes_past
from clearinghub.engine.destination import Destination, Message
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.hops import HOP_HEADER, TO_HEADER, Headers, Hop, HopsRow, hop_in

log = structlog.get_logger(__name__)

OUTBOX: Final = "outbox"
READ_RECORDS_MAX: Final = 1_000
READ_TIMEOUT_MS: Final = 200
READ_AGAIN_S: Final = 1.0
# The marker of a transaction may come some time after its commit: only then what is not in the outbox is lost.
LOST_AFTER_S: Final = 5.0
OUTBOX_LOST: Final = "outbox-lost"


class OutgoingMessage(NamedTuple):
    """A message to another partition, as a round has written it to the outbox. `topic` is without its prefix."""

    topic: str
    receiver: int
    key: bytes
    value: bytes
    hop: Hop

    def headers(self) -> Headers:
        """Return the headers of the record in the outbox."""
        return [(TO_HEADER, b"%b/%d" % (self.topic.encode(), self.receiver)), (HOP_HEADER, self.hop.encode())]


class Passage:
    """The way from one partition's outbox to one topic of one receiver.

    Messages up to `confirmed` are in the receiver's log, up to `queued` also in memory, up to `committed` also in the
    outbox. If messages are only there, they are at offset `unread_from` or after it.
    """

    __slots__ = ("committed", "confirmed", "destination", "in_memory", "outbox", "queued", "unread_from")

    def __init__(self, outbox: Outbox, destination: Destination, confirmed: int, committed: int) -> None:
        self.outbox = outbox
        self.destination = destination
        self.confirmed = self.queued = confirmed
        self.committed = committed
        self.unread_from: int | None = None
        self.in_memory: deque[Message] = deque()

    def queue(self, hop: Hop, offset: int, key: bytes, value: bytes, written_ms: int) -> bool:
        """Put the next message into memory. Return False if there is no room for it."""
        assert hop.sequence == self.queued + 1, f"message {hop.sequence} comes after {self.queued}"
        message = Message(self, hop, offset, key, value, written_ms)
        if not self.destination.accept(message):
            return False
        self.queued = hop.sequence
        self.in_memory.append(message)
        return True

    def pass_over(self, last: int) -> None:
        """Go on after the message `last`: those up to it are lost."""
        assert self.queued < last <= self.committed
        self.queued = last
        if not self.in_memory:
            self.confirmed = last
            self.outbox.stale.add(self.destination.receiver)

    @property
    def is_closed(self) -> bool:
        """Whether the partition has another owner, or soon will."""
        return self.outbox.is_closed

    def confirm(self, message: Message) -> None:
        """Note that the receiver's log has the message."""
        first = self.in_memory.popleft()
        assert first is message, "messages are confirmed in their order"
        assert message.sequence > self.confirmed
        # What follows it in memory, or in the outbox, is what is not confirmed: in between there is nothing, or loss.
        self.confirmed = self.in_memory[0].sequence - 1 if self.in_memory else self.queued
        self.outbox.stale.add(self.destination.receiver)


class Outbox:
    """What one partition has to pass on, for one assignment. After `close` nothing more of it is sent or noted."""

    def __init__(
        self,
        config: EngineConfig,
        partition: int,
        rows: Mapping[int, HopsRow],
        destination: Callable[[str, int], Destination],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Begin where `rows`, by receiver, say that the predecessor has ended.

        `destination` returns the queue of a topic's partition; `on_failure` is called if messages are lost.
        """
        self.partition = partition
        self.is_closed = False
        self.stale: set[int] = set()  # receivers whose row does not have the last confirmed number yet
        self.room = asyncio.Event()
        self._config = config
        self._destination = destination
        self._on_failure = on_failure
        self._passages: dict[tuple[str, int], Passage] = {}
        self._reading: asyncio.Task[None] | None = None
        # The next message of a round is written there or later.
        self._next_offset = 0
        for receiver, row in rows.items():
            for topic, sent in row.sent.items() if receiver != partition else ():
                passage = self._add_passage(topic, receiver, sent.confirmed, sent.next - 1)
                self._next_offset = max(self._next_offset, sent.outbox_offset)
                if passage.confirmed < passage.committed:
                    passage.unread_from = sent.outbox_offset
        self._read_soon()

    def _add_passage(self, topic: str, receiver: int, confirmed: int, committed: int) -> Passage:
        destination = self._destination(topic, receiver)
        passage = self._passages[topic, receiver] = Passage(self, destination, confirmed, committed)
        return passage

    async def close(self) -> None:
        """Stop passing on: the partition has another owner, or soon will."""
        self.is_closed = True
        task, self._reading = self._reading, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def passed_on(self, topic: str, receiver: int) -> tuple[int, int]:
        """Return the last confirmed number, and the offset in the outbox from which on all later messages are."""
        passage = self._passages.get((topic, receiver))
        if passage is None:
            return 0, self._next_offset
        if passage.in_memory:
            return passage.confirmed, passage.in_memory[0].offset
        return passage.confirmed, self._next_offset if passage.unread_from is None else passage.unread_from

    def pass_on(self, messages: Sequence[OutgoingMessage], last_offset: int, written_ms: int) -> None:
        """Pass on the messages of a round, which is committed. `last_offset` is that of the last one in the outbox."""
        # A broker that has written a batch before does not always say where: then it is there or later.
        first_offset = max(self._next_offset, last_offset - len(messages) + 1)
        touched: dict[Destination, None] = {}  # not a set: its order differs from process to process
        for offset, one in enumerate(messages, first_offset):
            passage = self._passages.get((one.topic, one.receiver)) or self._add_passage(one.topic, one.receiver, 0, 0)
            assert one.hop.sequence == passage.committed + 1, "a round numbers its messages without a gap"
            passage.committed = one.hop.sequence
            if passage.unread_from is None:
                if not passage.queue(one.hop, offset, one.key, one.value, written_ms):
                    passage.unread_from = offset
                touched[passage.destination] = None
        self._next_offset = first_offset + len(messages)
        for destination in touched:
            destination.send_soon()
        self._read_soon()

    # -- reading the outbox

    def _read_soon(self) -> None:
        if self._reading is None and any(one.unread_from is not None for one in self._passages.values()):
            self._reading = asyncio.get_running_loop().create_task(self._read_back(), name=f"outbox-{self.partition}")

    async def _read_back(self) -> None:
        """Read messages that are not in memory, until none is left; begin anew after an error of the broker."""
        try:
            while any(one.unread_from is not None for one in self._passages.values()):
                try:
                    await self._read_all()
                except (KafkaError, OSError) as error:
                    log.warning("outbox-read-failed", partition=self.partition, error=repr(error))
                    await asyncio.sleep(READ_AGAIN_S)
        except Exception as error:  # noqa: BLE001 - whatever it is: what is not passed on would be lost
            self._on_failure(error)
        finally:
            self._reading = None

    async def _read_all(self) -> None:
        config = self._config
        consumer = config.environment.make_consumer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}-outbox",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            **config.access,
        )
        place = TopicPartition(config.topic_prefix + OUTBOX, self.partition)
        try:
            await consumer.start()
            consumer.assign([place])
            while unread := [one for one in self._passages.values() if one.unread_from is not None]:
                readable = [one for one in unread if one.destination.has_room]
                if readable:
                    await self._read(consumer, place, readable)
                else:
                    await self._wait_for_room(unread)
        finally:
            with contextlib.suppress(Exception):
                await consumer.stop()

    async def _wait_for_room(self, unread: list[Passage]) -> None:
        self.room.clear()
        for one in unread:
            one.destination.awaiting_room[self.room] = None
        await self.room.wait()

    async def _read(self, consumer: Any, place: TopicPartition, readable: list[Passage]) -> None:
        """Read from the first message that is missing in memory, until all are there or their memory is full.

        Raises:
            PartitionStoppedError: the outbox has lost messages that are not passed on.
        """
        steady_s = self._config.environment.steady_s
        first, end = (await consumer.beginning_offsets([place]))[place], (await consumer.end_offsets([place]))[place]
        start = min(one.unread_from for one in readable if one.unread_from is not None)
        consumer.seek(place, min(max(first, start), end))
        last_progress_s = steady_s()
        while readable:
            fetched = await consumer.getmany(timeout_ms=READ_TIMEOUT_MS, max_records=READ_RECORDS_MAX)
            records = fetched.get(place, ())
            for record in records:
                self._take(record, readable)
            for one in [one for one in readable if one.queued == one.committed]:
                one.unread_from = None
                readable.remove(one)
            for one in self._passages.values():
                one.destination.send_soon()
            if records:
                last_progress_s = steady_s()
            elif steady_s() - last_progress_s > LOST_AFTER_S:
                end = (await consumer.end_offsets([place]))[place]
                if await consumer.position(place) >= max(end, self._next_offset):
                    one = min(readable, key=lambda one: (one.destination.topic, one.destination.receiver))
                    self._pass_over_lost(one, one.committed)
                    one.unread_from = None
                    readable.remove(one)

    def _take(self, record: Any, readable: list[Passage]) -> None:
        """Put a message that was read into memory, if it is the next one of a passage in `readable`."""
        hop = hop_in(record.headers)
        to = dict(record.headers).get(TO_HEADER)
        if hop is None or to is None:
            return
        topic, _, receiver = to.decode().rpartition("/")
        passage = self._passages.get((topic, int(receiver)))
        if passage not in readable or passage is None or hop.sequence <= passage.queued:
            return
        if hop.sequence != passage.queued + 1:
            self._pass_over_lost(passage, hop.sequence - 1)
        if passage.queue(hop, record.offset, record.key, record.value, record.timestamp):
            passage.unread_from = record.offset + 1
        else:
            passage.unread_from = record.offset
            readable.remove(passage)

    def _pass_over_lost(self, passage: Passage, last: int) -> None:
        """Go on after the message `last`, if an operator has decided that; its receiver will see the gap.

        Raises:
            PartitionStoppedError: nobody has.
        """
        stop = self._lost(passage, last)
        if not goes_past(self._config, self.partition, stop):
            raise stop
        passage.pass_over(last)

    def _lost(self, passage: Passage, last: int) -> PartitionStoppedError:
        destination = passage.destination
        return PartitionStoppedError(
            OUTBOX_LOST,
            f"Topic {OUTBOX} of partition {self.partition} has lost messages {passage.queued + 1} to {last} for topic"
            f" {destination.topic} of partition {destination.receiver}, which were not passed on.",
            "They are in no other place. Restore the topic from a copy that has them, or have what they said booked by"
            " hand: `clearinghub audit` shows which payees lack their credit. To go on without them, decide with"
            f" `clearinghub recover {self.partition} --reason TEXT`.",
        )

    def waiting(self) -> list[tuple[int, int]]:
        """Return, for each passage, the receiver and how many committed messages it has not confirmed."""
        return [(number, one.committed - one.confirmed) for (_topic, number), one in self._passages.items()]
