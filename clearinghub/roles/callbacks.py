"""The role `callbacks`: topic `notification` in, HTTP to DFSPs out; at least once, offsets behind what is settled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog
from aiohttp.web import Application
from faust.types import TP
from msgspec.structs import replace
from prometheus_client import Histogram

from agents.callback_delivery import NotificationAgent
from agents.oracle_questions import OracleAgent
from clearinghub import __version__
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.failure import failure_callback, for_dead_letter
from clearinghub.callbacks.http_client import HttpTransport
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.callbacks.oracles.client import OracleClient
from clearinghub.callbacks.oracles.http_client import HttpOracleTransport
from clearinghub.callbacks.sender import Reason
from clearinghub.config import Settings
from clearinghub.engine.app import EngineApp
from clearinghub.engine.batch import Batch
from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.dead_letter import DEAD_VALUE_BYTES_MAX
from clearinghub.engine.record import Record, View
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.load import LoadReporter
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.view import ParticipantsView
from clearinghub.messages import DeadLetterMessage, encode
from clearinghub.process import stop_event, until_stopped
from clearinghub.roles.serving import AGE_BUCKETS_S, Listener
from clearinghub.security.signature import signer_of
from web.http.operations import add_operations_routes

log = structlog.get_logger(__name__)

AGES = Histogram(
    "clearinghub_notification_age_seconds",
    "From a notification's writing to its being taken, the oldest of each batch",
    buckets=AGE_BUCKETS_S,
)
COMMIT_INTERVAL_S: Final = 0.5


def _no_handler(_record: Record, _view: View) -> None:
    raise AssertionError("callbacks have no rounds")


class DeliveryAgent(Protocol):
    """Takes what was read of its topic."""

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Take a batch of one partition; waits only for room."""

    async def close(self) -> None:
        """Stop; what is not settled is read again."""


class CallbacksApp(EngineApp):
    """The engine without tables: its agents, by topic, deliver, and offsets follow what is settled.

    Each assignment has a tracker and agents of its own: what was begun under the last one may still be delivered, but
    counts no more, for it is read again from the committed offsets.
    """

    def __init__(
        self,
        config: EngineConfig,
        make_agents: Callable[[OffsetTracker], Mapping[str, DeliveryAgent]],
        on_wait: Callable[[int, int], None],
    ) -> None:
        """`on_wait` hears, by partition, how long (milliseconds) the oldest notification of each batch has waited."""
        super().__init__(config)
        self._on_wait = on_wait
        self._make_agents = make_agents
        self._tracker = OffsetTracker()
        self._agents = make_agents(self._tracker)

    def start_partitions(self) -> None:
        """A new assignment, at its committed offsets."""
        self._tracker = OffsetTracker()
        self._agents = self._make_agents(self._tracker)
        super().start_partitions()

    async def close_partitions(self) -> None:
        """Forget what was settled: by the next assignment another worker may have gone on from there."""
        self._tracker = OffsetTracker()
        await super().close_partitions()

    async def on_batch(self, name: str, batch: Batch) -> None:
        """Hand the batch over; waits only for room.

        Where an agent has failed nothing is taken any more: behind the rest of its batch it would count as settled.
        """
        batch.is_closed = True
        if batch.epoch != self.consumer.epoch or self.failed.is_set():
            return
        records = [
            Record(name, batch.partition, one.offset, one.timestamp, one.key, one.value or b"") for one in batch.records
        ]
        if name == "notification":
            age_ms = _now_ms() - records[0].timestamp_ms
            AGES.observe(age_ms / 1000)
            self._on_wait(batch.partition, age_ms)
        await self._agents[name].take(records, batch.end)

    async def close_agents(self) -> None:
        """Let the agents of this assignment stop."""
        for agent in self._agents.values():
            await agent.close()

    async def commit_settled(self) -> None:
        """Commit what is settled."""
        tracker = self._tracker
        offsets = tracker.committable()
        prefix = self.engine_config.topic_prefix
        by_partition = {TP(prefix + topic, partition): offset for (topic, partition), offset in offsets.items()}
        if offsets and await self.consumer.commit_offsets(by_partition):
            tracker.committed(offsets)

    async def keep_committing(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(COMMIT_INTERVAL_S)
            try:
                await self.commit_settled()
            except Exception:  # whatever it is: without commits a restart would deliver everything again
                log.exception("commit-failed")


def callbacks_config(settings: Settings) -> EngineConfig:
    """The engine of the callbacks."""
    return EngineConfig(
        application_id=f"{settings.application_id}-callbacks",
        bootstrap=settings.kafka_bootstrap,
        access=kafka_access(settings),
        partitions=settings.partitions,
        inputs=(Input("notification", _no_handler), Input("oracle", _no_handler)),
        tables=(),
        output_partitions={},
        dead_letter_topic="dead-letter",
        data_dir=settings.data_dir / f"callbacks-{settings.instance}",
        topic_prefix=settings.topic_prefix,
        instance=settings.instance,
        worker_url=f"http://127.0.0.1:{settings.callbacks_port}",
        backlog_records_max=settings.batch_backlog_records_max,
        session_timeout_ms=settings.session_timeout_ms,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def dead_letter(letter: DeadLetterMessage, value: bytes) -> bytes:
    """Return the record of a dead letter: with the given-up record's value, unless that is too large for the broker."""
    if len(value) > DEAD_VALUE_BYTES_MAX:
        return encode(replace(letter, bytes_left_out=len(value)))
    return encode(letter, value)


class CallbacksHealth:
    """UP when the group has given this process its partitions and the participants are known."""

    def __init__(self, app: EngineApp, participants: ParticipantsView) -> None:
        self._app = app
        self._participants = participants

    async def services(self) -> dict[str, bool]:
        """`broker` is the group, `participantEndpointService` the participants (protocol 12)."""
        return {"broker": self._app.is_ready, "participantEndpointService": self._participants.is_caught_up}


class DeadLetterWriter:
    """Writes callbacks and records that are given up to the dead letter, and the error callbacks that follow."""

    def __init__(self, settings: Settings, recorder: KafkaRecorder) -> None:
        self._hub_name = settings.hub_name
        self._recorder = recorder

    async def write_undelivered(self, notification: Notification, reason: Reason) -> None:
        """Write a callback that could not be delivered, and the error callback to its sender, if it wants one."""
        message = notification.message
        error_callback = failure_callback(message, reason, self._hub_name)
        if error_callback is not None:
            await self._recorder.record("notification", error_callback.message.receiver, error_callback.as_value())
        kept = for_dead_letter(notification)
        if kept is None:
            return
        letter = DeadLetterMessage(
            topic="notification",
            error=reason.code.value,
            timestamp_ms=_now_ms(),
            receiver=message.receiver,
            detail=reason.detail,
            status=reason.status,
            attempts=reason.attempts,
        )
        await self._recorder.record("dead-letter", message.receiver, dead_letter(letter, kept.as_value()))

    async def write_unreadable(self, record: Record, problem: str) -> None:
        """Write a record that is no message of its topic, with the error."""
        letter = DeadLetterMessage(
            topic=record.topic,
            error=problem,
            timestamp_ms=_now_ms(),
            partition=record.partition,
            offset=record.offset,
        )
        key = (record.key or b"").decode(errors="replace")
        await self._recorder.record("dead-letter", key, dead_letter(letter, record.value))


async def run_callbacks(settings: Settings) -> None:
    """Deliver until told to stop."""
    stop = stop_event()
    signer = signer_of(settings)
    participants = ParticipantsView(settings)
    recorder = KafkaRecorder(settings)
    await participants.start()
    await recorder.start()

    letters = DeadLetterWriter(settings, recorder)
    transport = HttpTransport(settings.callback_timeout_ms)
    deliverer = Deliverer(settings, participants, transport, letters.write_undelivered, _now_ms, signer=signer)
    load = LoadReporter(settings, "callbacks", dict)
    oracle_transport = HttpOracleTransport()
    oracles = OracleClient(settings, oracle_transport)

    async def answer(key: str, value: bytes) -> None:
        await recorder.record("party", key, value)

    def make_agents(tracker: OffsetTracker) -> dict[str, DeliveryAgent]:
        return {
            "notification": NotificationAgent(deliverer, tracker, letters.write_unreadable),
            "oracle": OracleAgent(oracles, tracker, answer, letters.write_unreadable),
        }

    app = CallbacksApp(callbacks_config(settings), make_agents, load.note)
    surface = Application()
    add_operations_routes(surface, CallbacksHealth(app, participants), __version__)
    listener = Listener(surface, settings.bind_host, settings.callbacks_port)
    app.finalize()
    committing: asyncio.Task[None] | None = None
    try:
        await app.start()
        await load.start()
        await listener.start()
        committing = asyncio.create_task(app.keep_committing(), name="commit")
        await until_stopped(stop, app.failed)
    finally:
        log.info("stopping")
        await load.stop()
        await _stop(app, deliverer, committing)
        await listener.stop()
        await app.close_agents()
        await transport.close()
        await oracle_transport.close()
        await recorder.stop()
        await participants.stop()


async def _stop(app: CallbacksApp, deliverer: Deliverer, committing: asyncio.Task[None] | None) -> None:
    """Take nothing new, let deliveries under way end within bounds, commit behind them, leave."""
    app.consumer.stop_flow()
    await deliverer.close()
    if committing is not None:
        committing.cancel()
        await asyncio.wait({committing})
        await app.commit_settled()
    await app.stop()
