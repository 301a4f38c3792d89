"""How long records wait, told by those who decide and deliver them to those who let new ones in (topic `load`).

Only waits that mean something are told, so an idle hub writes nothing; what is told is forgotten after two seconds.
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

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access

log = structlog.get_logger(__name__)

WAITING = Gauge(
    "clearinghub_load_waiting_ms", "How long records wait, by partition; overload begins here", ["partition"]
)

VERSION: Final = 1
INTERVAL_S: Final = 0.2
WORTH_TELLING_MS: Final = 100
VALID_S: Final = 2.0
REFRESH_INTERVAL_S: Final = 0.05
FETCH_TIMEOUT_MS: Final = 1_000
RETRY_S: Final = 1.0


class LoadReporter:
    """Tells the longest wait of each partition, five times a second while there is one."""

    def __init__(self, settings: Settings, role: str, waiting: Callable[[], Mapping[int, int]]) -> None:
        """`waiting` gives, by partition, since when (milliseconds since 1970) the oldest untaken record waits."""
        self._settings = settings
        self._role = role
        self._waiting = waiting
        self._longest_ms: dict[int, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None

    def note(self, partition: int, waited_ms: int) -> None:
        """A record was taken that had waited so long."""
        if waited_ms > self._longest_ms.get(partition, WORTH_TELLING_MS):
            self._longest_ms[partition] = waited_ms

    async def start(self) -> None:
        """Connect, and tell from now on."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"{self._settings.application_id}-{self._role}-{self._settings.instance}-load",
            acks=1,  # the next one comes at once
            **kafka_access(self._settings),
        )
        await self._producer.start()
        self._task = asyncio.create_task(self._report(self._producer), name="load-report")

    async def stop(self) -> None:
        """Tell no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._producer is not None:
            await self._producer.stop()

    async def _report(self, producer: AIOKafkaProducer) -> None:
        key = f"{self._role}-{self._settings.instance}".encode()
        told: set[int] = set()  # partitions with a wait in the last report
        while True:
            await asyncio.sleep(INTERVAL_S)
            now_ms = time.time_ns() // 1_000_000
            for partition, since_ms in self._waiting().items():
                self.note(partition, now_ms - since_ms)
            # The end of a wait is told too: new work must not be refused for a wait that is over.
            longest_ms, self._longest_ms = dict.fromkeys(told, 0) | self._longest_ms, {}
            told = {partition for partition, waited_ms in longest_ms.items() if waited_ms}
            if not longest_ms:
                continue
            line = {"v": VERSION, "kind": "load", "waitedMs": {str(one): ms for one, ms in longest_ms.items()}}
            try:
                await producer.send_and_wait(self._settings.topic("load"), orjson.dumps(line), key=key)
            except Exception as error:  # noqa: BLE001 - who tells no more is taken for one that has nothing to do
                log.warning("load-not-told", error=repr(error))


class LoadView:
    """What the ledger and the callbacks have told lately, and how this process itself keeps up."""

    def __init__(self, settings: Settings, own_waiting_ms: Callable[[int], int]) -> None:
        """`own_waiting_ms` returns how long the oldest record of a partition waits for the broker in this process."""
        self._settings = settings
        self._own_waiting_ms = own_waiting_ms
        self._told: dict[tuple[str, int], tuple[int, float]] = {}  # by teller and partition: the wait, told when
        self._longest_ms: dict[int, int] = {}
        self._lag_ms = 0
        self._consumer: AIOKafkaConsumer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def waiting_ms(self, partition: int) -> int:
        """The longest wait of a payer's request on this partition, anywhere on its way."""
        return max(self._lag_ms, self._longest_ms.get(partition, 0))

    async def start(self) -> None:
        """Follow the topic from its end."""
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
        """Stop following."""
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
            except Exception as error:  # noqa: BLE001 - who hears no more would refuse nobody, however much there is
                log.warning("load-not-heard", error=repr(error))
                await asyncio.sleep(RETRY_S)
                continue
            now_s = time.monotonic()
            for records in fetched.values():
                for record in records:
                    self._take((record.key or b"").decode(errors="replace"), record.value, now_s)

    def _take(self, teller: str, value: bytes | None, now_s: float) -> None:
        try:
            line: dict[str, Any] = orjson.loads(value or b"")
            waited = {int(partition): int(ms) for partition, ms in line["waitedMs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            log.exception("load-record-unreadable", teller=teller)
            return
        for partition, waited_ms in waited.items():
            self._told[teller, partition] = (waited_ms, now_s)

    async def _refresh(self) -> None:
        """Work out anew what `waiting_ms` says; how late this comes is itself a wait, that of this process."""
        while True:
            due_s = time.monotonic() + REFRESH_INTERVAL_S
            await asyncio.sleep(REFRESH_INTERVAL_S)
            now_s = time.monotonic()
            self._lag_ms = int((now_s - due_s) * 1000)
            self._told = {place: told for place, told in self._told.items() if now_s - told[1] <= VALID_S}
            longest_ms = {number: self._own_waiting_ms(number) for number in range(self._settings.partitions)}
            for (_, partition), (waited_ms, _) in self._told.items():
                longest_ms[partition] = max(waited_ms, longest_ms.get(partition, 0))
            self._longest_ms = longest_ms
            for partition in range(self._settings.partitions):
                WAITING.labels(str(partition)).set(self.waiting_ms(partition))
