"""How an engine is set up: its inputs with their handlers, its tables, its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from clearinghub.engine.environment import REAL, Environment
from clearinghub.engine.errors import PartitionStoppedError, StoppedInput
from clearinghub.engine.record import OFFSETS, Handler, Punctuator, Record, TableSpec, View
from clearinghub.engine.status import StoppedPartition

HEAVY_BACKLOG_RECORDS_MAX: Final = 8  # each may have 5 MiB (protocol 1.1)
ROUND_BYTES_MAX: Final = 8 * 1024 * 1024
BACKLOG_BYTES_MAX: Final = 4 * 1024 * 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Input:
    """An input topic and the handler that decides its records. A round takes inputs in the order of their list.

    One record of a heavy input may be as large, and as much work, as hundreds of other records. Few are fetched ahead.
    A round always takes one, and takes more only while it has little to send.

    A record whose handler raises is dead-lettered, if `may_be_dead_lettered` says so of it. Otherwise its
    input stops on its partition, before that record, until another process, or an operator, decides it (ADR 25).

    In a topic without holes every offset is a record: nobody writes it in transactions, whose markers take offsets too.
    An offset that is missing there is a lost record (ADR 28).

    A record is decided only after all that the inputs `after` had in their logs when it was read (ADR 27).
    """

    topic: str
    handler: Handler
    is_heavy: bool = False
    may_be_dead_lettered: Callable[[Record], bool] = field(default=lambda _record: True)
    after: tuple[str, ...] = ()
    has_no_holes: bool = False


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything an engine needs to know; the engine reads no environment variable."""

    application_id: str
    bootstrap: str
    partitions: int
    inputs: tuple[Input, ...]
    tables: tuple[TableSpec[Any], ...]
    output_partitions: Mapping[str, int]  # output topic -> its number of partitions
    dead_letter_topic: str
    data_dir: Path
    access: Mapping[str, Any] = field(default_factory=dict)  # keyword arguments of Kafka clients: TLS, SASL
    topic_prefix: str = ""  # of every topic's name on the broker
    instance: str = "0"
    worker_url: str = "http://127.0.0.1:4002"
    round_records_max: int = 500
    # A round that has read, written and emitted so many bytes ends after the record that reached the limit.
    round_bytes_max: int = ROUND_BYTES_MAX
    round_interval_ms: int = 10
    # So many records, or bytes, of one input may wait on a partition; then its fetching pauses.
    backlog_records_max: int = 2_000
    backlog_bytes_max: int = BACKLOG_BYTES_MAX
    session_timeout_ms: int = 10_000
    transaction_timeout_ms: int = 10_000
    standby_replicas: int = 0
    # Runs in the first round of a partition that was assigned, in that round's transaction.
    on_open: Punctuator | None = None
    punctuators: tuple[Punctuator, ...] = ()
    punctuate_interval_ms: int = 1_000
    # Is called after each round, with the partition, the number of records, the seconds that the round took.
    on_round: Callable[[int, int, float], None] = field(default=lambda _partition, _records, _seconds: None)
    # Is called for each batch, with the topic, the partition, the age of the batch's first record in seconds.
    on_batch: Callable[[str, int, float], None] = field(default=lambda _topic, _partition, _age_s: None)
    # Answers the sender of a record whose handler raised. The changes of the handler are rolled back before.
    on_poison_record: Handler | None = None
    # Is called after each dead letter, with the topic of the poison record.
    on_dead_letter: Callable[[str], None] = field(default=lambda _topic: None)
    # Returns how many milliseconds this process's clock is ahead of the broker's.
    clock_lead_ms: Callable[[], int] = field(default=lambda: 0)
    # Is called when a partition has failed and will be opened again, with the partition and the error.
    on_partition_failure: Callable[[int, BaseException], None] = field(default=lambda _partition, _error: None)
    # Returns whether an operator has decided that a partition goes on past this very reason to stop.
    is_accepted: Callable[[int, PartitionStoppedError], bool] = field(default=lambda _partition, _stop: False)
    # Says, in a transaction of a partition that has stopped, that it has, and why.
    on_stopped: Callable[[View, StoppedPartition], None] | None = None
    # Says, in the round in which that changes, which inputs of a partition have stopped.
    on_inputs_stopped: Callable[[View, Sequence[StoppedInput]], None] | None = None
    environment: Environment = REAL

    def broker_ms(self) -> int:
        """Return the time by the broker's clock, in milliseconds since 1970: that of the records' times."""
        return self.environment.wall_ms() - self.clock_lead_ms()

    def backlog_max(self, broker_topic: str) -> int:
        """Return how many fetched records of an input may wait on a partition; then its fetching pauses."""
        is_heavy = any(one.is_heavy and self.topic_prefix + one.topic == broker_topic for one in self.inputs)
        return min(HEAVY_BACKLOG_RECORDS_MAX, self.backlog_records_max) if is_heavy else self.backlog_records_max

    @property
    def all_tables(self) -> tuple[TableSpec[Any], ...]:
        """The tables and the engine's own table of offsets; none for an app without tables."""
        return (*self.tables, OFFSETS) if self.tables else ()

    def changelog(self, table: str) -> str:
        """Return the broker's name of a table's changelog."""
        return f"{self.application_id}-{table}-changelog"

    def transactional_id(self, partition: int) -> str:
        """Return the transactional id of a partition: the same for every owner, so that a new owner fences the old."""
        return f"{self.application_id}-{partition}"


def goes_past(config: EngineConfig, partition: int, stop: PartitionStoppedError) -> bool:
    """Return whether an operator has decided that a partition goes on past a stop; the log says so then."""
    if not config.is_accepted(partition, stop):
        return False
    log.warning("partition-recovers", partition=partition, code=stop.code, reason=stop.sentence)
    return True
