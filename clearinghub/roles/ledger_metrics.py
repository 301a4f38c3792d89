"""What waits in a ledger worker, counted when Prometheus asks: no series outlives its partition or its backlog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from faust.types import TP
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class _Consumer(Protocol):
    def backlog(self) -> Mapping[TP, int]: ...


class _Engine(Protocol):
    @property
    def consumer(self) -> _Consumer: ...

    @property
    def ready_partitions(self) -> set[int]: ...

    def assigned_partitions(self) -> set[int]: ...


class LedgerCollector(Collector):
    """The gauges of one engine. `topics` are its inputs, by the broker's names."""

    def __init__(self, engine: _Engine, topics: Iterable[str]) -> None:
        self._engine = engine
        self._topics = tuple(topics)

    def collect(self) -> Iterator[Metric]:
        """0 for an input of an assigned partition that nothing waits of."""
        backlog = GaugeMetricFamily(
            "clearinghub_ledger_backlog", "Fetched records that wait for their round", labels=["topic"]
        )
        waiting = self._engine.consumer.backlog()
        for number in self._engine.assigned_partitions():
            for topic in self._topics:
                backlog.add_metric([f"{topic}-{number}"], waiting.get(TP(topic, number), 0))
        yield backlog
        yield GaugeMetricFamily(
            "clearinghub_ledger_partitions",
            "Partitions at work in this worker",
            value=len(self._engine.ready_partitions),
        )
