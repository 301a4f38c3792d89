"""Writes to the input topics; a request is answered only after its record is written (design 3).

Who gets 503 can rely on it: nothing was accepted, and nothing turns up later. Where a log may have the record and no
confirmation came in time, e.g. because its broker died with the request, the answer is one of its own: the outcome is
unknown, and the same request with the same id is safe (`RecordOutcomeUnknownError`). `BatchSender` knows which it is.

A partition whose batch was given up is away. Its requests are refused at once, but for the first, which is sent and so
finds out when the partition is back. The other partitions do not notice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import VALUE_BYTES_MAX
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.batch_sender import BatchSender, Place
from clearinghub.kafka.topology import load_topology
from clearinghub.ports import (
    MessageTooLargeError,
    RecorderBusyError,
    RecorderUnavailableError,
    RecordOutcomeUnknownError,
)

log = structlog.get_logger(__name__)

RECORDED = Counter("clearinghub_recorded_total", "Records written to the input topics", ["topic", "outcome"])
WAITING = Gauge("clearinghub_recorder_waiting", "Records that wait for the broker's confirmation")

BATCH_BYTES_MAX: Final = 256 * 1024
RECORD_OVERHEAD_BYTES: Final = 32  # of a record in a batch, at most
REQUEST_TIMEOUT_MS_MIN: Final = 1_000
HEALTH_TIMEOUT_S: Final = 2.0


class _Waiting(NamedTuple):
    """A record that waits to be sent. `since_s` is of `time.monotonic`."""

    key: bytes
    value: bytes
    confirmed: asyncio.Future[None]
    since_s: float


class _PartitionQueue:
    """The records of one partition that wait for the broker."""

    __slots__ = ("confirmed", "is_away", "place", "sending_since_s", "topic", "waiting")

    def __init__(self, topic: str, broker_topic: str, partition: int) -> None:
        self.topic = topic
        self.place = Place(broker_topic, partition)
        self.waiting: deque[_Waiting] = deque()
        self.sending_since_s: float | None = None  # when the first record of the batch under way came
        self.is_away = False  # the last batch was given up
        self.confirmed = RECORDED.labels(topic, "written")

    @property
    def is_sending(self) -> bool:
        """Whether a task sends what waits."""
        return self.sending_since_s is not None


class KafkaRecorder:
    """Waits until all replicas in sync have a record; bounded in time and in number."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout_s = settings.record_timeout_ms / 1000
        self._partition_of = Partitioner(
            {name: topic.partition_count(settings.partitions) for name, topic in load_topology().topics.items()}
        )
        self._waiting = 0
        self._waiting_bytes = 0
        self._queues: dict[tuple[str, int], _PartitionQueue] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._client: AIOKafkaClient | None = None
        self._sender: BatchSender | None = None
        WAITING.set_function(lambda: self._waiting)

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: no broker answers.
        """
        # A node that hangs is given half of the time, so that its successor has the other half.
        timeout_ms = max(REQUEST_TIMEOUT_MS_MIN, self._settings.record_timeout_ms // 2)
        self._client = AIOKafkaClient(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"{self._settings.application_id}-recorder-{self._settings.instance}",
            request_timeout_ms=timeout_ms,
            retry_backoff_ms=50,
            **kafka_access(self._settings),
        )
        try:
            await self._client.bootstrap()
            self._sender = BatchSender(self._client, timeout_ms)
            await self._sender.start()
        except BaseException:
            await self._client.close()
            raise

    async def stop(self) -> None:
        """Send what waits and close."""
        if self._sending:
            await asyncio.wait(self._sending)
        if self._sender is not None:
            await self._sender.stop()
        if self._client is not None:
            await self._client.close()

    async def record(self, topic: str, key: str, value: bytes) -> None:
        """Write one record; see `clearinghub.ports.Recorder`."""
        await self.record_in_partition(topic, self._partition_of(topic, key), key, value)

    async def record_in_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        """Write one record to a partition of the topic that the caller has chosen; raises as `record`."""
        if len(value) > VALUE_BYTES_MAX:
            RECORDED.labels(topic, "too-large").inc()
            raise MessageTooLargeError
        is_full = (
            self._waiting_bytes > 0 and self._waiting_bytes + len(value) > self._settings.records_waiting_bytes_max
        )
        if is_full or self._waiting >= self._settings.records_waiting_max:
            RECORDED.labels(topic, "busy").inc()
            raise RecorderBusyError
        queue = self._queues.get((topic, partition))
        if queue is None:
            broker_topic = self._settings.topic(topic)
            queue = self._queues[topic, partition] = _PartitionQueue(topic, broker_topic, partition)
        if self._sender is None or (queue.is_away and queue.is_sending):
            RECORDED.labels(topic, "failed").inc()
            raise RecorderUnavailableError
        loop = asyncio.get_running_loop()
        confirmed: asyncio.Future[None] = loop.create_future()
        now_s = time.monotonic()
        queue.waiting.append(_Waiting(key.encode(), value, confirmed, now_s))
        if not queue.is_sending:
            queue.sending_since_s = now_s
            sending = loop.create_task(self._send(queue, self._sender))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        self._waiting += 1
        self._waiting_bytes += len(value)
        try:
            await confirmed
        finally:
            self._waiting -= 1
            self._waiting_bytes -= len(value)

    def waiting_ms(self, partition: int) -> int:
        """Return how long the oldest record of a partition has been waiting for the broker."""
        since = [
            queue.sending_since_s
            for (_topic, number), queue in self._queues.items()
            if number == partition and queue.sending_since_s is not None
        ]
        return int((time.monotonic() - min(since)) * 1000) if since else 0

    async def _send(self, queue: _PartitionQueue, sender: BatchSender) -> None:
        """Send what waits on a queue, and what comes in meanwhile, until nothing is left."""
        while queue.waiting:
            batch = _next_batch(queue)
            queue.sending_since_s = batch[0].since_s
            try:
                await sender.send(
                    queue.place,
                    [(one.key, one.value) for one in batch],
                    system_now_ms(),
                    batch[0].since_s + self._timeout_s - time.monotonic(),
                )
            except Exception as error:  # noqa: BLE001 - whatever it is: who waits must be notified, and the queue continue
                is_unknown = not isinstance(error, RecorderUnavailableError)
                _fail(queue, batch, RecordOutcomeUnknownError if is_unknown else RecorderUnavailableError)
                self._be_away(queue, error)
                continue
            if queue.is_away:
                queue.is_away = False
                log.info("partition-available-again", topic=queue.topic, partition=queue.place.at.partition)
            queue.confirmed.inc(len(batch))
            for one in batch:
                if not one.confirmed.done():  # its request may have been given up
                    one.confirmed.set_result(None)
        queue.sending_since_s = None

    @staticmethod
    def _be_away(queue: _PartitionQueue, error: Exception) -> None:
        """Refuse what waits for a partition whose batch was given up: nothing of it was sent."""
        if not queue.is_away:
            partition = queue.place.at.partition
            log.warning("partition-unavailable", topic=queue.topic, partition=partition, error=repr(error))
        queue.is_away = True
        waiting = list(queue.waiting)
        queue.waiting.clear()
        _fail(queue, waiting, RecorderUnavailableError)

    async def is_up(self) -> bool:
        """Ask the broker for its metadata; False when none answers in time."""
        if self._client is None:
            return False
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                return bool(await self._client.fetch_all_metadata())
        except (KafkaError, TimeoutError):
            return False


def _next_batch(queue: _PartitionQueue) -> list[_Waiting]:
    """Take from the queue what goes into one batch: the oldest record, and as many more as have room."""
    batch: list[_Waiting] = []
    size = 0
    while queue.waiting:
        one = queue.waiting[0]
        size += len(one.key) + len(one.value) + RECORD_OVERHEAD_BYTES
        if batch and size > BATCH_BYTES_MAX:
            break
        batch.append(queue.waiting.popleft())
    return batch


def _fail(queue: _PartitionQueue, waiting: Iterable[_Waiting], error: type[Exception]) -> None:
    outcome = "unknown" if error is RecordOutcomeUnknownError else "failed"
    for one in waiting:
        RECORDED.labels(queue.topic, outcome).inc()
        if not one.confirmed.done():
            one.confirmed.set_exception(error())
