"""How long records wait, on topic `load`: reported by ledger and callbacks, read by the ingress for admission control.

Waits below WORTH_REPORTING_MS are not reported, so an idle hub writes nothing. A report is valid for two seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import Gauge

from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access

log = structlog.get_logger(__name__)

WAITING = Gauge(
    "clearinghub_load_waiting_ms", "How long records wait, by partition; overload begins here", ["partition"]
)

VERSION: Final = 1
INTERVAL_S: Final = 0.2
WORTH_REPORTING_MS: Final = 100
VALID_S: Final = 2.0
REFRESH_INTERVAL_S: Final = 0.05
FETCH_TIMEOUT_MS: Final = 1_000
RETRY_S: Final = 1.0


class LoadReporter:
    """Reports the longest wait of each partition, five times a second while records wait."""

    def __init__(
        self,
        settings: Settings,
        role: str,
        waiting: Callable[[], Mapping[int, int]],
        now_ms: Callable[[], int] = system_now_ms,
    ) -> None:
        """`waiting` returns, by partition, when the oldest waiting record was written, milliseconds since 1970.

        `now_ms` is the time by the clock that wrote the records' times: the broker's.
        """
        self._now_ms = now_ms
        self._settings = settings
        self._role = role
        self._waiting = waiting
        self._longest_ms: dict[int, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None

    def note(self, partition: int, waited_ms: int) -> None:
        """Note how long a record had waited when its processing began."""
        if waited_ms > self._longest_ms.get(partition, WORTH_REPORTING_MS):
            self._longest_ms[partition] = waited_ms

    async def start(self) -> None:
        """Connect, and begin to report."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"{self._settings.application_id}-{self._role}-{self._settings.instance}-load",
            acks=1,  # a lost report is replaced by the next
            **kafka_access(self._settings),
        )
        await self._producer.start()
        self._task = asyncio.create_task(self._report(self._producer), name="load-report")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._producer is not None:
            await self._producer.stop()

    async def _report(self, producer: AIOKafkaProducer) -> None:
        key = f"{self._role}-{self._settings.instance}".encode()
        reported: set[int] = set()  # partitions with a wait in the last report
        while True:
            await asyncio.sleep(INTERVAL_S)
            now_ms = self._now_ms()
            for partition, since_ms in self._waiting().items():
                self.note(partition, now_ms - since_ms)
            # The end of a wait is reported too: new work must not be refused for a wait that is over.
            longest_ms, self._longest_ms = dict.fromkeys(reported, 0) | self._longest_ms, {}
            reported = {partition for partition, waited_ms in longest_ms.items() if waited_ms}
            if not longest_ms:
                continue
            report = {"v": VERSION, "kind": "load", "waitedMs": {str(one): ms for one, ms in longest_ms.items()}}
            try:
                await producer.send_and_wait(self._settings.topic("load"), orjson.dumps(report), key=key)
            except Exception as error:  # noqa: BLE001 - without reports, this process would seem to be idle
                log.warning("load-not-told", error=repr(error))


class LoadView:
    """The longest waits of all partitions: those reported lately, and those in this process itself."""

    def __init__(self, settings: Settings, own_waiting_ms: Callable[[int], int]) -> None:
        """`own_waiting_ms` returns how long the oldest record of a partition waits for the broker in this process."""
        self._settings = settings
        self._own_waiting_ms = own_waiting_ms
        # By reporter and partition: the wait in milliseconds, and when its report was read.
        self._reports: dict[tuple[str, int], tuple[int, float]] = {}
        self._longest_ms: dict[int, int] = {}
        self._lag_ms = 0
        self._consumer: AIOKafkaConsumer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def waiting_ms(self, partition: int) -> int:
        """Return the longest wait of requests whose payer is on this partition, anywhere in the hub."""
        return max(self._lag_ms, self._longest_ms.get(partition, 0))

    async def start(self) -> None:
        """Begin to read the topic, from its end."""
        place = TopicPartition(self._settings.topic("load"), 0)
        consumer = self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            **kafka_access(self._settings),
        )
        await consumer.start()
        consumer.assign([place])
        await consumer.seek_to_end(place)
        self._tasks = {
            asyncio.create_task(self._follow(consumer), name="load-follow"),
            asyncio.create_task(self._refresh(), name="load-refresh"),
        }

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._consumer is not None:
            await self._consumer.stop()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)
            except Exception as error:  # noqa: BLE001 - without reports, admission control would refuse nothing
                log.warning("load-not-heard", error=repr(error))
                await asyncio.sleep(RETRY_S)
                continue
            now_s = time.monotonic()
            for records in fetched.values():
                for record in records:
                    self._read((record.key or b"").decode(errors="replace"), record.value, now_s)

    def _read(self, reporter: str, value: bytes | None, now_s: float) -> None:
        try:
            report: dict[str, Any] = orjson.loads(value or b"")
            waited = {int(partition): int(ms) for partition, ms in report["waitedMs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            log.exception("load-record-unreadable", reporter=reporter)
            return
        for partition, waited_ms in waited.items():
            self._reports[reporter, partition] = (waited_ms, now_s)

    async def _refresh(self) -> None:
        """Compute what `waiting_ms` returns. How late this task runs is itself a wait: that of this process."""
        while True:
            due_s = time.monotonic() + REFRESH_INTERVAL_S
            await asyncio.sleep(REFRESH_INTERVAL_S)
            now_s = time.monotonic()
            self._lag_ms = int((now_s - due_s) * 1000)
            self._reports = {by: report for by, report in self._reports.items() if now_s - report[1] <= VALID_S}
            longest_ms = {number: self._own_waiting_ms(number) for number in range(self._settings.partitions)}
            for (_, partition), (waited_ms, _) in self._reports.items():
                longest_ms[partition] = max(waited_ms, longest_ms.get(partition, 0))
            self._longest_ms = longest_ms
            for partition in range(self._settings.partitions):
                WAITING.labels(str(partition)).set(self.waiting_ms(partition))
