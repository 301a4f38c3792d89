"""How an engine is set up: its inputs with their handlers, its tables, its bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clearinghub.engine.environment import REAL, Environment
from clearinghub.engine.record import OFFSETS, Handler, Punctuator, TableSpec

HEAVY_BACKLOG_RECORDS_MAX: Final = 8  # each may have 5 MiB (protocol 1.1)


@dataclass(frozen=True, slots=True)
class Input:
    """An input topic and what decides its records. Inputs are taken in the order in which they are listed.

    `is_heavy`: one record may be as large, and as much work, as hundreds of others. Few are fetched ahead; a round
    takes one, and more only while it has little to send.
    """

    topic: str
    handler: Handler
    is_heavy: bool = False


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything an engine needs to know; it reads no environment.

    `output_partitions` gives each output topic's partition count. `topic_prefix` stands before every name on the
    broker. `on_batch` hears of each batch taken (topic, partition, seconds since its first record was written),
    `on_round` after each round (partition, records, seconds), `on_dead_letter` after each poison record.
    """

    application_id: str
    bootstrap: str
    partitions: int
    inputs: tuple[Input, ...]
    tables: tuple[TableSpec[Any], ...]
    output_partitions: Mapping[str, int]
    dead_letter_topic: str
    data_dir: Path
    access: Mapping[str, Any] = field(default_factory=dict)  # how clients reach the broker: their keyword arguments
    topic_prefix: str = ""
    instance: str = "0"
    worker_url: str = "http://127.0.0.1:4002"
    round_records_max: int = 500
    round_interval_ms: int = 10
    backlog_records_max: int = 2_000
    session_timeout_ms: int = 10_000
    standby_replicas: int = 0
    on_open: Punctuator | None = None  # runs in a partition's first round, in its transaction
    punctuators: tuple[Punctuator, ...] = ()
    punctuate_interval_ms: int = 1_000
    on_round: Callable[[int, int, float], None] = field(default=lambda _partition, _records, _seconds: None)
    on_batch: Callable[[str, int, float], None] = field(default=lambda _topic, _partition, _age_s: None)
    on_poison_record: Handler | None = (
        None  # what to say about a record whose handler raised; its changes are forgotten
    )
    on_dead_letter: Callable[[str], None] = field(default=lambda _topic: None)
    environment: Environment = REAL

    def backlog_max(self, broker_topic: str) -> int:
        """How many fetched records of an input may wait on a partition before no more are fetched for it."""
        is_heavy = any(one.is_heavy and self.topic_prefix + one.topic == broker_topic for one in self.inputs)
        return min(HEAVY_BACKLOG_RECORDS_MAX, self.backlog_records_max) if is_heavy else self.backlog_records_max

    @property
    def all_tables(self) -> tuple[TableSpec[Any], ...]:
        """The tables, with the engine's own; none for an app that keeps none."""
        return (*self.tables, OFFSETS) if self.tables else ()

    def changelog(self, table: str) -> str:
        """The broker's name of a table's changelog."""
        return f"{self.application_id}-{table}-changelog"

    def transactional_id(self, partition: int) -> str:
        """One per partition, the same for whoever owns it: that is what fences the one before."""
        return f"{self.application_id}-{partition}"
