"""What a ledger worker shows of its backlog: the current one, and only that of its own partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from faust.types import TP
from prometheus_client import CollectorRegistry

from clearinghub.engine.status import StoppedPartition
from clearinghub.roles.metrics import LedgerCollector


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
