"""One partition without a broker: its producer and its stores are in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from clearinghub.engine.batch import Batch
from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.exchange import Outlets
from clearinghub.engine.holdback import Logs
from clearinghub.engine.offsets import PartitionOffsets, PartitionPlace
from clearinghub.engine.partition import Partition
from clearinghub.engine.record import OFFSETS, TableSpec
from clearinghub.engine.relay import Relay
from clearinghub.engine.store import TableChanges
from clearinghub.engine.transaction import Outgoing
from tests.engine.toy import BALANCES, toy_config

EPOCH = 1


class Consumed(NamedTuple):
    """A record as the consumer returns it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class RoundProducer:
    """Keeps what each round has sent."""

    rounds: list[list[Outgoing]] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)  # cleared, the broker does not answer
    swallows: bool = False  # a cancellation, as a client does that is being stopped

    def __post_init__(self) -> None:
        self.answers.set()

    async def commit(self, outgoing: Iterable[Outgoing], _foreseen: object) -> dict[tuple[str, int], int]:
        self.rounds.append(list(outgoing))
        while not self.answers.is_set():
            try:
                await self.answers.wait()
            except asyncio.CancelledError:
                if not self.swallows:
                    raise
        return {(topic, partition): 0 for topic, partition, *_rest in self.rounds[-1]}

    async def stop(self) -> None: ...

    def sent(self, topic: str) -> list[bytes]:
        """Return the keys of the records sent to a topic, over all rounds."""
        return [key for one in self.rounds for to, _partition, key, *_rest in one if to == topic]


@dataclass
class RowStore:
    """The rows of one table."""

    rows: dict[bytes, bytes | None] = field(default_factory=dict)

    def row(self, _partition: int, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def apply(self, _spec: TableSpec[Any], _partition: int, changes: TableChanges, _offset: int) -> None:
        self.rows |= changes.rows


def offsets_at(next_offsets: dict[str, int]) -> PartitionOffsets:
    """Return the offsets of partition 0 with empty changelogs, and inputs without markers."""
    place = PartitionPlace(next_offsets, {}, {}, {"balances": 0, "offsets": 0})
    return PartitionOffsets(0, place, lambda _topic, _number, offset: offset)


class OnePartition:
    """Partition 0 with the given inputs, at offset 0 of each. A second one on the same stores is its restart."""

    def __init__(
        self,
        folder: Path,
        inputs: Sequence[Input],
        stores: dict[str, RowStore] | None = None,
        logs: Logs | None = None,
        **config: Any,
    ) -> None:
        self.producer = RoundProducer()
        self.stores = stores or {one: RowStore() for one in ("balances", "offsets")}
        self.failures: list[BaseException] = []
        self.config: EngineConfig = replace(
            toy_config("none", "t-", folder), tables=(BALANCES,), inputs=tuple(inputs), **config
        )
        self._logs: dict[str, int] = {one.topic: 0 for one in inputs}
        self.partition = Partition(
            self.config,
            0,
            EPOCH,
            Outlets(self.producer, Relay(self.config)),  # type: ignore[arg-type]
            self.stores,  # type: ignore[arg-type]
            offsets_at({one.topic: 0 for one in inputs} | self.decided()),
            self.failures.append,
            logs,
        )

    def put(self, topic: str, values: Sequence[bytes], timestamp_ms: int = 1, first: int | None = None) -> None:
        """Put records into the inbox, as one fetch; the first has the offset after the last one, or `first`."""
        begin = self._logs[topic] if first is None else first
        records: list[Any] = [
            Consumed(begin + number, timestamp_ms, b"key", value) for number, value in enumerate(values)
        ]
        self._logs[topic] = begin + len(records)
        self.partition.accept(topic, Batch(topic, 0, EPOCH, begin, begin + len(records), records))

    def decided(self) -> dict[str, int]:
        """Return how far the inputs are decided."""
        data = self.stores["offsets"].rows.get(b"inputs")
        return {} if data is None else dict(OFFSETS.decode(data).next_offsets)

    async def run_until(self, decided: dict[str, int], within_s: float = 30.0) -> None:
        """Start if need be, and run until the inputs are decided so far."""
        self.partition.start()
        await self.until(decided, within_s)

    async def until(self, decided: dict[str, int], within_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not self.failures and not self.decided().items() >= decided.items() and time.monotonic() < deadline_s:
            await asyncio.sleep(0.001)
        assert [] == self.failures
        assert self.decided().items() >= decided.items(), f"decided {self.decided()}, not {decided}"

    async def settle(self, seconds: float = 0.1) -> None:
        """Let the partition do what it still will do of its own accord."""
        await asyncio.sleep(seconds)
        assert [] == self.failures
