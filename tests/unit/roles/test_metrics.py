"""What a ledger worker shows of its backlog: the current one, and only that of its own partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faust.types import TP
from prometheus_client import CollectorRegistry

from clearinghub.engine.relay import Waiting
from clearinghub.engine.status import StoppedPartition
from clearinghub.roles.metrics import LedgerCollector, RelayCollector


@dataclass
class Consumer:
    """A consumer with a backlog."""

    waiting: dict[TP, int] = field(default_factory=dict)

    def backlog(self) -> Mapping[TP, int]:
        return self.waiting


@dataclass
class Worker:
    """An engine with certain partitions at work."""

    ready_partitions: set[int]
    consumer: Consumer = field(default_factory=Consumer)
    stopped_partitions: dict[int, StoppedPartition] = field(default_factory=dict)
    stopped_inputs: set[tuple[str, int]] = field(default_factory=set)

    def assigned_partitions(self) -> set[int]:
        return self.ready_partitions


def shown(worker: Worker) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(LedgerCollector(worker, ["x-prepare", "x-fulfil"]))
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return {sample.labels.get("topic", sample.name): sample.value for sample in samples}


def test_a_backlog_that_was_decided_is_zero_again() -> None:
    worker = Worker({0})
    worker.consumer.waiting[TP("x-prepare", 0)] = 7
    assert {"x-prepare-0": 7, "x-fulfil-0": 0, "clearinghub_ledger_partitions": 1} == shown(worker)

    worker.consumer.waiting.clear()

    assert {"x-prepare-0": 0, "x-fulfil-0": 0, "clearinghub_ledger_partitions": 1} == shown(worker)


def test_a_partition_that_left_is_not_shown() -> None:
    worker = Worker({0, 1})
    worker.consumer.waiting[TP("x-prepare", 1)] = 7
    assert 7 == shown(worker)["x-prepare-1"]

    worker.ready_partitions = {0}

    assert {"x-prepare-0", "x-fulfil-0", "clearinghub_ledger_partitions"} == set(shown(worker))


def test_a_stopped_partition_is_shown_with_its_code_until_it_works_again() -> None:
    worker = Worker({0})
    worker.stopped_partitions[1] = StoppedPartition("input-lost", "prepare/1 lacks offsets 5 to 7", "recover", 1)
    registry = CollectorRegistry()
    registry.register(LedgerCollector(worker, []))
    labels = {"partition": "1", "code": "input-lost"}
    assert 1 == registry.get_sample_value("clearinghub_ledger_partition_stopped", labels)

    worker.stopped_partitions.clear()

    assert registry.get_sample_value("clearinghub_ledger_partition_stopped", labels) is None


def test_a_stopped_input_is_shown_with_its_topic_and_partition() -> None:
    worker = Worker({0, 3}, stopped_inputs={("credit", 3)})
    registry = CollectorRegistry()
    registry.register(LedgerCollector(worker, []))

    assert 1 == registry.get_sample_value("clearinghub_ledger_input_stopped", {"topic": "credit", "partition": "3"})


class _WaitingRelay:
    """A relay for which a message waits."""

    def waiting(self) -> dict[int, Waiting]:
        return {2: Waiting(3, 900, 1_000)}


@dataclass
class _RelayingWorker:
    relay: Any = field(default_factory=_WaitingRelay)

    def round_running_s(self) -> dict[int, float]:
        return {0: 7.5}


def test_what_waits_to_be_passed_on_and_a_round_that_hangs_are_shown() -> None:
    registry = CollectorRegistry()
    registry.register(RelayCollector(_RelayingWorker(), lambda: 5_000))
    names = ("relay_waiting_messages", "relay_waiting_bytes", "relay_waiting_seconds")

    assert [3, 900, 4] == [registry.get_sample_value(f"clearinghub_{one}", {"partition": "2"}) for one in names]
    assert 7.5 == registry.get_sample_value("clearinghub_round_running_seconds", {"partition": "0"})
