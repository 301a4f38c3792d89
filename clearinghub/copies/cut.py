"""Chooses the rounds of all partitions that together are one consistent cut (ADR 32).

A cut is consistent if no partition has received a message that its sender had not sent by its own round. Messages that
were sent and not received are between the partitions, and belong to the copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

Channel: TypeAlias = tuple[int, str]
"""The way of numbered messages: the other partition, and the topic."""


class Round(NamedTuple):
    """The end of one round of a partition, as its rows say.

    Attributes:
        changelogs: by table, the offset of the last record that its changelog had; tables without one are left out.
        decided: by input topic, the offset of the first record that was not decided yet.
        sent: by receiver and topic, the number of the last message sent; 0 or left out if there was none.
        received: by sender and topic, the number of the last message received.
        at_ms: when the round was committed, in milliseconds since 1970.
    """

    changelogs: Mapping[str, int]
    decided: Mapping[str, int]
    sent: Mapping[Channel, int]
    received: Mapping[Channel, int]
    at_ms: int


def greatest_cut(rounds: Mapping[int, Sequence[Round]]) -> dict[int, Round] | None:
    """Return the latest rounds that are a consistent cut, one of each partition.

    `rounds` has the last rounds of each partition, oldest first. Each partition begins with its last round and steps
    back as long as it has received what was not sent. This ends at the greatest consistent cut, because a message is
    received after it was sent: all rounds before a moment are one.

    Returns:
        None if a partition would have to step back before the first of its rounds: read on, and try again.
    """
    at = {partition: len(known) - 1 for partition, known in rounds.items()}
    if any(index < 0 for index in at.values()):
        return None
    while (early := _receiver_of_unsent(rounds, at)) is not None:
        at[early] -= 1
        if at[early] < 0:
            return None
    return {partition: rounds[partition][index] for partition, index in at.items()}


def _receiver_of_unsent(rounds: Mapping[int, Sequence[Round]], at: Mapping[int, int]) -> int | None:
    """Return a partition that has received a message which its sender has not sent; None if there is none."""
    for receiver, index in at.items():
        for (sender, topic), number in rounds[receiver][index].received.items():
            if number > rounds[sender][at[sender]].sent.get((receiver, topic), 0):
                return receiver
    return None


def numbers_between(cut: Mapping[int, Round]) -> dict[tuple[int, int, str], range]:
    """Return the numbers of the messages between the partitions, by sender, receiver and topic; no range is empty."""
    between = {}
    for sender, round_ in cut.items():
        for (receiver, topic), last in round_.sent.items():
            received = cut[receiver].received.get((sender, topic), 0)
            assert received <= last, f"{receiver} has received {received} of {last} from {sender} on {topic}"
            if received < last:
                between[sender, receiver, topic] = range(received + 1, last + 1)
    return between
