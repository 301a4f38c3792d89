"""One partition's exchange of messages with the others: what it receives once, and what it sends with a round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from clearinghub.engine.config import EngineConfig, goes_past
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.hops import HOP_HEADER, HOPS, Hop, Hops, HopsRow, hop_in, hops_key
from clearinghub.engine.outbox import OUTBOX, OutgoingMessage
from clearinghub.engine.pending_changes import PendingChanges
from clearinghub.engine.record import OFFSETS
from clearinghub.engine.relay import Relay
from clearinghub.engine.store import LedgerStore
from clearinghub.engine.transaction import NO_HEADERS, Outgoing, PartitionProducer

# How far the relay has come is written with rounds that send, and so often by itself. What was passed on since then is
# passed on again after a crash.
NOTE_INTERVAL_S: Final = 1.0


class Outlets(NamedTuple):
    """What a partition writes with: transactions of its own, and the worker's relay."""

    producer: PartitionProducer
    relay: Relay


class RoundOutput(NamedTuple):
    """What a round emits: records of its transaction, and those among them that are to be passed on afterwards."""

    records: list[Outgoing]
    messages: list[OutgoingMessage]


class Exchange:
    """Numbers what a partition sends, checks the numbers of what it receives, and hands messages to the relay."""

    def __init__(
        self,
        config: EngineConfig,
        partition: int,
        stores: Mapping[str, LedgerStore],
        relay: Relay,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`on_failure` is called if messages that were not passed on are lost."""
        self._config = config
        self._partition = partition
        self._prefix = config.topic_prefix
        self._inputs = frozenset(one.topic for one in config.inputs)
        self._environment = config.environment
        rows = _read_rows(stores, partition, config.partitions)
        self._hops = Hops(partition, rows, self._is_accepted)
        self._outbox = relay.open(partition, rows, on_failure)
        self._noted_s = self._environment.steady_s()

    def _is_accepted(self, stop: PartitionStoppedError) -> bool:
        return goes_past(self._config, self._partition, stop)

    async def close(self) -> None:
        """Pass nothing more on: the partition has another owner, or soon will."""
        await self._outbox.close()

    def read_hop(self, topic: str, record: Any) -> Hop | None:
        """Return the number that a record of an input has; None if it does not come from a partition.

        Raises:
            PartitionStoppedError: the number cannot be read.
        """
        try:
            return hop_in(record.headers)
        except ValueError:
            raise PartitionStoppedError(
                "hop-unreadable",
                f"The number of the message at {topic}/{self._partition}, offset {record.offset}, cannot be read.",
                f"Look who writes to topic {topic}: only the hub may.",
            ) from None

    def is_repetition(self, topic: str, hop: Hop, record: Any) -> bool:
        """Return whether a message was received before, and is to be dropped.

        Raises:
            PartitionStoppedError: messages before it are lost, or it contradicts what was received.
        """
        return not self._hops.is_new(topic, hop, record.key or b"", record.value or b"")

    def count(self, topic: str, hop: Hop) -> None:
        """Count a message that the round has decided."""
        self._hops.count(topic, hop)

    def take_output(self, pending: PendingChanges) -> RoundOutput:
        """Number what a round has emitted, and put the rows that count it into the round."""
        output = RoundOutput([], [])
        for topic, receiver, key, value in pending.emissions:
            if topic not in self._inputs:
                output.records.append((self._prefix + topic, receiver, key, value, NO_HEADERS))
                continue
            hop = self._hops.number(topic, receiver, key, value)
            if receiver == self._partition:
                headers = [(HOP_HEADER, hop.encode())]
                output.records.append((self._prefix + topic, receiver, key, value, headers))
            else:
                message = OutgoingMessage(topic, receiver, key, value, hop)
                output.messages.append(message)
                output.records.append((self._prefix + OUTBOX, self._partition, key, value, message.headers()))
        self._put_rows(pending)
        return output

    def _put_rows(self, pending: PendingChanges) -> None:
        now_s = self._environment.steady_s()
        is_due = now_s - self._noted_s >= NOTE_INTERVAL_S
        stale = self._outbox.stale if is_due else set()
        for peer, row in self._hops.take_changed(stale, self._passed_on):
            pending.put(HOPS, hops_key(peer), row)
            self._outbox.stale.discard(peer)
        if is_due:
            self._noted_s = now_s
        pending.release()

    def _passed_on(self, topic: str, receiver: int) -> tuple[int, int]:
        if receiver == self._partition:
            return self._hops.last_sent(topic, receiver), 0
        return self._outbox.passed_on(topic, receiver)

    def pass_on(self, messages: list[OutgoingMessage], last_offsets: Mapping[tuple[str, int], int]) -> None:
        """Pass on the messages of a round that has committed; `last_offsets` are those of its transaction."""
        if messages:
            last_offset = last_offsets[self._prefix + OUTBOX, self._partition]
            self._outbox.pass_on(messages, last_offset, self._environment.wall_ms())


def _read_rows(stores: Mapping[str, LedgerStore], partition: int, partitions: int) -> dict[int, HopsRow]:
    rows: dict[int, HopsRow] = {}
    for peer in range(partitions) if OFFSETS.name in stores else ():
        data = stores[OFFSETS.name].row(partition, hops_key(peer).encode())
        if data is not None:
            rows[peer] = HOPS.decode(data)
    return rows
