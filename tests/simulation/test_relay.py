"""The relay on the simulated bus: what a crash, a lost answer, a full memory or a lost outbox does to messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaTimeoutError

from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.destination import MEMORY_BYTES_MAX, Records
from clearinghub.engine.environment import Environment
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.hops import Hops, HopsRow, hop_in
from clearinghub.engine.outbox import OUTBOX, Outbox, OutgoingMessage
from clearinghub.engine.relay import Relay, Waiting
from tests.simulation.bus import Bus, Entry
from tests.simulation.clients import ConsumerClient
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.swarm import Swarm

TOPIC: Final = "credit"
KEY: Final = b"payee"
PARTITIONS: Final = 3
LONG_S: Final = 30.0


class Writer:
    """A sender with a switch: partitions in `down` take nothing, and answers in `lost` are lost."""

    def __init__(self, bus: Bus) -> None:
        self.down: set[int] = set()
        self.lost = 0
        self.batches: list[tuple[int, int]] = []  # partition, number of records
        self._bus = bus

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, topic: str, partition: int, records: Records, _timestamp_ms: int) -> None:
        await asyncio.sleep(0.001)
        if partition in self.down:
            raise KafkaTimeoutError
        self.batches.append((partition, len(records)))
        for key, value, headers in records:
            self._bus.append(topic, partition, key, value, headers)
        if self.lost:
            self.lost -= 1
            raise KafkaTimeoutError


class Sender:
    """Partition 0: it commits rounds that do nothing but send messages."""

    def __init__(self, bus: Bus, writer: Writer) -> None:
        process = Process("worker")
        self.bus = bus
        self.failures: list[BaseException] = []
        self.decided: set[str] = set()  # the stops past which an operator lets it go on
        self.rows: dict[int, HopsRow] = {}
        self.hops = Hops(0, {})
        self.relay = Relay(
            EngineConfig(
                application_id="app",
                bootstrap="",
                partitions=PARTITIONS,
                inputs=(Input(TOPIC, lambda _record, _view: None),),
                tables=(),
                output_partitions={},
                dead_letter_topic="dead",
                is_accepted=lambda _partition, stop: stop.stop_id in self.decided,
                data_dir=Path("none"),
                environment=Environment(
                    wall_s=process.wall_s,
                    steady_s=asyncio.get_running_loop().time,
                    make_consumer=lambda **settings: ConsumerClient(bus, process, settings),
                    make_sender=lambda **_settings: writer,
                ),
            )
        )
        self.outbox = self._open()

    def _open(self) -> Outbox:
        return self.relay.open(0, self.rows, self.failures.append)

    def write(self, *messages: tuple[int, bytes]) -> list[OutgoingMessage]:
        """Commit a round with these messages, each a receiver and a value, and pass nothing on."""
        sent = [
            OutgoingMessage(TOPIC, receiver, KEY, value, self.hops.number(TOPIC, receiver, KEY, value))
            for receiver, value in messages
        ]
        self.note()
        for one in sent:
            self.bus.append(OUTBOX, 0, one.key, one.value, one.headers())
        return sent

    def commit(self, *messages: tuple[int, bytes]) -> None:
        """Commit a round with these messages, and pass them on."""
        sent = self.write(*messages)
        self.outbox.pass_on(sent, len(self.bus.logs[OUTBOX, 0].entries) - 1, 0)

    def note(self) -> None:
        """Write the rows, as a later round does."""
        self.rows |= dict(self.hops.take_changed(self.outbox.stale, self.outbox.passed_on))

    async def take_over(self) -> None:
        """End this owner of the partition, and begin as the next one from the rows."""
        await self.outbox.close()
        self.hops = Hops(0, self.rows)
        self.outbox = self._open()


def on_a_bus(check: Callable[[Bus, Writer, Sender], Awaitable[None]]) -> None:
    async def run() -> None:
        bus = Bus(Swarm(0, Counter()), Counter())
        for topic in (TOPIC, OUTBOX):
            bus.create(topic, PARTITIONS, has_arrival_times=False)
        writer = Writer(bus)
        await check(bus, writer, Sender(bus, writer))

    loop = SimulatedLoop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def received(
    bus: Bus, partition: int, is_accepted: Callable[[PartitionStoppedError], bool] = lambda _stop: False
) -> list[bytes]:
    """Return what a receiver decides: each message once, in order, or it raises."""
    hops = Hops(partition, {}, is_accepted)
    values = []
    entries: Sequence[Entry] = bus.logs[TOPIC, partition].entries
    for entry in entries:
        hop = hop_in(entry.headers)
        assert hop is not None
        if hops.is_new(TOPIC, hop, entry.key or b"", entry.value or b""):
            hops.count(TOPIC, hop)
            values.append(entry.value or b"")
    return values


def test_messages_of_a_round_go_to_each_receiver_in_one_batch() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        sender.commit((1, b"a"), (2, b"b"), (1, b"c"))
        await asyncio.sleep(1)

        assert ([b"a", b"c"], [b"b"]) == (received(bus, 1), received(bus, 2))
        assert [(1, 2), (2, 1)] == sorted(writer.batches)
        assert {} == sender.relay.waiting()

    on_a_bus(check)


def test_a_receiver_that_takes_nothing_delays_only_itself() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.down = {1}
        sender.commit((1, b"a"), (2, b"b"))
        await asyncio.sleep(LONG_S)

        assert ([], [b"b"]) == (received(bus, 1), received(bus, 2))
        assert {1: Waiting(1, len(KEY) + 1 + 100, 0)} == sender.relay.waiting()
        writer.down = set()
        await asyncio.sleep(2)
        assert [b"a"] == received(bus, 1)

    on_a_bus(check)


def test_a_lost_answer_doubles_a_message_in_the_log_and_nowhere_else() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.lost = 1
        sender.commit((1, b"a"))
        await asyncio.sleep(1)

        assert 2 == len(bus.logs[TOPIC, 1].entries)
        assert [b"a"] == received(bus, 1)

    on_a_bus(check)


def test_the_next_owner_passes_on_what_was_committed_and_not_passed_on() -> None:
    async def check(bus: Bus, _writer: Writer, sender: Sender) -> None:
        sender.commit((1, b"a"))
        await asyncio.sleep(1)
        sender.write((1, b"b"), (2, b"c"))  # the process dies here
        await sender.take_over()
        sender.commit((1, b"d"))
        await asyncio.sleep(5)

        assert ([b"a", b"b", b"d"], [b"c"]) == (received(bus, 1), received(bus, 2))
        assert [] == sender.failures

    on_a_bus(check)


def test_of_what_an_earlier_owner_has_left_nothing_is_sent() -> None:
    """A part of it, between messages of others, would be a gap for the receiver."""

    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        other = Sender(bus, writer)
        other.relay = sender.relay
        other.hops = Hops(2, {})
        other.outbox = sender.relay.open(2, {}, other.failures.append)
        writer.down = {1}
        sender.commit((1, b"a"))
        await asyncio.sleep(0.5)
        sender.commit((1, b"b"))
        sent = OutgoingMessage(TOPIC, 1, KEY, b"other", other.hops.number(TOPIC, 1, KEY, b"other"))
        other.outbox.pass_on([sent], 0, 0)
        sender.commit((1, b"c"))
        await sender.outbox.close()
        writer.down = set()
        await asyncio.sleep(LONG_S)

        assert [b"other"] == received(bus, 1)
        await sender.take_over()
        await asyncio.sleep(5)
        assert [b"other", b"a", b"b", b"c"] == received(bus, 1)

    on_a_bus(check)


def test_what_exceeds_the_memory_is_read_again_from_the_outbox() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.down = {1}
        values = [b"%d" % number + b"x" * (MEMORY_BYTES_MAX // 4) for number in range(20)]
        for value in values:
            sender.commit((1, value), (2, b"small"))
        await asyncio.sleep(1)
        waiting = sender.relay.waiting()[1]
        assert len(values) == waiting.messages
        assert waiting.bytes <= MEMORY_BYTES_MAX
        assert len(values) == len(received(bus, 2)), "the other receiver has all of its own"
        writer.down = set()
        await asyncio.sleep(LONG_S)

        assert values == received(bus, 1)
        sender.commit((1, b"last"))
        await asyncio.sleep(5)
        assert [*values, b"last"] == received(bus, 1)
        assert {} == sender.relay.waiting()

    on_a_bus(check)


def test_rows_never_say_more_than_is_confirmed() -> None:
    async def check(_bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.down = {1}
        sender.commit((1, b"a"), (2, b"b"))
        await asyncio.sleep(1)
        sender.commit((1, b"c"), (2, b"d"))
        assert (0, 0) == (sender.rows[1].sent[TOPIC].confirmed, sender.rows[1].sent[TOPIC].outbox_offset)
        assert (1, 2) == (sender.rows[2].sent[TOPIC].confirmed, sender.rows[2].sent[TOPIC].outbox_offset)
        await asyncio.sleep(1)
        sender.note()

        assert 0 == sender.rows[1].sent[TOPIC].confirmed
        assert 2 == sender.rows[2].sent[TOPIC].confirmed

    on_a_bus(check)


def test_an_outbox_that_lost_its_beginning_stops_the_partition() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.down = {1}
        sender.commit((1, b"a"))
        sender.commit((1, b"b"))
        bus.logs[OUTBOX, 0].first = 1
        await sender.take_over()
        writer.down = set()
        await asyncio.sleep(LONG_S)

        (failure,) = sender.failures
        assert isinstance(failure, PartitionStoppedError)
        assert "outbox-lost" == failure.code
        assert "messages 1 to 1 for topic credit of partition 1" in failure.sentence
        assert [] == received(bus, 1)

    on_a_bus(check)


def test_an_outbox_that_lost_its_end_stops_the_partition() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.down = {1}
        sender.commit((1, b"a"))
        sender.commit((1, b"b"))
        del bus.logs[OUTBOX, 0].entries[1:]
        await sender.take_over()
        writer.down = set()
        await asyncio.sleep(LONG_S)

        (failure,) = sender.failures
        assert isinstance(failure, PartitionStoppedError)
        assert "messages 2 to 2 for topic credit of partition 1" in failure.sentence

    on_a_bus(check)


def test_an_operator_lets_it_go_on_at_the_outboxs_beginning_and_the_receiver_sees_the_gap() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.down = {1}
        sender.commit((1, b"a"))
        sender.commit((1, b"b"))
        bus.logs[OUTBOX, 0].first = 1
        await sender.take_over()
        writer.down = set()
        await asyncio.sleep(LONG_S)
        sender.decided = {stop.stop_id for stop in sender.failures if isinstance(stop, PartitionStoppedError)}
        await sender.take_over()
        sender.commit((1, b"c"))
        await asyncio.sleep(LONG_S)

        gaps: list[str] = []

        def accepts(stop: PartitionStoppedError) -> bool:
            gaps.append(stop.code)
            return True

        assert 1 == len(sender.failures)
        assert [b"b", b"c"] == received(bus, 1, accepts)
        assert ["hop-gap"] == gaps
        sender.note()
        assert 3 == sender.rows[1].sent[TOPIC].confirmed

    on_a_bus(check)


def test_an_operator_lets_it_go_on_after_a_lost_end() -> None:
    async def check(bus: Bus, writer: Writer, sender: Sender) -> None:
        writer.down = {1}
        sender.commit((1, b"a"))
        sender.commit((1, b"b"))
        bus.append(OUTBOX, 0, b"in the place of b", b"")
        del bus.logs[OUTBOX, 0].entries[1]
        await sender.take_over()
        writer.down = set()
        await asyncio.sleep(LONG_S)
        sender.decided = {stop.stop_id for stop in sender.failures if isinstance(stop, PartitionStoppedError)}
        await sender.take_over()
        await asyncio.sleep(LONG_S)
        sender.note()
        assert 2 == sender.rows[1].sent[TOPIC].confirmed, "else it would stop again when the next owner reads"
        sender.commit((1, b"c"))
        await asyncio.sleep(LONG_S)

        assert 1 == len(sender.failures)
        assert [b"a", b"c"] == received(bus, 1, lambda stop: stop.code == "hop-gap")

    on_a_bus(check)


def test_an_outbox_without_what_is_passed_on_long_ago_is_no_loss() -> None:
    async def check(bus: Bus, _writer: Writer, sender: Sender) -> None:
        sender.commit((1, b"a"))
        await asyncio.sleep(1)
        sender.note()
        bus.logs[OUTBOX, 0].first = 1
        await sender.take_over()
        sender.commit((1, b"b"))
        await asyncio.sleep(LONG_S)

        assert [b"a", b"b"] == received(bus, 1)
        assert [] == sender.failures

    on_a_bus(check)
