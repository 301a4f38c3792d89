"""Finds the messages that were sent and not received at the cut: on the receivers' topics, or still in the outbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.copies import CopyError
from clearinghub.copies.cut import Round, numbers_between
from clearinghub.engine.hops import TO_HEADER, hop_in
from clearinghub.kafka.access import kafka_access
from clearinghub.messages import AnyMessage, MalformedMessageError, decode

OUTBOX: Final = "outbox"
FETCH_TIMEOUT_MS: Final = 200
RELAYED_WITHIN_S: Final = 3.0  # then what is not on the receiver's topic is looked for in the outbox
FOUND_WITHIN_S: Final = 30.0  # the broker ends a transaction in one log after the other, some perhaps late


def decode_copied(value: bytes) -> tuple[AnyMessage, bytes]:
    """Return a message between partitions, and its body.

    Raises:
        CopyError: it is of a later release.
    """
    try:
        return decode(value)
    except MalformedMessageError as error:
        raise CopyError(
            f"a message between partitions is of a later release ({error}): copy and restore with that release"
        ) from error


class MessageInFlight(NamedTuple):
    """A message between two partitions, or of a partition to itself; `number` counts those from sender to receiver."""

    sender: int
    receiver: int
    topic: str
    number: int
    key: bytes
    value: bytes


class SoughtMessages:
    """The messages that are to be found, and those that were."""

    def __init__(self, cut: Mapping[int, Round]) -> None:
        self._missing = {channel: set(numbers) for channel, numbers in numbers_between(cut).items()}
        self._found: list[MessageInFlight] = []

    def missing(self) -> list[tuple[int, int, str]]:
        """Return from where to where messages are missing, and on which topic."""
        return [channel for channel, numbers in self._missing.items() if numbers]

    def describe(self) -> str:
        sender, receiver, topic = self.missing()[0]
        return f"message {min(self._missing[sender, receiver, topic])} from partition {sender} to {receiver} on {topic}"

    def take(self, topic: str, receiver: int, record: Any) -> None:
        """Take a record if it is sought and not found yet."""
        hop = hop_in(record.headers)
        if hop is None:
            return
        numbers = self._missing.get((hop.sender, receiver, topic))
        if numbers is not None and hop.sequence in numbers:
            numbers.discard(hop.sequence)
            self._found.append(MessageInFlight(hop.sender, receiver, topic, hop.sequence, record.key, record.value))

    def take_from_outbox(self, record: Any) -> None:
        """Take a record of the outbox, which says where it is to go."""
        text = next((value for name, value in record.headers if name == TO_HEADER), b"/-1").decode()
        topic, _, receiver = text.rpartition("/")
        self.take(topic, int(receiver), record)

    def in_order(self) -> list[MessageInFlight]:
        """Return what was found, in the order in which each receiver is to get it."""
        return sorted(self._found, key=lambda one: (one.receiver, one.topic, one.sender, one.number))


async def messages_in_flight(settings: Settings, cut: Mapping[int, Round]) -> list[MessageInFlight]:
    """Return the messages between the partitions at the cut, in the order in which they are to be received.

    Raises:
        CopyError: one is nowhere to be found.
    """
    sought = SoughtMessages(cut)
    if not sought.missing():
        return []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_TIMEOUT_MS,
        **kafka_access(settings),
    )
    await consumer.start()
    try:
        deadline_s = time.monotonic() + FOUND_WITHIN_S
        while sought.missing() and time.monotonic() < deadline_s:
            await _look_at_inputs(settings, consumer, cut, sought)
            await _look_into_outbox(settings, consumer, sought)
    finally:
        await consumer.stop()
    if sought.missing():
        raise CopyError(
            f"{sought.describe()} was sent, not received, and is neither on its topic nor in the outbox: the topics "
            "have lost records. Nothing was copied; see docs/recovery.md"
        )
    return sought.in_order()


async def _look_at_inputs(
    settings: Settings, consumer: AIOKafkaConsumer, cut: Mapping[int, Round], sought: SoughtMessages
) -> None:
    places = {
        TopicPartition(settings.topic(topic), receiver): (topic, receiver) for _, receiver, topic in sought.missing()
    }
    firsts = await consumer.beginning_offsets(list(places))
    consumer.assign(list(places))
    for place, (topic, receiver) in places.items():
        consumer.seek(place, max(firsts[place], cut[receiver].decided.get(topic, 0)))
    deadline_s = time.monotonic() + RELAYED_WITHIN_S
    while sought.missing() and time.monotonic() < deadline_s:
        ends = await consumer.end_offsets(list(places))
        await _read(
            consumer, ends, lambda record: sought.take(*places[TopicPartition(record.topic, record.partition)], record)
        )


async def _look_into_outbox(settings: Settings, consumer: AIOKafkaConsumer, sought: SoughtMessages) -> None:
    senders = {sender for sender, receiver, _ in sought.missing() if sender != receiver}
    if not senders:
        return
    places = [TopicPartition(settings.topic(OUTBOX), sender) for sender in sorted(senders)]
    firsts = await consumer.beginning_offsets(places)
    ends = await consumer.end_offsets(places)
    consumer.assign(places)
    for place in places:
        consumer.seek(place, firsts[place])
    await _read(consumer, ends, sought.take_from_outbox)


async def _read(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], take: Callable[[Any], None]) -> None:
    while True:
        fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)
        for records in fetched.values():
            for record in records:
                take(record)
        positions = [(await consumer.position(place), end) for place, end in ends.items()]
        if all(position >= end for position, end in positions):
            return
