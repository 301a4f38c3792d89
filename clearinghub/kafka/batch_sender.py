"""Sends batches of records to their partitions' leaders, and knows what became of each batch (design 3).

aiokafka's producer sends an idempotent batch until the broker takes it, and cannot say whether a batch that it has not
delivered yet may be in a log. A request that is refused needs exactly that. So this sender uses aiokafka's client, its
requests and its format of records, and keeps account itself: a batch is unsure from the first attempt that may have
reached a log. A batch that is not delivered at its deadline is given up: either no log has it and none ever will, or
its outcome is unknown. Each partition is on its own: what happens to one costs the others nothing.

Retries of a batch carry the same sequence number, so that the broker writes it once. After a batch that was sent and
given up the partition continues under a new producer id: under the old one the broker might take the next batch for a
repetition of the lost one, confirm it, and not write it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NodeNotReadyError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from clearinghub.ports import RecorderUnavailableError, RecordOutcomeUnknownError

log = structlog.get_logger(__name__)

RETRY_S: Final = 0.05
REFRESH_INTERVAL_S: Final = 0.25  # so long a batch waits for a node before the leaders are looked up again
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
SEQUENCE_MAX: Final = 2**31 - 2**20
ALL_IN_SYNC: Final = -1
FORMAT: Final = 2  # of batches of records

Headers = Sequence[tuple[str, bytes]]

# Kafka's error codes of a produce request (protocol guide, "Error codes").
WRITTEN: Final = frozenset((0, 46))  # none; the batch was written by an earlier attempt
# The broker has checked before it wrote, and has not written: corrupt message, unknown topic or partition, leader not
# available, not leader, too large, invalid topic, too many records, not enough replicas, not authorized, policy,
# fenced leader epoch, unknown leader epoch, invalid record. Some of these it also answers when it was replaced after it
# wrote; then its answer has the offset.
NOT_WRITTEN: Final = frozenset((2, 3, 5, 6, 10, 17, 18, 19, 29, 44, 74, 75, 87))
# Not written either: the broker knows the producer otherwise than we do, after it has lost records.
PRODUCER_REFUSED: Final = frozenset((45, 47, 59))  # out-of-order sequence, invalid epoch, unknown producer id
NO_OFFSET: Final = -1
NEVER: Final = frozenset((2, 10, 17, 18, 29, 44, 87))  # and trying again would not help
NO_CONNECTION: Final = -2  # our own code: there was no connection to send the request on
SURE: Final = WRITTEN | NOT_WRITTEN | PRODUCER_REFUSED | {NO_CONNECTION}


class ProducerId(NamedTuple):
    """The broker's name of a producer, under which it counts batches."""

    number: int
    epoch: int


class Place:
    """A partition as this sender knows it: under which producer id, and with which sequence number, it continues."""

    __slots__ = ("at", "past_id", "producer_id", "sequence")

    def __init__(self, topic: str, partition: int) -> None:
        self.at = TopicPartition(topic, partition)
        self.producer_id: ProducerId | None = None
        self.past_id: ProducerId | None = None  # the next sequence number under it is not known
        self.sequence = 0

    def drop_producer_id(self) -> None:
        """Continue under another producer id."""
        self.past_id, self.producer_id, self.sequence = self.producer_id, None, 0


class _Batch:
    """Records on their way to a place. `outcome` is done when the place has them, or when they are given up."""

    __slots__ = ("attempts", "data", "headers", "is_in_flight", "is_unsure", "outcome", "place", "records", "since_s")

    def __init__(
        self, place: Place, records: Sequence[tuple[bytes, bytes]], headers: Sequence[Headers], now_s: float
    ) -> None:
        self.place = place
        self.records = records
        self.headers = headers
        self.since_s = now_s
        self.data = b""
        self.attempts = 0
        self.is_unsure = False  # a log may have it
        self.is_in_flight = False
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def build(self, timestamp_ms: int) -> None:
        """Encode the records under the place's producer id and sequence number."""
        place = self.place
        assert place.producer_id is not None
        builder = DefaultRecordBatchBuilder(
            FORMAT,
            0,
            is_transactional=0,
            producer_id=place.producer_id.number,
            producer_epoch=place.producer_id.epoch,
            base_sequence=place.sequence,
            batch_size=REQUEST_BYTES_MAX,
        )
        for offset, (key, value) in enumerate(self.records):
            headers = list(self.headers[offset]) if self.headers else []
            appended = builder.append(offset, timestamp_ms, key, value, headers)
            assert appended is not None, f"{len(self.records)} records fit no batch"
        self.data = bytes(builder.build())


class BatchSender:
    """One request to a node at a time, with the batches of all places that it leads; one batch of a place at a time."""

    def __init__(self, client: AIOKafkaClient, timeout_ms: int) -> None:
        """`timeout_ms` is how long a leader may wait for its followers before it answers that it does not know."""
        self._client = client
        self._timeout_ms = timeout_ms
        self._loop = asyncio.get_running_loop()
        self._producer_id: ProducerId | None = None  # the last one that a broker has given out
        self._unsent: dict[TopicPartition, _Batch] = {}
        self._busy: set[int] = set()  # nodes with a request in flight
        self._tasks: set[asyncio.Task[None]] = set()
        self._dispatching: asyncio.Handle | None = None
        self._refresh_due: asyncio.TimerHandle | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._topics: set[str] = set()

    async def start(self) -> None:
        """Get a producer id, as soon as a broker assigns one."""
        await self._new_producer_id()

    async def stop(self) -> None:
        """End all requests. Call it when nobody waits for a batch any more."""
        for handle in (self._dispatching, self._refresh_due):
            if handle is not None:
                handle.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(
        self,
        place: Place,
        records: Sequence[tuple[bytes, bytes]],
        timestamp_ms: int,
        timeout_s: float,
        headers: Sequence[Headers] = (),
    ) -> None:
        """Write a batch of (key, value), and wait until all replicas in sync have it. One batch of a place at a time.

        `timestamp_ms` is the time of the records, milliseconds since 1970. `headers` has those of each record, or is
        empty.

        Raises:
            RecorderUnavailableError: no log has the batch and none will have it.
            RecordOutcomeUnknownError: a log may have the batch.
        """
        assert place.at not in self._unsent, f"{place.at} has a batch"
        deadline_s = self._loop.time() + timeout_s
        if timeout_s <= 0:
            raise RecorderUnavailableError("its time was over before it could be sent")
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._prepare(place)
        except TimeoutError:
            raise RecorderUnavailableError("no broker answers") from None
        batch = _Batch(place, records, headers, self._loop.time())
        batch.build(timestamp_ms)
        expiry = self._loop.call_at(deadline_s, self._expire, batch)
        self._unsent[place.at] = batch
        self._dispatch_soon()
        try:
            await batch.outcome
        except (RecorderUnavailableError, RecordOutcomeUnknownError):
            if batch.attempts or batch.is_unsure:
                place.drop_producer_id()
            raise
        else:
            place.sequence += len(records)
        finally:
            expiry.cancel()

    # -- producer ids

    async def _prepare(self, place: Place) -> None:
        """Have the place's leader looked up, and assign the place a producer id that it can continue under."""
        if place.at.topic not in self._topics:
            await self._client.add_topic(place.at.topic)
            self._topics.add(place.at.topic)
        if place.sequence > SEQUENCE_MAX:
            place.drop_producer_id()
        if place.producer_id is None:
            last = self._producer_id
            place.producer_id = await self._new_producer_id() if last in (None, place.past_id) else last

    async def _new_producer_id(self) -> ProducerId:
        """Ask brokers in turn until one assigns a producer id."""
        while True:
            node = self._client.get_random_node()
            with contextlib.suppress(KafkaError, TimeoutError):
                answer = await self._client.send(node, InitProducerIdRequest(None, 0))
                if answer.error_code == 0:
                    given = self._producer_id = ProducerId(answer.producer_id, answer.producer_epoch)
                    return given
            await asyncio.sleep(RETRY_S)
            await asyncio.wait({self._refresh()})

    # -- requests

    def _dispatch_soon(self) -> None:
        """Send what waits when the loop has run what is ready now: it may have more for the same nodes."""
        if self._dispatching is None:
            self._dispatching = self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatching = None
        by_node: dict[int, list[_Batch]] = defaultdict(list)
        size: dict[int, int] = defaultdict(int)
        for at, batch in self._unsent.items():
            node = self._client.cluster.leader_for_partition(at)
            if node is None or node < 0 or node in self._busy:
                continue
            size[node] += len(batch.data)
            if not by_node[node] or size[node] <= REQUEST_BYTES_MAX:
                by_node[node].append(batch)
        for node, batches in by_node.items():
            for batch in batches:
                del self._unsent[batch.place.at]
                batch.is_in_flight = True
            self._busy.add(node)
            self._spawn(self._request(node, batches))
        if self._unsent and self._refresh_due is None:
            self._refresh_due = self._loop.call_later(REFRESH_INTERVAL_S, self._refresh_if_waiting)

    async def _request(self, node: int, batches: list[_Batch]) -> None:
        by_topic: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for batch in batches:
            by_topic[batch.place.at.topic].append((batch.place.at.partition, batch.data))
        request = ProduceRequest(None, ALL_IN_SYNC, self._timeout_ms, list(by_topic.items()))
        codes: dict[TopicPartition, int | None] = {}
        reason = ""
        try:
            answer = await self._client.send(node, request)
            codes = {
                TopicPartition(topic, one[0]): _judged(*one[1:3]) for topic, places in answer.topics for one in places
            }
        except NodeNotReadyError as error:  # there was no connection to send it on
            reason = repr(error)
            codes = {batch.place.at: NO_CONNECTION for batch in batches}
        except Exception as error:  # noqa: BLE001 - whatever it is: the batches may have arrived
            reason = repr(error)
        finally:
            self._busy.discard(node)
        again = [batch for batch in batches if not self._settle(batch, codes.get(batch.place.at), reason)]
        self._dispatch_soon()
        if again:
            await self._retry(again)

    def _settle(self, batch: _Batch, code: int | None, reason: str) -> bool:
        """Note the result of an attempt; `code` is None if it may have arrived. Return False to try again."""
        batch.is_in_flight = False
        batch.attempts += 1
        if code not in SURE:
            batch.is_unsure = True
        if batch.outcome.done():
            return True  # too late: it was given up
        if code in WRITTEN:
            batch.outcome.set_result(None)
            return True
        error = reason or ("unknown" if code is None else for_code(code).__name__)
        if batch.attempts == 1:
            at = batch.place.at
            log.info("batch-to-be-sent-again", topic=at.topic, partition=at.partition, error=error)
        if code in NEVER or code in PRODUCER_REFUSED:
            self._fail(batch, error)
            return True
        return False

    async def _retry(self, batches: list[_Batch]) -> None:
        await asyncio.sleep(RETRY_S)
        await asyncio.wait({self._refresh()}, timeout=REFRESH_INTERVAL_S)
        for batch in batches:
            if not batch.outcome.done():
                self._unsent[batch.place.at] = batch
        self._dispatch_soon()

    # -- deadlines

    def _expire(self, batch: _Batch) -> None:
        if not batch.outcome.done():
            self._unsent.pop(batch.place.at, None)
            batch.is_unsure |= batch.is_in_flight
            self._fail(batch, "not confirmed in time")

    def _fail(self, batch: _Batch, reason: str) -> None:
        at = batch.place.at
        log.warning("batch-given-up", topic=at.topic, partition=at.partition, unsure=batch.is_unsure, reason=reason)
        error = RecordOutcomeUnknownError if batch.is_unsure else RecorderUnavailableError
        batch.outcome.set_exception(error(reason))

    # -- leaders

    def _refresh_if_waiting(self) -> None:
        self._refresh_due = None
        since_s = min((batch.since_s for batch in self._unsent.values()), default=self._loop.time())
        if self._loop.time() - since_s >= REFRESH_INTERVAL_S:
            self._refresh()
        elif self._unsent:
            self._dispatch_soon()

    def _refresh(self) -> asyncio.Task[None]:
        """Begin to look the leaders up, unless that is under way; return the task."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._spawn(self._look_up_leaders())
        return self._refreshing

    async def _look_up_leaders(self) -> None:
        """Ask a known node, or else the addresses that the settings name; then send what now can be sent."""
        if not await self._client.force_metadata_update():
            with contextlib.suppress(KafkaError, TimeoutError):
                await self._client.bootstrap()
        self._dispatch_soon()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _judged(code: int, offset: int) -> int | None:
    """Return the error code of an attempt, or None if the broker has written the batch before the error."""
    return code if code in WRITTEN or offset == NO_OFFSET else None
