"""Messages between partitions are numbered, and a receiver knows the next one from a repetition, a gap, another."""

from __future__ import annotations

from typing import Final

import pytest

from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.hops import CHAINS_KEPT, HOPS, Hop, Hops, HopsRow, Received, Sent, chain_after, hop_in

TOPIC: Final = "credit"
KEY: Final = b"payeefsp"


class Pair:
    """Partition 1, which sends to partition 2."""

    def __init__(self) -> None:
        self.sender = Hops(1, {})
        self.receiver = Hops(2, {})

    def send(self, value: bytes) -> Hop:
        return self.sender.number(TOPIC, 2, KEY, value)

    def receive(self, hop: Hop, value: bytes) -> bool:
        is_new = self.receiver.is_new(TOPIC, hop, KEY, value)
        if is_new:
            self.receiver.count(TOPIC, hop)
        return is_new


def rows_of(hops: Hops) -> dict[int, HopsRow]:
    return dict(hops.take_changed((), lambda _topic, _receiver: (0, 0)))


def test_messages_are_numbered_from_one_and_each_is_new_once() -> None:
    pair = Pair()
    sent = [(pair.send(b"%d" % number), b"%d" % number) for number in range(3)]

    assert [1, 2, 3] == [hop.sequence for hop, _value in sent]
    assert [True, True, True] == [pair.receive(*one) for one in sent]
    assert [False, False, False] == [pair.receive(*one) for one in sent]


def test_topics_and_receivers_are_counted_by_themselves() -> None:
    hops = Hops(1, {})

    numbers = [hops.number(topic, to, KEY, b"") for topic, to in (("credit", 2), ("credit", 3), ("lookup", 2))]

    assert [1, 1, 1] == [hop.sequence for hop in numbers]


def test_a_missing_message_stops_the_partition_and_says_which() -> None:
    pair = Pair()
    pair.receive(pair.send(b"a"), b"a")
    pair.send(b"lost")
    pair.send(b"lost too")

    with pytest.raises(PartitionStoppedError, match=r"hop-gap: .*messages 2 to 3 of partition 1 on topic credit"):
        pair.receive(pair.send(b"d"), b"d")


def test_a_repetition_with_other_content_stops_the_partition() -> None:
    pair = Pair()
    pair.receive(pair.send(b"a"), b"a")
    other = Hops(1, {}).number(TOPIC, 2, KEY, b"b")

    with pytest.raises(PartitionStoppedError, match="hop-contradiction"):
        pair.receive(other, b"b")


def test_a_repetition_too_old_to_be_compared_is_dropped() -> None:
    pair = Pair()
    first = pair.send(b"0")
    pair.receive(first, b"0")
    for number in range(CHAINS_KEPT):
        pair.receive(pair.send(b"%d" % number), b"%d" % number)

    assert not pair.receive(first._replace(chain="other"), b"other")


@pytest.mark.parametrize("value", [b"b", b"a, changed"])
def test_a_message_whose_content_or_predecessor_is_another_stops_the_partition(value: bytes) -> None:
    """The chain covers the message before it: so two histories show at the first message after they part."""
    pair = Pair()
    sender = Hops(1, {})
    sender.number(TOPIC, 2, KEY, b"another first")
    pair.receive(pair.send(b"first"), b"first")
    hop = sender.number(TOPIC, 2, KEY, b"b") if value == b"b" else pair.send(b"a")

    with pytest.raises(PartitionStoppedError, match="hop-contradiction"):
        pair.receive(hop, value)


class AcceptingOperator:
    """An operator who accepts every stop; `codes` are of what was accepted."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def __call__(self, stop: PartitionStoppedError) -> bool:
        self.codes.append(stop.code)
        return True


def test_past_an_accepted_gap_the_message_after_it_is_new_and_the_next_ones_follow_it() -> None:
    pair, operator = Pair(), AcceptingOperator()
    pair.receive(pair.send(b"a"), b"a")
    pair.send(b"lost")
    after, then = pair.send(b"c"), pair.send(b"d")
    pair.receiver = Hops(2, rows_of(pair.receiver), operator)

    assert pair.receiver.is_new(TOPIC, after, KEY, b"c")
    assert pair.receive(after, b"c"), "not counted yet: the round may have failed"
    assert pair.receive(then, b"d")
    assert not pair.receive(after, b"c")
    assert ["hop-gap", "hop-gap"] == operator.codes
    again = Hops(2, rows_of(pair.receiver))
    assert again.is_new(TOPIC, pair.send(b"e"), KEY, b"e"), "the rows know nothing of the gap any more"


def test_past_an_accepted_contradiction_what_was_decided_stays() -> None:
    pair, operator = Pair(), AcceptingOperator()
    pair.receive(pair.send(b"a"), b"a")
    pair.receiver = Hops(2, rows_of(pair.receiver), operator)
    pair.sender = Hops(1, {})
    other, next_one, last = pair.send(b"another first"), pair.send(b"b"), pair.send(b"c")

    assert not pair.receive(other, b"another first")
    assert pair.receive(next_one, b"b")
    assert pair.receive(last, b"c"), "it follows the history that was accepted"
    assert ["hop-contradiction", "hop-contradiction"] == operator.codes


def test_what_is_not_counted_is_new_again() -> None:
    """An input stops before a message that it cannot decide: the next release decides it."""
    pair = Pair()
    hop = pair.send(b"a")

    assert pair.receiver.is_new(TOPIC, hop, KEY, b"a")
    assert pair.receiver.is_new(TOPIC, hop, KEY, b"a")


def test_counts_continue_from_the_rows() -> None:
    pair = Pair()
    pair.receive(pair.send(b"a"), b"a")
    sent, received = rows_of(pair.sender), rows_of(pair.receiver)
    again = Pair()
    again.sender, again.receiver = Hops(1, sent), Hops(2, received)

    assert not again.receive(Hop(1, 1, sent[2].sent[TOPIC].chain), b"a")
    assert again.receive(again.send(b"b"), b"b")
    assert 2 == again.sender.last_sent(TOPIC, 2)


def test_only_rows_that_changed_are_written() -> None:
    hops = Hops(1, {})
    hops.number(TOPIC, 2, KEY, b"a")
    hops.number(TOPIC, 3, KEY, b"a")

    assert [2, 3] == list(rows_of(hops))
    assert [] == list(rows_of(hops))
    assert [3] == [number for number, _row in hops.take_changed((3,), lambda _topic, _receiver: (1, 7))]


def test_fields_of_a_later_release_are_written_again() -> None:
    stored = b'[4,{"credit":[3,"00ff",1,40]},{},"added",[2]]'
    hops = Hops(1, {2: HOPS.decode(stored)})

    ((number, row),) = hops.take_changed((2,), lambda _topic, _receiver: (1, 40))

    assert (2, stored) == (number, HOPS.encode(row))


def test_the_row_and_the_header_are_stored_like_this() -> None:
    row = HopsRow(sent={TOPIC: Sent(3, "00ff", 1, 40)}, received={TOPIC: Received(9, ["aa", "bb"])})

    assert b'[2,{"credit":[3,"00ff",1,40]},{"credit":[9,["aa","bb"]]}]' == HOPS.encode(row)
    assert row == HOPS.decode(HOPS.encode(row))
    assert b"1:2:00ff" == Hop(1, 2, "00ff").encode()
    assert Hop(1, 2, "00ff") == hop_in([("other", b""), ("hop", b"1:2:00ff")])
    assert hop_in([("other", b"1:2:3")]) is None
    assert "32d461fb2a3c8d21" == chain_after("", b"key", b"value")


@pytest.mark.parametrize("nonsense", [b"", b"1:2", b"a:1:x", b"\xff"])
def test_a_header_that_is_none_is_an_error(nonsense: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        hop_in([("hop", nonsense)])


def test_what_a_later_release_adds_to_the_header_is_ignored() -> None:
    assert Hop(1, 2, "3") == Hop.parse(b"1:2:3:added later")
