"""Writes to the input topics; a request is answered only behind this (design 3)."""

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

HEALTH_TIMEOUT_S: Final = 2.0
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
BATCH_BYTES_MAX: Final = 256 * 1024


class KafkaRecorder:
    """An idempotent producer that waits for all replicas; bounded in time and in number."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout_s = settings.record_timeout_ms / 1000
        self._waiting = 0
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            client_id=f"{settings.application_id}-ingress-{settings.instance}",
            acks="all",
            enable_idempotence=True,
            max_request_size=REQUEST_BYTES_MAX,
            max_batch_size=BATCH_BYTES_MAX,
            request_timeout_ms=settings.record_timeout_ms,
            retry_backoff_ms=50,
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Send what waits and close."""
        await self._producer.stop()

    async def record(self, topic: str, key: str, value: bytes) -> None:
        """Write one record; see `clearinghub.ports.Recorder`."""
        if self._waiting >= self._settings.records_waiting_max:
            RECORDED.labels(topic, "busy").inc()
            raise RecorderBusyError
        self._waiting += 1
        WAITING.set(self._waiting)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._producer.send_and_wait(self._settings.topic(topic), value, key=key.encode())
        except (KafkaError, TimeoutError) as error:
            RECORDED.labels(topic, "failed").inc()
            log.warning("record-failed", topic=topic, error=repr(error))
            raise RecorderUnavailableError from error
        finally:
            self._waiting -= 1
            WAITING.set(self._waiting)
        RECORDED.labels(topic, "written").inc()

    async def is_up(self) -> bool:
        """Ask the broker for its metadata; False when none answers in time."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                return bool(await self._producer.client.fetch_all_metadata())
        except (KafkaError, TimeoutError):
            return False
