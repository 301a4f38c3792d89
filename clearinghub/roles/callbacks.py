"""The role `callbacks`: read topics `notification` and `oracle`, send HTTP to DFSPs and oracles, at least once.

An offset is committed when its record and all records before it are settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog
from aiohttp.web import Application, Request, Response, json_response
from faust.types import TP
from prometheus_client import Histogram

from agents.callback_delivery import NotificationAgent, ParkedAgent
from agents.oracle_questions import OracleAgent
from clearinghub import __version__
from clearinghub.callbacks.breaker import BreakerState
from clearinghub.callbacks.dead_letters import DeadLetterWriter
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.http_client import HttpTransport
from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.callbacks.oracles.client import OracleClient
from clearinghub.callbacks.oracles.http_client import HttpOracleTransport
from clearinghub.callbacks.parked_index import Amount
from clearinghub.callbacks.parking import Parking
from clearinghub.clock import BrokerClock
from clearinghub.config import Settings
from clearinghub.engine.app import EngineApp
from clearinghub.engine.batch import Batch
from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.record import Record, View
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.load import LoadReporter
from clearinghub.kafka.parked_log import KafkaParkedLog
from clearinghub.kafka.processes import ProcessAnnouncer
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.view import ParticipantsView
from clearinghub.ports import StoppedPart
from clearinghub.process import stop_event, until_stopped
from clearinghub.roles.serving import AGE_BUCKETS_S, Listener
from clearinghub.security.credentials import CredentialDirectory
from clearinghub.security.egress import egress_of
from clearinghub.security.profile import profile
from clearinghub.security.signature import signer_of
from clearinghub.security.tls import outbound_tls
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
    """Settles the records of its topic."""

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Begin a batch of one partition; waits for the broker only, never for a receiver."""

    def revoke(self) -> None:
        """End the assignment: another worker may read what is not committed."""

    async def close(self) -> None:
        """Stop; records that are not settled are read again."""


class CallbacksApp(EngineApp):
    """The engine without tables and rounds: an agent for each topic settles the records, and their offsets follow.

    Each assignment has its own tracker and agents. Records that were begun under the one before may still be delivered,
    but no longer count, since they are read again from the committed offsets.
    """

    def __init__(
        self,
        config: EngineConfig,
        make_agents: Callable[[OffsetTracker], Mapping[str, DeliveryAgent]],
        on_wait: Callable[[int, int], None],
    ) -> None:
        """`on_wait` is called with the partition and the age (in milliseconds) of each batch's oldest notification."""
        super().__init__(config)
        self._on_wait = on_wait
        self._make_agents = make_agents
        self._tracker = OffsetTracker()
        self._agents = make_agents(self._tracker)

    def start_partitions(self) -> None:
        """Begin a new assignment at its committed offsets."""
        self._tracker = OffsetTracker()
        self._agents = self._make_agents(self._tracker)
        super().start_partitions()

    async def close_partitions(self) -> None:
        """Drop the offsets that are not committed: another worker may have continued before the next assignment."""
        self._tracker = OffsetTracker()
        for agent in self._agents.values():
            agent.revoke()
        await super().close_partitions()

    async def on_batch(self, name: str, batch: Batch) -> None:
        """Pass a batch to its agent; waits for the broker only.

        After an agent has failed in the middle of a batch, no further batch is accepted: its offsets would be committed
        although the rest of the failed batch is not settled.
        """
        batch.is_closed = True
        if batch.epoch != self.consumer.epoch or self.failed.is_set():
            return
        records = [
            Record(name, batch.partition, one.offset, one.timestamp, one.key, one.value or b"") for one in batch.records
        ]
        if name == "notification":
            age_ms = max(0, self.engine_config.broker_ms() - records[0].timestamp_ms)
            AGES.observe(age_ms / 1000)
            self._on_wait(batch.partition, age_ms)
        await self._agents[name].take(records, batch.end)

    def start_of(self, topic: str, partition: int) -> int:
        """Return the offset from which an input's partition is read in this assignment."""
        offset: int = self.consumer.seek_offsets[TP(self.engine_config.topic_prefix + topic, partition)]
        return offset

    async def close_agents(self) -> None:
        """Close the agents of the current assignment."""
        for agent in self._agents.values():
            await agent.close()

    async def commit_settled(self) -> None:
        """Commit the offsets of all settled records."""
        tracker = self._tracker
        offsets = tracker.committable()
        prefix = self.engine_config.topic_prefix
        by_partition = {TP(prefix + topic, partition): offset for (topic, partition), offset in offsets.items()}
        if offsets and await self.consumer.commit_offsets(by_partition):
            tracker.committed(offsets)

    async def keep_committing(self) -> None:
        """Commit every COMMIT_INTERVAL_S seconds, until cancelled."""
        while True:
            await asyncio.sleep(COMMIT_INTERVAL_S)
            try:
                await self.commit_settled()
            except Exception:  # any error: without commits a restart would deliver everything again
                log.exception("commit-failed")


def callbacks_config(settings: Settings, clock: BrokerClock | None = None) -> EngineConfig:
    """Return the configuration of the engine, without tables."""
    return EngineConfig(
        application_id=f"{settings.application_id}-callbacks",
        bootstrap=settings.kafka_bootstrap,
        access=kafka_access(settings),
        partitions=settings.partitions,
        inputs=(Input("notification", _no_handler), Input("parked", _no_handler), Input("oracle", _no_handler)),
        tables=(),
        output_partitions={},
        dead_letter_topic="dead-letter",
        data_dir=settings.data_dir / f"callbacks-{settings.instance}",
        topic_prefix=settings.topic_prefix,
        instance=settings.instance,
        worker_url=f"http://127.0.0.1:{settings.callbacks_port}",
        backlog_records_max=settings.batch_backlog_records_max,
        backlog_bytes_max=settings.batch_backlog_bytes_max,
        session_timeout_ms=settings.session_timeout_ms,
        clock_lead_ms=(lambda: 0) if clock is None else lambda: clock.lead_ms,
    )


class CallbacksHealth:
    """Health of the role: UP when the process has its partitions and a copy of the participants."""

    def __init__(self, app: EngineApp, participants: ParticipantsView) -> None:
        self._app = app
        self._participants = participants

    async def services(self) -> dict[str, bool]:
        """Return the state of `broker`, the consumer group, and of `participantEndpointService` (protocol 12)."""
        return {"broker": self._app.is_ready, "participantEndpointService": self._participants.is_caught_up}

    def stopped(self) -> list[StoppedPart]:
        """Return nothing: only partitions of the ledger stop."""
        return []


@dataclass(slots=True)
class AgentFactory:
    """Makes the agents of each assignment; `parking` is the last one's."""

    settings: Settings
    recorder: KafkaRecorder
    parked: KafkaParkedLog
    deliverer: Deliverer
    oracles: OracleClient
    letters: DeadLetterWriter
    now_ms: Callable[[], int]
    parking: Parking | None = None

    def make(self, start_of: Callable[[str, int], int], tracker: OffsetTracker) -> dict[str, DeliveryAgent]:
        """Return an agent for each input; `start_of` returns from where on a partition of one is read."""
        write_unreadable = self.letters.write_unreadable
        parking = self.parking = Parking(
            self.settings,
            self.parked,
            self.deliverer,
            self.now_ms,
            lambda number: start_of("parked", number),
            write_unreadable,
            lambda number, low: tracker.follow(("parked", number), low),
        )
        return {
            "notification": NotificationAgent(self.deliverer, tracker, parking, write_unreadable),
            "parked": ParkedAgent(parking),
            "oracle": OracleAgent(self.oracles, tracker, self._answer, write_unreadable),
        }

    async def _answer(self, key: str, value: bytes) -> None:
        await self.recorder.record("party", key, value)

    async def get_receivers(self, _request: Request) -> Response:
        """Answer with what waits for each receiver in this worker, for `clearinghub admin callbacks list`."""
        parking, now_ms = self.parking, self.now_ms()
        parked = {} if parking is None else dict(parking.totals)
        oldest_ms = {} if parking is None else parking.oldest_ms()
        queues = {queue.receiver: queue for queue in self.deliverer.queues()}
        receivers = []
        for name in sorted(queues.keys() | parked.keys()):
            queue, amount = queues.get(name), parked.get(name, Amount())
            breaker = BreakerState.CLOSED if queue is None else queue.breaker.state
            receivers.append(
                {
                    "receiver": name,
                    "waiting": 0 if queue is None else queue.pending,
                    "inFlight": 0 if queue is None else queue.workers,
                    "breaker": breaker.name.lower().replace("_", " "),
                    "parked": amount.count,
                    "parkedBytes": amount.bytes,
                    "oldestParkedSeconds": (now_ms - oldest_ms[name]) // 1000 if name in oldest_ms else 0,
                }
            )
        return json_response({"instance": self.settings.instance, "receivers": receivers})


async def run_callbacks(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT."""
    stop = stop_event()
    signer = signer_of(settings)
    participants = ParticipantsView(settings)
    tls = outbound_tls(profile(settings).client, CredentialDirectory(participants), settings.callback_tls_min)
    recorder = KafkaRecorder(settings)
    parked = KafkaParkedLog(settings, recorder)
    await participants.start()
    await recorder.start()
    await parked.start()

    clock = BrokerClock()  # callbacks that are worthless later are judged by the clock that wrote their records' times
    letters = DeadLetterWriter(settings.hub_name, recorder, clock.now_ms)
    egress = egress_of(settings)
    transport = HttpTransport(settings.callback_timeout_ms, tls.of_participant, egress=egress)
    deliverer = Deliverer(settings, participants, transport, letters.write_undelivered, clock.now_ms, signer=signer)
    load = LoadReporter(settings, "callbacks", dict, clock.now_ms)
    oracle_transport = HttpOracleTransport(egress, tls.of_oracles)
    oracles = OracleClient(settings, oracle_transport)
    agents = AgentFactory(settings, recorder, parked, deliverer, oracles, letters, clock.now_ms)
    announcer = ProcessAnnouncer(settings, "callbacks", participants, clock)

    def start_of(topic: str, partition: int) -> int:
        return app.start_of(topic, partition)

    app = CallbacksApp(callbacks_config(settings, clock), partial(agents.make, start_of), load.note)
    surface = Application()
    surface.router.add_get("/callbacks", agents.get_receivers)
    add_operations_routes(surface, CallbacksHealth(app, participants), __version__)
    listener = Listener(surface, settings.bind_host, settings.callbacks_port)
    app.finalize()
    committing: asyncio.Task[None] | None = None
    try:
        await announcer.start()
        await app.start()
        await load.start()
        await listener.start()
        committing = asyncio.create_task(app.keep_committing(), name="commit")
        await until_stopped(stop, app.failed, announcer.failed)
    finally:
        log.info("stopping")
        await load.stop()
        await announcer.stop()
        await _stop(app, deliverer, committing)
        await listener.stop()
        await app.close_agents()
        await parked.stop()
        await transport.close()
        await oracle_transport.close()
        await recorder.stop()
        await participants.stop()


async def _stop(app: CallbacksApp, deliverer: Deliverer, committing: asyncio.Task[None] | None) -> None:
    """Read nothing more, let deliveries in flight end within the time to stop, commit, and leave the group."""
    app.consumer.stop_flow()
    await deliverer.close()
    if committing is not None:
        committing.cancel()
        await asyncio.wait({committing})
        await app.commit_settled()
    await app.stop()
