"""Which processes of the hub run, in which release: each says so on topic `processes` every five seconds.

The same loop looks at the scheme's feature level. A process that does not know the level must not work on: it could not
read what the others write.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from prometheus_client import Gauge

from clearinghub import __version__
from clearinghub.clock import BrokerClock
from clearinghub.config import Settings
from clearinghub.domain.participants.participant import ParticipantDirectory
from clearinghub.features import FIRST_LEVEL, HIGHEST_LEVEL, UnknownLevelError, check_level
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.view import CompactedView
from clearinghub.messages.processes import RunningProcess, decode_process, encode_process

log = structlog.get_logger(__name__)

RELEASE = Gauge("clearinghub_release_info", "The release of this process; the value is 1", ["release", "highest_level"])
CLOCK_LEAD = Gauge(
    "clearinghub_clock_lead_ms", "How far this process's clock is ahead of the broker's; negative if it is slow"
)
LEVEL = Gauge("clearinghub_feature_level", "The scheme's feature level, as this process knows it")

APPEND_TIME: Final = 1  # of a record: the broker has written the time, not the sender
INTERVAL_S: Final = 5.0
GONE_AFTER_S: Final = 4 * INTERVAL_S
FORGOTTEN_AFTER_S: Final = 600.0
CLOCKS_APART_MS_MAX: Final = 500  # more is an alarm
ALARM_AGAIN_AFTER_S: Final = 60.0


def check_scheme(participants: ParticipantDirectory, hub_name: str) -> int:
    """Return the scheme's feature level, which this release must know.

    Raises:
        UnknownLevelError: it does not.
    """
    hub = participants.get(hub_name)
    level = FIRST_LEVEL if hub is None else hub.feature_level
    check_level(level, __version__)
    return level


class ProcessAnnouncer:
    """Announces this process until it is stopped. `failed` is set if the scheme's level is one it does not know.

    The broker writes its time into each announcement. So `clock` knows from the start on how far this process's clock
    is from the broker's, by which deadlines are judged; the log says so where they are too far apart.
    """

    def __init__(
        self, settings: Settings, role: str, participants: ParticipantDirectory, clock: BrokerClock | None = None
    ) -> None:
        self.clock = clock or BrokerClock()
        self._alarmed_s = -math.inf
        self.failed = asyncio.Event()
        self._settings = settings
        self._participants = participants
        # Two processes may have the same instance by mistake: each must be seen.
        self._key = f"{role}-{settings.instance}-{uuid.uuid4().hex[:8]}".encode()
        self._process = RunningProcess(
            role=role, instance=settings.instance, release=__version__, highest_level=HIGHEST_LEVEL
        )
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None
        RELEASE.labels(__version__, str(HIGHEST_LEVEL)).set(1)

    async def start(self) -> None:
        """Check the scheme's level, connect, and begin to announce.

        Raises:
            UnknownLevelError: this release does not know the level.
        """
        LEVEL.set(check_scheme(self._participants, self._settings.hub_name))
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"{self._settings.application_id}-{self._key.decode()}",
            **kafka_access(self._settings),
        )
        await self._producer.start()
        await self._announce(encode_process(self._process))
        self._task = asyncio.create_task(self._keep_announcing(), name="announce")

    async def stop(self) -> None:
        """Withdraw the announcement and disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            await self._announce(None)
        if self._producer is not None:
            await self._producer.stop()

    async def _keep_announcing(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                LEVEL.set(check_scheme(self._participants, self._settings.hub_name))
            except UnknownLevelError as error:
                log.error("feature-level-unknown", error=str(error))  # noqa: TRY400 - the sentence says all
                self.failed.set()
                return
            await self._announce(encode_process(self._process))

    async def _announce(self, value: bytes | None) -> None:
        assert self._producer is not None
        sent_ms = self.clock.wall_ms()
        try:
            async with asyncio.timeout(INTERVAL_S):
                written = await self._producer.send_and_wait(self._settings.topic("processes"), value, key=self._key)
        except Exception as error:  # noqa: BLE001 - the next announcement follows; without one it counts as gone
            log.warning("process-not-announced", error=repr(error))
            return
        if written.timestamp_type == APPEND_TIME:
            self.clock.note(sent_ms, written.timestamp, self.clock.wall_ms())
            self._show_clock()

    def _show_clock(self) -> None:
        """Show how far the clock is ahead, and say so once a minute if that is too far."""
        CLOCK_LEAD.set(self.clock.lead_ms)
        now_s = time.monotonic()
        if self.clock.surely_apart_ms <= CLOCKS_APART_MS_MAX or now_s - self._alarmed_s < ALARM_AGAIN_AFTER_S:
            return
        self._alarmed_s = now_s
        log.error(
            "clock-differs-from-the-brokers",
            ahead_ms=self.clock.lead_ms,
            allowed_ms=CLOCKS_APART_MS_MAX,
            remedy="synchronize this machine's clock and the brokers' (NTP)",
        )


class ProcessesView(CompactedView[tuple[RunningProcess, float]]):
    """The processes that have announced themselves lately; implements `clearinghub.ports.Processes`."""

    def __init__(
        self,
        settings: Settings,
        make_consumer: Callable[..., Any] = AIOKafkaConsumer,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(settings, "processes", lambda value: (decode_process(value), now_s()), make_consumer)
        self._now_s = now_s

    def running(self) -> list[RunningProcess]:
        """Return the processes that run, by role and instance.

        One that was killed counts for GONE_AFTER_S more, from when this process first read of it.
        """
        now_s = self._now_s()
        self.values = {key: one for key, one in self.values.items() if now_s - one[1] <= FORGOTTEN_AFTER_S}
        found = [process for process, heard_s in self.values.values() if now_s - heard_s <= GONE_AFTER_S]
        return sorted(found, key=lambda one: (one.role, one.instance))
