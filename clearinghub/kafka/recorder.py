"""Writes to the input topics; a request is answered only behind this (design 3).

Who is told 503 must be able to rely on it: nothing was accepted. aiokafka's idempotent producer never gives a record up
by itself, it sends it whenever the broker is back. So when a confirmation does not come in time, the producer is
abandoned with everything that still waits in it, all its callers are told, and another one is connected in the
background; until it is, requests are refused at once. Only a record that the broker had taken in the very moment of its
death may turn up later; the same request sent again then meets the ledger's duplicate check.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from clearinghub.config import Settings
from clearinghub.ports import RecorderBusyError, RecorderUnavailableError

log = structlog.get_logger(__name__)

RECORDED = Counter("clearinghub_recorded_total", "Records written to the input topics", ["topic", "outcome"])
WAITING = Gauge("clearinghub_recorder_waiting", "Records that wait for the broker's confirmation")

REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
BATCH_BYTES_MAX: Final = 256 * 1024
RECONNECT_INTERVAL_S: Final = 0.5
HEALTH_TIMEOUT_S: Final = 2.0
SENDER_END_TIMEOUT_S: Final = 1.0


class KafkaRecorder:
    """An idempotent producer that waits for all replicas; bounded in time and in number."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout_s = settings.record_timeout_ms / 1000
        self._waiting = 0
        self._producer: AIOKafkaProducer | None = None
        self._reconnecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect."""
        self._producer = await self._connect()

    async def stop(self) -> None:
        """Send what waits and close."""
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait({self._reconnecting})
        if self._producer is not None:
            await self._producer.stop()

    async def record(self, topic: str, key: str, value: bytes) -> None:
        """Write one record; see `clearinghub.ports.Recorder`."""
        if self._waiting >= self._settings.records_waiting_max:
            RECORDED.labels(topic, "busy").inc()
            raise RecorderBusyError
        producer = self._producer
        if producer is None:
            RECORDED.labels(topic, "failed").inc()
            raise RecorderUnavailableError
        self._waiting += 1
        WAITING.set(self._waiting)
        try:
            async with asyncio.timeout(self._timeout_s):
                await producer.send_and_wait(self._settings.topic(topic), value, key=key.encode())
        except (KafkaError, TimeoutError) as error:
            RECORDED.labels(topic, "failed").inc()
            self._abandon(producer, error)
            raise RecorderUnavailableError from error
        finally:
            self._waiting -= 1
            WAITING.set(self._waiting)
        RECORDED.labels(topic, "written").inc()

    async def is_up(self) -> bool:
        """Ask the broker for its metadata; False when none answers in time."""
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
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    def _abandon(self, producer: AIOKafkaProducer, error: BaseException) -> None:
        if self._producer is not producer:
            return  # another caller of the same producer was first
        log.warning("broker-unavailable", error=repr(error), waiting=self._waiting)
        self._producer = None
        self._reconnecting = asyncio.create_task(self._replace(producer), name="recorder-reconnect")

    async def _replace(self, producer: AIOKafkaProducer) -> None:
        # What aiokafka's own stop() would do, but without sending first what waits.
        sender, accumulator = producer._sender, producer._message_accumulator  # noqa: SLF001
        producer._closed = True  # noqa: SLF001
        sender.sender_task.cancel()
        accumulator.fail_all(KafkaError("the broker did not confirm in time"))
        await producer.client.close()
        await asyncio.wait({sender.sender_task}, timeout=SENDER_END_TIMEOUT_S)
        while self._producer is None:
            try:
                self._producer = await self._connect()
            except (KafkaError, OSError):
                await asyncio.sleep(RECONNECT_INTERVAL_S)
        log.info("broker-available-again")
