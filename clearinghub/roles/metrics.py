"""Metrics of the ledger that are gauges: the backlog of its inputs, and the settlement windows by state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, Protocol

from faust.types import TP
from prometheus_client import Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clearinghub.domain.settlement.settlement import SettlementState
from clearinghub.domain.settlement.window import WindowState
from clearinghub.engine.relay import Relay

WINDOWS = Gauge("clearinghub_settlement_windows", "Settlement windows in the coordinator's table", ["state"])
SETTLEMENTS = Gauge("clearinghub_settlements", "Settlements in the coordinator's table", ["state"])
ALARMS: Final = Counter("clearinghub_alarms_total", "Events on topic events that an operator must look at", ["event"])
_GAUGES: Final = {"window": (WINDOWS, WindowState), "settlement": (SETTLEMENTS, SettlementState)}


class _Consumer(Protocol):
    def backlog(self) -> Mapping[TP, int]: ...


class _Stopped(Protocol):
    @property
    def code(self) -> str: ...


class _Engine(Protocol):
    @property
    def consumer(self) -> _Consumer: ...

    @property
    def ready_partitions(self) -> set[int]: ...

    @property
    def stopped_partitions(self) -> Mapping[int, _Stopped]: ...

    @property
    def stopped_inputs(self) -> Collection[tuple[str, int]]: ...

    def assigned_partitions(self) -> set[int]: ...


class LedgerCollector(Collector):
    """Counts what waits in an engine, each time that Prometheus scrapes: only partitions that it has now are shown."""

    def __init__(self, engine: _Engine, topics: Iterable[str]) -> None:
        """`topics` are the engine's inputs, by their names on the broker."""
        self._engine = engine
        self._topics = tuple(topics)

    def collect(self) -> Iterator[Metric]:
        """Yield the backlog of each input of an assigned partition, 0 if it is empty, and the number of partitions."""
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
        stopped = GaugeMetricFamily(
            "clearinghub_ledger_partition_stopped",
            "1 for each partition that waits for an operator's decision, with the reason's code",
            labels=["partition", "code"],
        )
        for number, reason in self._engine.stopped_partitions.items():
            stopped.add_metric([str(number), reason.code], 1)
        yield stopped
        inputs = GaugeMetricFamily(
            "clearinghub_ledger_input_stopped",
            "1 for each input that has stopped before a record that may not be dead-lettered",
            labels=["topic", "partition"],
        )
        for topic, number in self._engine.stopped_inputs:
            inputs.add_metric([topic, str(number)], 1)
        yield inputs


class _RelayingEngine(Protocol):
    @property
    def relay(self) -> Relay: ...

    def round_running_s(self) -> Mapping[int, float]: ...


class RelayCollector(Collector):
    """Shows what waits to be passed on to other partitions, and rounds that hang."""

    def __init__(self, engine: _RelayingEngine, now_ms: Callable[[], int]) -> None:
        """`now_ms` returns milliseconds since 1970."""
        self._engine = engine
        self._now_ms = now_ms

    def collect(self) -> Iterator[Metric]:
        """Yield, by receiving partition, messages, bytes and the oldest one's age; and each partition's round."""
        labels = ["partition"]
        messages = GaugeMetricFamily(
            "clearinghub_relay_waiting_messages", "Committed messages that are not passed on yet", labels=labels
        )
        size = GaugeMetricFamily("clearinghub_relay_waiting_bytes", "Those in memory, in bytes", labels=labels)
        age = GaugeMetricFamily("clearinghub_relay_waiting_seconds", "The age of the oldest in memory", labels=labels)
        for number, waiting in self._engine.relay.waiting().items():
            messages.add_metric([str(number)], waiting.messages)
            size.add_metric([str(number)], waiting.bytes)
            age_ms = 0 if waiting.since_ms is None else max(0, self._now_ms() - waiting.since_ms)
            age.add_metric([str(number)], age_ms / 1000)
        rounds = GaugeMetricFamily(
            "clearinghub_round_running_seconds", "How long the round under way has been running", labels=labels
        )
        for number, seconds in self._engine.round_running_s().items():
            rounds.add_metric([str(number)], seconds)
        yield from (messages, size, age, rounds)


def show_states(kind: str, states: Mapping[str, int]) -> None:
    """Set the gauges of all windows (`window`) or settlements (`settlement`); a state not in `states` is shown as 0."""
    gauge, known = _GAUGES[kind]
    for state in known:
        gauge.labels(state.value).set(states.get(state.value, 0))


def show_nothing() -> None:
    """Remove the gauges of windows and settlements: another worker has the coordinator's partition."""
    WINDOWS.clear()
    SETTLEMENTS.clear()
