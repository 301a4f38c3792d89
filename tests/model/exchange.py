"""What partitions say to each other: a message is sent once and decided once, however often it was passed on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.journal import Breach, Seen


class Number(NamedTuple):
    """The number of a message: who sent it, on which topic, to whom, the how manyth it is."""

    sender: int
    topic: str
    receiver: int
    sequence: int


def number_of(seen: Seen) -> Number | None:
    """Return the number that a record has; None if it does not come from a partition."""
    if not seen.hop:
        return None
    sender, sequence = seen.hop.split(b":")[:2]
    return Number(int(sender), seen.topic, seen.partition, int(sequence))


class ReceivedOnce:
    """Finds repetitions among the records that one partition reads."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], int] = {}

    def is_new(self, seen: Seen) -> bool:
        """Whether a record is to be decided.

        Raises:
            Breach: messages before it were never there.
        """
        number = number_of(seen)
        if number is None:
            return True
        last = self._last.get((seen.topic, number.sender), 0)
        if number.sequence > last + 1:
            raise Breach(f"{seen.topic}/{seen.partition}@{seen.offset} is message {number.sequence} after {last}")
        self._last[seen.topic, number.sender] = max(last, number.sequence)
        return number.sequence > last


def check_messages(sent: Iterable[Seen], received: Iterable[Seen]) -> int:
    """Compare what partitions have sent with what is in the receivers' logs; return the number of repetitions.

    Raises:
        Breach: a message is lost, invented, changed, or has another's number.
    """
    contents: dict[Number, tuple[bytes, bytes | None]] = {}
    for seen in sent:
        number = number_of(seen)
        if number is None or number in contents:
            raise Breach(f"a message of topic {seen.topic} has number {number}, which is none of its own")
        contents[number] = (seen.key, seen.value)
    for number in contents:
        if number.sequence > 1 and number._replace(sequence=number.sequence - 1) not in contents:
            raise Breach(f"{number} is sent, and none before it")
    arrived: set[Number] = set()
    repetitions = 0
    for seen in received:
        number = number_of(seen)
        if number is None:
            continue
        if contents.get(number) != (seen.key, seen.value):
            raise Breach(f"{seen.topic}/{seen.partition}@{seen.offset} was not sent as {number}")
        repetitions += number in arrived
        arrived.add(number)
    if lost := sorted(contents.keys() - arrived):
        raise Breach(f"{len(lost)} messages did not arrive, the first is {lost[0]}")
    return repetitions
