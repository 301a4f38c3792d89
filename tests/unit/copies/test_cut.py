"""The greatest consistent cut of rounds that send each other messages."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

import pytest

from clearinghub.copies.cut import Channel, Round, greatest_cut, numbers_between

CREDIT = "credit"


def a_round(sent: Mapping[Channel, int] | None = None, received: Mapping[Channel, int] | None = None) -> Round:
    return Round({}, {}, sent or {}, received or {}, 0)


def test_partitions_that_never_spoke_are_cut_at_their_last_rounds() -> None:
    first, second, other = a_round(), a_round(), a_round()

    assert {0: second, 1: other} == greatest_cut({0: [first, second], 1: [other]})


def test_a_receiver_of_what_is_not_sent_steps_back() -> None:
    sender = a_round()  # what it sends later is not known yet
    before, after = a_round(), a_round(received={(0, CREDIT): 1})

    assert {0: sender, 1: before} == greatest_cut({0: [sender], 1: [before, after]})


def test_a_message_under_way_holds_nobody_back() -> None:
    sender = a_round(sent={(1, CREDIT): 3})
    receiver = a_round(received={(0, CREDIT): 1})
    cut = greatest_cut({0: [sender], 1: [receiver]})

    assert {0: sender, 1: receiver} == cut
    assert {(0, 1, CREDIT): range(2, 4)} == numbers_between(cut or {})


def test_what_a_partition_sends_itself_counts() -> None:
    cut = {0: a_round(sent={(0, CREDIT): 2}, received={(0, CREDIT): 2}), 1: a_round(sent={(1, CREDIT): 5})}

    assert {(1, 1, CREDIT): range(1, 6)} == numbers_between(cut)


def test_who_steps_back_takes_back_what_it_has_sent() -> None:
    """0 steps back to before a message from 2, so its own to 1 is not sent, and 1 steps back too."""
    zero = [a_round(), a_round(sent={(1, CREDIT): 1}, received={(2, CREDIT): 1})]
    one = [a_round(), a_round(received={(0, CREDIT): 1})]
    two = [a_round()]

    assert {0: zero[0], 1: one[0], 2: two[0]} == greatest_cut({0: zero, 1: one, 2: two})


def test_there_is_no_cut_without_an_earlier_round() -> None:
    assert greatest_cut({0: [a_round()], 1: [a_round(received={(0, CREDIT): 1})]}) is None
    assert greatest_cut({0: [a_round()], 1: []}) is None


def _is_consistent(cut: Mapping[int, Round]) -> bool:
    return all(
        number <= cut[sender].sent.get((receiver, topic), 0)
        for receiver, one in cut.items()
        for (sender, topic), number in one.received.items()
    )


def _lived(chance: random.Random, partitions: int, rounds: int) -> dict[int, list[Round]]:
    """Return rounds of partitions that send each other messages, each received after it was sent."""
    sent: dict[int, dict[Channel, int]] = {number: {} for number in range(partitions)}
    received: dict[int, dict[Channel, int]] = {number: {} for number in range(partitions)}
    lived: dict[int, list[Round]] = {number: [a_round()] for number in range(partitions)}
    for at_ms in range(1, rounds):
        me = chance.randrange(partitions)
        for other in range(partitions):
            if chance.random() < 0.5:
                sent[me][other, CREDIT] = sent[me].get((other, CREDIT), 0) + chance.randint(1, 2)
            there = sent[other].get((me, CREDIT), 0) if other != me else 0
            got = received[me].get((other, CREDIT), 0)
            if there > got:
                received[me][other, CREDIT] = chance.randint(got, there)
        lived[me].append(Round({}, {}, dict(sent[me]), dict(received[me]), at_ms))
    return lived


@pytest.mark.parametrize("seed", range(60))
def test_the_cut_is_the_greatest_consistent_one(seed: int) -> None:
    """Compared with all cuts there are, whatever the reader has seen of each partition's end."""
    chance = random.Random(seed)
    lived = _lived(chance, partitions=3, rounds=14)
    seen: dict[int, Sequence[Round]] = {
        number: rounds[: chance.randint(1, len(rounds))] for number, rounds in lived.items()
    }
    cut = greatest_cut(seen)

    assert cut is not None
    chosen = {number: list(rounds).index(cut[number]) for number, rounds in seen.items()}
    every = itertools.product(*(range(len(rounds)) for rounds in seen.values()))
    consistent = [
        indexes
        for indexes in every
        if _is_consistent({number: seen[number][index] for number, index in enumerate(indexes)})
    ]
    assert tuple(chosen.values()) in consistent
    assert tuple(chosen.values()) == tuple(max(column) for column in zip(*consistent, strict=True))
