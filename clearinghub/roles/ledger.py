"""The role `ledger`: decides all records, partition by partition, and answers queries from its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from prometheus_client import REGISTRY, Counter, Histogram

from agents.context import LedgerContext
from clearinghub.clock import BrokerClock, system_now_ms
from clearinghub.config import Settings
from clearinghub.engine.app import EngineApp
from clearinghub.engine.config import EngineConfig
from clearinghub.engine.environment import REAL
from clearinghub.engine.errors import StoppedInput, StoredFormatError
from clearinghub.engine.record import Punctuator, PunctuatorView, View
from clearinghub.engine.status import StoppedPartition
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.archived import ArchivedView
from clearinghub.kafka.load import LoadReporter
from clearinghub.kafka.processes import ProcessAnnouncer
from clearinghub.kafka.relay_sender import RelaySender
from clearinghub.kafka.topology import load_topology
from clearinghub.kafka.view import ParticipantsView, RecoveriesView
from clearinghub.messages.codec import VERSION
from clearinghub.messages.recoveries import Stopped, WorkerAnnouncement, encode_worker
from clearinghub.ports import Archive, StoppedPart
from clearinghub.process import RoleFailedError, stop_event, until_stopped
from clearinghub.roles.fees import load_fee_rules
from clearinghub.roles.ledger_parts import coordinator_of, ledger_parts
from clearinghub.roles.ledger_rows import StoreRows, stopped_input
from clearinghub.roles.metrics import LedgerCollector, RelayCollector, show_nothing
from clearinghub.roles.serving import AGE_BUCKETS_S, Listener
from web.ledger.app import build_ledger_app

log = structlog.get_logger(__name__)

ROUNDS = Histogram(
    "clearinghub_round_seconds",
    "A round from its first decision to RocksDB",
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
ROUND_RECORDS = Histogram(
    "clearinghub_round_records", "Records decided in a round", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
AGES = Histogram(
    "clearinghub_record_age_seconds",
    "From a record's writing to its decision, the oldest of each batch",
    ["topic"],
    buckets=AGE_BUCKETS_S,
)
FAILURES = Counter(
    "clearinghub_ledger_partition_failures_total",
    "Failures after which a partition was opened again, by kind",
    ["partition", "error"],
)
DEAD_LETTERS = Counter("clearinghub_ledger_dead_letters_total", "Records that made the code raise", ["topic"])


def ledger_config(
    settings: Settings,
    context: LedgerContext,
    on_wait: Callable[[int, int], None] = lambda _partition, _waited_ms: None,
    archive: Archive | None = None,
    clock: BrokerClock | None = None,
) -> EngineConfig:
    """Return the configuration of the ledger's engine.

    Args:
        settings: of the role.
        context: the rules by which the agents decide.
        on_wait: is called for each batch, with its partition and how many milliseconds its oldest record has waited.
        archive: if given, finished transfers stay in their table until the archive has them.
        clock: knows how far this process's clock is from the broker's.
    """
    topics, parts = load_topology().topics, ledger_parts(settings, context, archive)

    def on_batch(topic: str, partition: int, age_s: float) -> None:
        AGES.labels(topic).observe(age_s)
        on_wait(partition, int(age_s * 1000))

    return EngineConfig(
        application_id=settings.application_id,
        bootstrap=settings.kafka_bootstrap,
        access=kafka_access(settings),
        partitions=settings.partitions,
        # Only the ledger writes in transactions.
        inputs=tuple(replace(one, has_no_holes="ledger" not in topics[one.topic].writers) for one in parts.inputs),
        tables=parts.tables,
        output_partitions={name: topic.partition_count(settings.partitions) for name, topic in topics.items()},
        dead_letter_topic="dead-letter",
        data_dir=settings.data_dir / f"ledger-{settings.instance}",
        topic_prefix=settings.topic_prefix,
        instance=settings.instance,
        worker_url=worker_url(settings),
        round_records_max=settings.round_records_max,
        round_bytes_max=settings.round_bytes_max,
        round_interval_ms=settings.round_interval_ms,
        backlog_records_max=settings.batch_backlog_records_max,
        backlog_bytes_max=settings.batch_backlog_bytes_max,
        session_timeout_ms=settings.session_timeout_ms,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        standby_replicas=settings.standby_replicas,
        on_open=make_announcement(worker_url(settings)),
        on_stopped=make_stop_announcement(worker_url(settings)),
        on_inputs_stopped=make_inputs_announcement(worker_url(settings)),
        punctuators=parts.punctuators,
        punctuate_interval_ms=settings.punctuate_interval_ms,
        on_batch=on_batch,
        clock_lead_ms=(lambda: 0) if clock is None else lambda: clock.lead_ms,
        on_round=_on_round,
        on_poison_record=parts.on_poison_record,
        on_partition_failure=lambda number, error: FAILURES.labels(str(number), type(error).__name__).inc(),
        on_dead_letter=lambda topic: DEAD_LETTERS.labels(topic).inc(),
        environment=replace(REAL, make_sender=RelaySender),
    )


def worker_url(settings: Settings) -> str:
    """Return the URL under which the other roles reach this worker."""
    return settings.ledger_url or f"http://127.0.0.1:{settings.ledger_port}"


def make_announcement(url: str) -> Punctuator:
    """Return what announces a partition's owner on topic `workers`.

    It runs in the first transaction of the partition, so that a worker that was fenced cannot announce itself.
    """
    value = encode_worker(WorkerAnnouncement(url, VERSION))

    def announce(view: PunctuatorView, _now_ms: int) -> None:
        view.emit_to_partition("workers", view.partition, str(view.partition), value)

    return announce


def make_stop_announcement(url: str) -> Callable[[View, StoppedPartition], None]:
    """Return what announces on topic `workers` that a partition is stopped, so that operators see it and why."""

    def announce(view: View, stopped: StoppedPartition) -> None:
        value = encode_worker(WorkerAnnouncement(url, VERSION, Stopped(*stopped)))
        view.emit_to_partition("workers", view.partition, str(view.partition), value)

    return announce


def make_inputs_announcement(url: str) -> Callable[[View, Sequence[StoppedInput]], None]:
    """Return what announces which inputs of a partition at work are stopped; none, when all go on again."""

    def announce(view: View, inputs: Sequence[StoppedInput]) -> None:
        value = encode_worker(WorkerAnnouncement(url, VERSION, inputs=tuple(stopped_input(one) for one in inputs)))
        view.emit_to_partition("workers", view.partition, str(view.partition), value)

    return announce


def _on_round(_partition: int, records: int, seconds: float) -> None:
    ROUNDS.observe(seconds)
    ROUND_RECORDS.observe(records)


class LedgerHealth:
    """UP only if the tables are recovered and every assigned partition is at work (protocol 12)."""

    def __init__(self, app: EngineApp, coordinator: int) -> None:
        self._app = app
        self._coordinator = coordinator

    async def services(self) -> dict[str, bool]:
        """Return whether the tables are recovered (`datastore`), and whether this worker is in the group (`broker`)."""
        if self._coordinator not in self._app.ready_partitions:
            show_nothing()
        return {"datastore": self._app.is_ready, "broker": bool(self._app.consumer.assignment()) or self._app.is_ready}

    def stopped(self) -> list[StoppedPart]:
        """Return the stopped partitions and inputs of this worker."""
        partitions = [StoppedPart(number, one.code) for number, one in sorted(self._app.stopped_partitions.items())]
        inputs = sorted(self._app.stopped_inputs.items())
        return partitions + [StoppedPart(number, one.stop.code, topic) for (topic, number), one in inputs]


async def run_ledger(settings: Settings) -> None:
    """Run a ledger worker until SIGTERM or SIGINT.

    Raises:
        FeesFileError: the file of interchange fees cannot be used.
        RoleFailedError: a partition failed; the supervisor starts the role again, and it recovers.
        UnknownLevelError: the scheme's feature level is of a later release.
        StoredFormatError: an earlier release wrote the tables, in rows that this release cannot read.
    """
    stop = stop_event()
    participants = ParticipantsView(settings)
    await participants.start()
    context = LedgerContext.of(settings, participants, load_fee_rules(settings.interchange_fees_file))
    clock = BrokerClock()
    load = LoadReporter(settings, "ledger", lambda: app.waiting_since_ms(), clock.now_ms)  # noqa: PLW0108 - made below
    archive = ArchivedView(settings) if settings.archiving else None
    announcer = ProcessAnnouncer(settings, "ledger", participants, clock)
    recoveries = RecoveriesView(settings)
    config = ledger_config(settings, context, load.note, archive, clock)
    app = EngineApp(replace(config, is_accepted=recoveries.is_accepted))

    health = LedgerHealth(app, coordinator_of(settings))
    listener = Listener(build_ledger_app(StoreRows(app), health), settings.bind_host, settings.ledger_port)
    app.finalize()
    try:
        if archive is not None:
            await archive.start()
        await recoveries.start()
        await announcer.start()
        await app.start()
        REGISTRY.register(LedgerCollector(app, [settings.topic(one.topic) for one in app.engine_config.inputs]))
        REGISTRY.register(RelayCollector(app, system_now_ms))
        await load.start()
        await listener.start()
        await until_stopped(stop, app.failed, announcer.failed)
    except RoleFailedError:
        if isinstance(app.failure, StoredFormatError):
            raise app.failure from None
        raise
    finally:
        log.info("stopping")
        await load.stop()
        await announcer.stop()
        await app.stop()
        await listener.stop()
        await participants.stop()
        if archive is not None:
            await archive.stop()
        await recoveries.stop()
