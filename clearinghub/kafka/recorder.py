"""Writes requests to the input topics. A request is answered only after this (design 3).

A sender that gets 503 must be able to rely on it: the request was not accepted. But aiokafka's idempotent producer
never drops a record; it sends it whenever the broker is back. So if a confirmation does not come in time, the producer
is abandoned with all that waits in it, and all its callers fail. Another producer is connected in the background; until
it is, requests are refused at once. Only a record that the broker received just when it died may appear later; if its
request is sent again, the ledger's duplicate check finds it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import VALUE_BYTES_MAX
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.topology import load_topology
from clearinghub.ports import MessageTooLargeError, RecorderBusyError, RecorderUnavailableError

log = structlog.get_logger(__name__)

RECORDED = Counter("clearinghub_recorded_total", "Records written to the input topics", ["topic", "outcome"])
WAITING = Gauge("clearinghub_recorder_waiting", "Records that wait for the broker's confirmation")

REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
BATCH_BYTES_MAX: Final = 256 * 1024
RECONNECT_INTERVAL_S: Final = 0.5
HEALTH_TIMEOUT_S: Final = 2.0
SENDER_END_TIMEOUT_S: Final = 1.0


class _PartitionQueue:
    """The records of one partition that wait for the broker."""

    __slots__ = ("confirmed", "failed", "partition", "sending_since_s", "topic", "waiting", "waiting_since_s")

    def __init__(self, topic: str, broker_topic: str, partition: int) -> None:
        self.topic = broker_topic
        self.partition = partition
        self.waiting: list[tuple[bytes, bytes, asyncio.Future[None]]] = []
        self.waiting_since_s = 0.0  # when the first of them came
        self.sending_since_s: float | None = None  # when the first record of the batch under way came
        self.confirmed = RECORDED.labels(topic, "written")
        self.failed = RECORDED.labels(topic, "failed")


class KafkaRecorder:
    """Implements `clearinghub.ports.Recorder` with an idempotent producer, bounded in time and number of records."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout_s = settings.record_timeout_ms / 1000
        self._partition_of = Partitioner(
            {name: topic.partition_count(settings.partitions) for name, topic in load_topology().topics.items()}
        )
        self._waiting = 0
        self._queues: dict[tuple[str, int], _PartitionQueue] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._producer: AIOKafkaProducer | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        WAITING.set_function(lambda: self._waiting)

    async def start(self) -> None:
        self._producer = await self._connect()

    async def stop(self) -> None:
        """Send the records that wait, and disconnect."""
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait({self._reconnecting})
        if self._sending:
            await asyncio.wait(self._sending)
        if self._producer is not None:
            await self._producer.stop()

    async def record(self, topic: str, key: str, value: bytes) -> None:
        """Write one record; see `clearinghub.ports.Recorder`."""
        if len(value) > VALUE_BYTES_MAX:
            # If the broker refused it, that would look like a failure of the broker, and other records would fail too.
            RECORDED.labels(topic, "too-large").inc()
            raise MessageTooLargeError
        if self._waiting >= self._settings.records_waiting_max:
            RECORDED.labels(topic, "busy").inc()
            raise RecorderBusyError
        partition = self._partition_of(topic, key)
        queue = self._queues.get((topic, partition))
        if queue is None:
            queue = self._queues[topic, partition] = _PartitionQueue(topic, self._settings.topic(topic), partition)
        if self._producer is None:
            queue.failed.inc()
            raise RecorderUnavailableError
        loop = asyncio.get_running_loop()
        confirmed: asyncio.Future[None] = loop.create_future()
        if not queue.waiting:
            queue.waiting_since_s = time.monotonic()
        queue.waiting.append((key.encode(), value, confirmed))
        if queue.sending_since_s is None:
            queue.sending_since_s = queue.waiting_since_s
            sending = loop.create_task(self._send(queue))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        self._waiting += 1
        try:
            await confirmed
        finally:
            self._waiting -= 1

    @property
    def waiting_ms(self) -> int:
        """How long the oldest record has been waiting for the broker, in milliseconds; 0 if none waits."""
        since = [queue.sending_since_s for queue in self._queues.values() if queue.sending_since_s is not None]
        return int((time.monotonic() - min(since)) * 1000) if since else 0

    async def _send(self, queue: _PartitionQueue) -> None:
        """Send a queue's records, in batches, until it is empty."""
        while queue.waiting and (producer := self._producer) is not None:
            queue.sending_since_s = queue.waiting_since_s
            batch, waiters = self._next_batch(queue, producer)
            try:
                async with asyncio.timeout(queue.sending_since_s + self._timeout_s - time.monotonic()):
                    await (await producer.send_batch(batch, queue.topic, partition=queue.partition))
            except Exception as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
                _fail(queue, waiters)
                self._abandon(producer, error)
                continue
            queue.confirmed.inc(len(waiters))
            for confirmed in waiters:
                if not confirmed.done():  # else its request was cancelled
                    confirmed.set_result(None)
        queue.sending_since_s = None

    @staticmethod
    def _next_batch(queue: _PartitionQueue, producer: AIOKafkaProducer) -> tuple[Any, list[asyncio.Future[None]]]:
        batch = producer.create_batch()
        timestamp_ms = system_now_ms()
        waiters: list[asyncio.Future[None]] = []
        for key, value, confirmed in queue.waiting:
            if batch.append(key=key, value=value, timestamp=timestamp_ms) is None:
                break
            waiters.append(confirmed)
        del queue.waiting[: len(waiters)]
        queue.waiting_since_s = time.monotonic()
        batch.close()
        return batch, waiters

    async def is_up(self) -> bool:
        """Return whether a broker answers with its metadata in time."""
        producer = self._producer
        if producer is None:
            return False
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                return bool(await producer.client.fetch_all_metadata())
        except (KafkaError, TimeoutError):
            return False

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"{self._settings.application_id}-ingress-{self._settings.instance}",
            acks="all",
            enable_idempotence=True,
            max_request_size=REQUEST_BYTES_MAX,
            max_batch_size=BATCH_BYTES_MAX,
            request_timeout_ms=self._settings.record_timeout_ms,
            retry_backoff_ms=50,
            **kafka_access(self._settings),
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    def _abandon(self, producer: AIOKafkaProducer, error: BaseException) -> None:
        if self._producer is not producer:
            return  # another queue has abandoned it already
        log.warning("broker-unavailable", error=repr(error), waiting=self._waiting)
        self._producer = None
        for queue in self._queues.values():
            waiting, queue.waiting = queue.waiting, []
            _fail(queue, [confirmed for _, _, confirmed in waiting])
        self._reconnecting = asyncio.create_task(self._replace(producer), name="recorder-reconnect")

    async def _replace(self, producer: AIOKafkaProducer) -> None:
        # As aiokafka's own stop(), but without sending the records that wait.
        sender, accumulator = producer._sender, producer._message_accumulator  # noqa: SLF001
        producer._closed = True  # noqa: SLF001
        sender.sender_task.cancel()
        accumulator.fail_all(KafkaError("the broker did not confirm in time"))
        await producer.client.close()
        await asyncio.wait({sender.sender_task}, timeout=SENDER_END_TIMEOUT_S)
        while self._producer is None:
            try:
                self._producer = await self._connect()
            except Exception as error:  # noqa: BLE001 - until there is a producer, every request is refused
                log.warning("broker-not-available", error=repr(error))
                await asyncio.sleep(RECONNECT_INTERVAL_S)
        log.info("broker-available-again")


def _fail(queue: _PartitionQueue, waiters: list[asyncio.Future[None]]) -> None:
    queue.failed.inc(len(waiters))
    for confirmed in waiters:
        if not confirmed.done():
            confirmed.set_exception(RecorderUnavailableError())
