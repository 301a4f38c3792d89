"""Numbers the messages between partitions, so that none is lost, doubled or changed on its way unnoticed (design 4).

Each partition counts what it sends to each other one, and what it has received from each, topic by topic. The header
`hop` of a message says who sent it, its number, and its chain: a digest over the chain of the message before it and
its own key and value. So a receiver knows at once whether a message is the next one, a repetition, or a contradiction.

Messages of a partition to itself are numbered too, for who reads the topics: they need no passing on.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.record import row_table
from clearinghub.rows import Row

HOP_HEADER: Final = "hop"
TO_HEADER: Final = "to"  # in the outbox: the topic and the partition that the message is for
# A receiver compares a repetition with this many of the last messages. A relay that begins again repeats more than
# that; what is older was compared when it was new.
CHAINS_KEPT: Final = 4
NO_CHAIN: Final = ""
FIRST: Final = 1
HOP_GAP: Final = "hop-gap"
HOP_CONTRADICTION: Final = "hop-contradiction"
_DIGEST_BYTES: Final = 8

Headers = list[tuple[str, bytes]]


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """What a partition has sent to another on a topic.

    `next` is the number of the next message, `chain` that of the last one. The messages up to number `confirmed` are in
    the receiver's log for certain; all later ones are in the outbox at `outbox_offset` or after it.
    """

    next: int
    chain: str
    confirmed: int
    outbox_offset: int


class Received(msgspec.Struct, frozen=True, array_like=True):
    """What a partition has received from another on a topic: the last number, and the last chains, oldest first."""

    last: int
    chains: list[str]


class HopsRow(Row, frozen=True, array_like=True):
    """A partition's messages to and from another one, by topic. The key is `hops/` and the other's number."""

    sent: dict[str, Sent]
    received: dict[str, Received]


HOPS: Final = row_table("offsets", HopsRow)  # in the engine's own table, beside the row of decided offsets


def hops_key(partition: int) -> str:
    """Return the key of the row about the messages to and from `partition`."""
    return f"hops/{partition}"


class Hop(NamedTuple):
    """The header of a numbered message: the partition that sent it, its number, its chain."""

    sender: int
    sequence: int
    chain: str

    def encode(self) -> bytes:
        return b"%d:%d:%b" % (self.sender, self.sequence, self.chain.encode())

    @classmethod
    def parse(cls, data: bytes) -> Hop:
        """Return the header in `data`; raise ValueError if it is none. A later release may have added parts."""
        sender, sequence, chain, *_later = data.decode().split(":")
        return cls(int(sender), int(sequence), chain)


def hop_in(headers: Iterable[tuple[str, bytes]]) -> Hop | None:
    """Return the number that a record has; None if it does not come from a partition. Raise ValueError for nonsense."""
    for name, value in headers:
        if name == HOP_HEADER:
            return Hop.parse(value)
    return None


def chain_after(chain: str, key: bytes, value: bytes) -> str:
    """Return the chain of a message that follows the message with `chain`."""
    digest = hashlib.blake2b(b"%b\n%d\n%b" % (chain.encode(), len(key), key), digest_size=_DIGEST_BYTES)
    digest.update(value)
    return digest.hexdigest()


def _recover(partition: int) -> str:
    return (
        f"Or decide to go on with `clearinghub recover {partition} --reason TEXT`; with --dry-run it says what that"
        " does."
    )


class _SentCount:
    __slots__ = ("chain", "next")

    def __init__(self, number: int, chain: str) -> None:
        self.next = number
        self.chain = chain


class _ReceivedCount:
    __slots__ = ("chains", "last")

    def __init__(self, last: int, chains: Iterable[str]) -> None:
        self.last = last
        self.chains = deque(chains, CHAINS_KEPT)


class _Peer:
    """The counts of what goes to another partition and comes from it, by topic."""

    __slots__ = ("later", "received", "sent")

    def __init__(self, row: HopsRow | None) -> None:
        self.later = () if row is None else row.later
        sent, received = ({}, {}) if row is None else (row.sent, row.received)
        self.sent = {topic: _SentCount(one.next, one.chain) for topic, one in sent.items()}
        self.received = {topic: _ReceivedCount(one.last, one.chains) for topic, one in received.items()}


class Hops:
    """Counts the messages of one partition, in memory; a round that has counted writes the rows that changed.

    What a round has counted is not undone if the round fails: then this object ends, and its successor reads the rows.
    """

    def __init__(
        self,
        partition: int,
        rows: dict[int, HopsRow],
        is_accepted: Callable[[PartitionStoppedError], bool] = lambda _stop: False,
    ) -> None:
        """`rows` are by the number of the other partition; `is_accepted` asks for an operator's decision."""
        self._partition = partition
        self._is_accepted = is_accepted
        self._peers = {number: _Peer(row) for number, row in rows.items()}
        self._changed: set[int] = set()

    def _peer(self, number: int) -> _Peer:
        peer = self._peers.get(number)
        if peer is None:
            peer = self._peers[number] = _Peer(None)
        return peer

    def number(self, topic: str, receiver: int, key: bytes, value: bytes) -> Hop:
        """Count a message to `receiver`, and return its header."""
        sent = self._peer(receiver).sent
        count = sent.get(topic)
        if count is None:
            count = sent[topic] = _SentCount(FIRST, NO_CHAIN)
        count.chain = chain_after(count.chain, key, value)
        hop = Hop(self._partition, count.next, count.chain)
        count.next += 1
        self._changed.add(receiver)
        return hop

    def is_new(self, topic: str, hop: Hop, key: bytes, value: bytes) -> bool:
        """Return whether a message that has arrived is the next one; False for a repetition.

        Past a gap or a contradiction it goes on if an operator has decided that: a message after a gap is new, a
        repetition that differs is dropped, because what was decided stays, and a new message that differs is new.

        Raises:
            PartitionStoppedError: a message before it is missing, or it is not the message that was sent or counted.
        """
        count = self._received(topic, hop.sender)
        if hop.sequence <= count.last:
            age = count.last - hop.sequence
            if age < len(count.chains) and count.chains[-1 - age] != hop.chain:
                self._stop(self._contradiction(topic, hop, "it is not the message that was received under this number"))
            return False
        if hop.sequence > count.last + 1:
            self._stop(self._gap(topic, hop, count.last))
            return True
        chain = chain_after(count.chains[-1] if count.chains else NO_CHAIN, key, value)
        if chain != hop.chain:
            self._stop(self._contradiction(topic, hop, "its content, or that of the message before it, is another"))
        return True

    def _stop(self, stop: PartitionStoppedError) -> None:
        """Raise it, unless an operator has decided to go on past it."""
        if not self._is_accepted(stop):
            raise stop

    def _gap(self, topic: str, hop: Hop, last: int) -> PartitionStoppedError:
        return PartitionStoppedError(
            HOP_GAP,
            f"Partition {self._partition} is missing messages {last + 1} to {hop.sequence - 1}"
            f" of partition {hop.sender} on topic {topic}: they are lost.",
            f"Look whether topic {topic} or the sender's tables were restored from a copy. `outbox` of partition"
            f" {hop.sender} has the missing messages if it is not older than its retention."
            f" {_recover(self._partition)}",
        )

    def count(self, topic: str, hop: Hop) -> None:
        """Count a new message that the round has decided."""
        count = self._received(topic, hop.sender)
        assert hop.sequence > count.last
        if hop.sequence != count.last + 1:
            count.chains.clear()  # those before a gap would be compared with other messages
        count.last = hop.sequence
        count.chains.append(hop.chain)
        self._changed.add(hop.sender)

    def _received(self, topic: str, sender: int) -> _ReceivedCount:
        received = self._peer(sender).received
        count = received.get(topic)
        if count is None:
            count = received[topic] = _ReceivedCount(FIRST - 1, ())
        return count

    def _contradiction(self, topic: str, hop: Hop, what: str) -> PartitionStoppedError:
        return PartitionStoppedError(
            HOP_CONTRADICTION,
            f"Partition {self._partition} cannot trust message {hop.sequence} of partition {hop.sender}"
            f" on topic {topic}: {what}.",
            "One of the two partitions has books that the other does not know. Look which of them was restored from"
            f" a copy, and compare both with `clearinghub audit`. {_recover(self._partition)}",
        )

    def last_sent(self, topic: str, receiver: int) -> int:
        """Return the number of the last message to `receiver` on a topic, 0 if there is none."""
        count = self._peer(receiver).sent.get(topic)
        return FIRST - 1 if count is None else count.next - 1

    def take_changed(
        self, stale: Iterable[int], passed_on: Callable[[str, int], tuple[int, int]]
    ) -> Iterator[tuple[int, HopsRow]]:
        """Yield the rows to write with this round: those that have changed, and those of the partitions in `stale`.

        `passed_on` returns, for a topic and a receiver, the last confirmed number and the offset in the outbox from
        which on all later messages are.
        """
        numbers = sorted(self._changed.union(stale))
        self._changed.clear()
        for number in numbers:
            peer = self._peer(number)
            sent = {
                topic: Sent(count.next, count.chain, *passed_on(topic, number)) for topic, count in peer.sent.items()
            }
            received = {topic: Received(one.last, list(one.chains)) for topic, one in peer.received.items()}
            yield number, HopsRow(sent=sent, received=received, later=peer.later)
